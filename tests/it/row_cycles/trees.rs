//! Rows of one table that refer to each other.

use super::*;

/// Every folder is in one; the root is in itself.
#[derive(Entity, Clone, Debug)]
pub struct Folder {
    #[primary_key]
    pub id: i64,
    pub name: String,
    #[property(default_sql = "'gray'")]
    pub color: String,
    #[version]
    pub version: i32,
    #[many_to_one(on_delete = restrict)]
    pub parent: Ref<Folder>,
}

fn folder(em: &EntityManager, name: &str, parent: Ref<Folder>) -> Managed<Folder> {
    em.create(NewFolder { name: name.into(), parent })
}

/// A root that is in itself, and three in each down to the fifth level: leaves first.
fn tree(em: &EntityManager) -> Vec<Managed<Folder>> {
    let root = folder(em, "r", em.get_reference(0));
    root.write().parent = root.to_ref();
    let mut all = vec![root];
    let mut level = all.clone();
    for _ in 1..5 {
        level = level
            .iter()
            .flat_map(|parent| {
                ["a", "b", "c"].map(|name| folder(em, &format!("{}/{name}", parent.read().name), parent.to_ref()))
            })
            .collect();
        all.extend(level.clone());
    }
    all.reverse();
    all
}

const WRONG: &str = "SELECT count(*) FROM folder f JOIN folder p ON p.id = f.parent_id \
                     WHERE f.name NOT LIKE p.name || '/_' AND f.name <> 'r'";

#[tokio::test]
async fn a_tree_is_one_insert_and_one_delete() {
    let fixture = Fixture::new(entities![Folder]).await;
    let em = fixture.em();
    let folders = tree(&em);
    em.persist(&folders);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements, summary.round_trips), (121, 2, 2));
    assert_eq!(written(&fixture), ["INSERT"]);
    assert_eq!(fixture.rows(WRONG).await, ["0"]);
    assert_eq!(fixture.rows("SELECT name FROM folder WHERE id = parent_id").await, ["r"]);
    assert!(folders.iter().all(|folder| folder.read().color == "gray"));

    em.remove(&folders);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.deleted, summary.statements, summary.round_trips), (121, 1, 1));
    assert_eq!(written(&fixture), ["DELETE"]);
}

#[tokio::test]
async fn two_column_sets_that_take_turns_are_written_level_by_level_and_circles_of_them_at_once() {
    let fixture = Fixture::new(entities![Folder]).await;
    let em = fixture.em();
    let folders = tree(&em);
    for folder in &folders {
        if folder.read().name.len() % 4 == 1 {
            folder.write().color = "red".into();
        }
    }
    em.persist(&folders);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements, summary.round_trips), (121, 6, 2), "the keys, and five levels");
    assert_eq!(fixture.rows(WRONG).await, ["0"]);
    assert_eq!(fixture.rows("SELECT color, count(*) FROM folder GROUP BY 1 ORDER BY 1").await, ["gray|30", "red|91"]);

    // Circles of red and gray, and what hangs off them.
    let none = || em.get_reference::<Folder>(0);
    for _ in 0..20 {
        let (red, gray) = (folder(&em, "x", none()), folder(&em, "y", none()));
        red.update(|red| {
            red.color = "red".into();
            red.parent = gray.to_ref();
        });
        gray.write().parent = red.to_ref();
        em.persist(folder(&em, "z", red.to_ref()));
        em.persist(&gray);
    }
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements, summary.round_trips), (60, 4, 2), "keys, circles, read, others");
    let pairs = "SELECT f.name, p.name, f.color, count(*) FROM folder f JOIN folder p ON p.id = f.parent_id \
                 WHERE length(f.name) = 1 AND f.id <> p.id AND p.name <> 'r' GROUP BY 1, 2, 3 ORDER BY 1";
    assert_eq!(fixture.rows(pairs).await, ["x|y|red|20", "y|x|gray|20", "z|x|gray|20"]);
}

#[tokio::test]
async fn a_sub_tree_moves_while_its_old_place_is_removed() {
    let fixture = Fixture::new(entities![Folder]).await;
    let em = fixture.em();
    let folders = tree(&em);
    em.persist(&folders);
    em.flush().await.unwrap();
    fixture.forget();
    let find = |name: &str| folders.iter().find(|folder| folder.read().name == name).unwrap().clone();
    // r/a goes, with all but r/a/b, which moves into a new folder of the root.
    let new = folder(&em, "r/n", find("r").to_ref());
    let moved = find("r/a/b");
    moved.write().parent = new.to_ref();
    let gone = |folder: &&Managed<Folder>| {
        let name = folder.read().name.clone();
        name.starts_with("r/a") && !name.starts_with("r/a/b")
    };
    let removed: Vec<_> = folders.iter().filter(gone).cloned().collect();
    em.remove(&removed);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.updated, summary.deleted), (1, 1, 27));
    assert_eq!(heads(&fixture), ["INSERT folder", "UPDATE folder", "DELETE folder"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM folder").await, ["95"]);
    assert_eq!(
        fixture.rows(&format!("SELECT parent_id FROM folder WHERE id = {}", moved.id())).await,
        [new.id().to_string()]
    );
}

/// Keys that are given by hand, and named before the rows are there.
#[derive(Entity, Clone, Debug)]
pub struct Station {
    #[primary_key]
    pub code: String,
    #[property(default_sql = "1")]
    pub tracks: i32,
    #[many_to_one]
    pub next: Ref<Station>,
}

#[tokio::test]
async fn keys_that_are_only_named_are_found_among_the_new_rows() {
    let fixture = Fixture::new(entities![Station]).await;
    let em = fixture.em();
    let station = |code: &str, next: &str, tracks: Option<i32>| {
        let station = NewStation { code: code.into(), next: em.get_reference::<Station>(next.to_owned()) };
        em.persist(station.with(|station| station.tracks = tracks.unwrap_or(station.tracks)))
    };
    // Two column sets: a line whose end is a loop.
    station("a", "b", None);
    station("b", "c", Some(5));
    station("c", "d", None);
    station("d", "c", Some(7));
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.round_trips), (4, 1));
    let rows = "SELECT code, next_code, tracks FROM station ORDER BY 1";
    assert_eq!(fixture.rows(rows).await, ["a|b|1", "b|c|5", "c|d|1", "d|c|7"]);
}
