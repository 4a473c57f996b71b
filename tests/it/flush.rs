//! Rules C4 to C6: how many statements a flush takes, in which order, and how what comes back finds its entity.

use crate::library::*;
use crate::support::{Fixture, unguarded};
use howdah::prelude::*;

/// The first words of each statement that writes: what it does to which table.
fn heads(statements: &[String]) -> Vec<String> {
    let head = |text: &String| {
        let words: Vec<&str> =
            unguarded(text).split_whitespace().filter(|word| !["INTO", "FROM"].contains(word)).take(2).collect();
        words.join(" ").replace('"', "")
    };
    statements.iter().map(head).filter(|head| !head.starts_with("SELECT")).collect()
}

#[tokio::test]
async fn c4_any_number_of_rows_is_one_statement_a_table_operation_and_column_set() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let authors: Vec<_> = (0..500).map(|i| em.persist(NewAuthor { name: format!("a{i}") })).collect();
    let books: Vec<_> = authors
        .iter()
        .map(|author| {
            let book = em.persist(NewBook { title: format!("by {}", author.read().name), author: author.to_ref() });
            book.write().tags.add(em.persist(NewTag { name: author.read().name.clone() }));
            book
        })
        .collect();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements), (1500, 6), "one a table, and the keys of two");
    let sent = fixture.statements();
    let mut tables = heads(&sent);
    tables.sort_unstable();
    assert_eq!(tables, ["INSERT author", "INSERT book", "INSERT book_tags", "INSERT tag"]);

    // Two column sets of one table are two statements, and of the same text whatever the number of rows.
    for (index, author) in authors.iter().enumerate() {
        author.update(|a| if index % 2 == 0 { a.born = Some(1) } else { a.name += "!" });
    }
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements), (500, 2));
    let many = fixture.statements();
    authors[0].write().born = Some(2);
    em.flush().await.unwrap();
    assert!(many.contains(&fixture.statements()[0]));
    assert_eq!(fixture.rows("SELECT count(*) FROM author WHERE born = 1 OR name LIKE '%!'").await, ["499"]);

    em.remove(books);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.deleted, summary.statements), (500, 2));
    assert_eq!(heads(&fixture.statements()), ["DELETE book_tags", "DELETE book"]);
}

#[tokio::test]
async fn c5_generated_keys_find_the_entity_whose_row_they_are() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    // Names whose order is not that of the keys, and two column sets that are interleaved.
    let authors: Vec<_> = (0..500_u32)
        .map(|i| {
            let author = em.create(NewAuthor { name: format!("{:x}", i.wrapping_mul(2_654_435_761)) });
            author.write().born = i32::try_from(i).ok().filter(|i| i % 3 == 0);
            em.persist(author)
        })
        .collect();
    em.flush().await.unwrap();
    let mut stored = fixture.rows("SELECT id, name, born FROM author").await;
    let known = |author: &Managed<Author>| {
        let born = author.read().born.map_or("~".to_owned(), |born| born.to_string());
        format!("{}|{}|{born}", author.id(), author.read().name)
    };
    let mut known: Vec<String> = authors.iter().map(known).collect();
    stored.sort_unstable();
    known.sort_unstable();
    assert_eq!(known, stored);
    assert!(authors.windows(2).all(|pair| pair[0].read().id == pair[0].id()), "the field has the key, too");
}

#[derive(Entity, Clone, Debug)]
pub struct Parcel {
    #[primary_key]
    pub id: i64,
    pub label: String,
    #[property(default_sql = "gen_random_uuid()")]
    pub token: Uuid,
    #[property(default_sql = "clock_timestamp()")]
    pub sent_at: DateTime<Utc>,
    #[property(default_sql = "7")]
    pub weight: Option<i32>,
    #[property(default = "open")]
    pub state: String,
    #[property(default = 3)]
    pub rank: Option<i32>,
    #[property(on_create = Utc::now())]
    pub created_at: DateTime<Utc>,
}

#[tokio::test]
async fn c5_values_that_the_database_made_come_back_to_their_rows() {
    let fixture = Fixture::new(entities![Parcel]).await;
    let em = fixture.em();
    let before = Utc::now();
    let parcels: Vec<_> = (0..100).map(|i| em.persist(NewParcel { label: format!("p{i}") })).collect();
    parcels[1].update(|p| {
        p.weight = Some(0);
        p.token = Uuid::max();
        p.state = "lost".into();
        p.rank = None;
    });
    assert_eq!((parcels[0].read().state.as_str(), parcels[0].read().rank), ("open", Some(3)));
    em.flush().await.unwrap();
    let mut stored = fixture.rows("SELECT id, label, token, weight, state, coalesce(rank, -1) FROM parcel").await;
    let known = |parcel: &Managed<Parcel>| {
        let p = parcel.read();
        let (weight, rank) = (p.weight.unwrap_or(-1), p.rank.unwrap_or(-1));
        format!("{}|{}|{}|{weight}|{}|{rank}", p.id, p.label, p.token, p.state)
    };
    let mut known: Vec<String> = parcels.iter().map(known).collect();
    stored.sort_unstable();
    known.sort_unstable();
    assert_eq!(known, stored);
    let first = parcels[0].read();
    assert_eq!(first.weight, Some(7));
    assert!(!first.token.is_nil() && first.created_at >= before);
    assert!((first.sent_at - Utc::now()).abs() < chrono::TimeDelta::minutes(1));
    assert_eq!(parcels[1].read().token, Uuid::max(), "a value of the user's own is kept");
    drop(first);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default(), "what came back is not a change");
}

#[tokio::test]
async fn keys_are_made_by_the_database_given_by_hand_or_made_by_persist() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let tag = em.create(NewTag { name: "rome".into() });
    assert!(tag.id().is_nil());
    em.persist(&tag);
    assert_eq!(tag.id().get_version_num(), 7, "persist makes UUIDs");
    let reached = em.create(NewTag { name: "sea".into() });
    let assigned = em.persist(NewShelf { code: "A1".into() });
    let author = em.persist(NewAuthor { name: "Ursula".into() });
    let explicit = em.persist(NewAuthor { name: "Iain".into() }.with(|a| a.id = 4711));
    assert_eq!((author.id(), explicit.id(), assigned.id()), (0, 4711, "A1".to_owned()));
    let book = em.persist(NewBook { title: "Lavinia".into(), author: author.to_ref() });
    book.write().tags.set([&tag, &reached]);
    em.flush().await.unwrap();
    assert_eq!(author.id(), 1);
    assert_eq!(fixture.rows("SELECT id, name FROM author ORDER BY id").await, ["1|Ursula", "4711|Iain"]);
    assert_eq!(reached.id().get_version_num(), 7, "the flush makes those of entities that it reached");
    let ids = fixture.rows("SELECT id FROM tag ORDER BY name").await;
    assert_eq!(ids, [tag.id().to_string(), reached.id().to_string()]);
    assert_eq!(em.find_one::<Author>(4711, ()).await.unwrap(), Some(explicit));
}

/// Has arrays, which travel as text.
#[derive(Entity, Clone, Debug)]
pub struct Sample {
    #[primary_key]
    pub id: i32,
    pub names: Vec<String>,
    pub values: Option<Vec<f64>>,
    pub days: Vec<NaiveDate>,
    pub blobs: Vec<Vec<u8>>,
    pub documents: Vec<serde_json::Value>,
}

#[tokio::test]
async fn c4_arrays_of_different_lengths_travel_in_one_statement() {
    let fixture = Fixture::new(entities![Sample]).await;
    let em = fixture.em();
    let texts = ["", "NULL", "a,b", "{}", "\"", "\\", " x ", "é\n"];
    let day = NaiveDate::from_ymd_opt(1929, 10, 21).unwrap();
    let samples: Vec<_> = (0..texts.len())
        .map(|i| {
            let sample = NewSample {
                names: texts[..i].iter().map(|&text| text.into()).collect(),
                days: vec![day; i % 3],
                blobs: vec![vec![0, 92, 34]; i % 2],
                documents: vec![serde_json::json!({"k": ["\"", i]})],
            };
            em.persist(sample.with(|s| s.values = (i % 2 == 0).then(|| vec![f64::NAN, -0.5])))
        })
        .collect();
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements), (texts.len() as u64, 1));
    let other = fixture.em();
    for sample in &samples {
        let loaded = other.find_one_or_fail::<Sample>(sample.id(), ()).await.unwrap();
        loaded.update(|s| *s = sample.read().clone());
        assert!(!loaded.is_dirty(), "{:?}", loaded.changes());
    }
    assert_eq!(fixture.rows("SELECT array_length(names, 1) FROM sample WHERE id = 8").await, ["7"]);
    fixture.forget();
    for sample in &samples {
        sample.write().names.push("last".into());
    }
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.statements), (texts.len() as u64, 1));
    let last = "SELECT count(*) FROM sample WHERE names[array_length(names, 1)] = 'last'";
    assert_eq!(fixture.rows(last).await, ["8"]);
}

#[tokio::test]
async fn c6_parents_come_first_and_children_are_deleted_first() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    // Scheduled children first: the order is that of the tables.
    let author = em.create(NewAuthor { name: "Ursula".into() });
    let shelf = em.create(NewShelf { code: "A1".into() });
    let book = em.persist(NewBook { title: "Lavinia".into(), author: author.to_ref() });
    let tag = em.create(NewTag { name: "rome".into() });
    book.update(|b| {
        b.shelf = Some(shelf.to_ref());
        b.tags.add(&tag);
    });
    em.persist(NewProfile { text: "Portland".into(), author: author.to_ref() });
    em.flush().await.unwrap();
    let order = heads(&fixture.statements());
    let position = |table: &str| order.iter().position(|head| head.split(' ').nth(1) == Some(table)).unwrap();
    assert_eq!(order.len(), 6, "{order:?}");
    for (parent, child) in
        [("author", "book"), ("author", "profile"), ("shelf", "book"), ("book", "book_tags"), ("tag", "book_tags")]
    {
        assert!(position(parent) < position(child), "{order:?}");
    }

    em.remove(&author);
    em.remove(&shelf);
    em.remove(&tag);
    em.remove(author.read().profile.as_ref().unwrap().get().unwrap());
    let summary = em.flush().await.unwrap();
    assert_eq!(summary.deleted, 5, "the book goes with its author");
    let order = heads(&fixture.statements());
    let position = |table: &str| order.iter().position(|head| head.split(' ').nth(1) == Some(table)).unwrap();
    for (parent, child) in
        [("author", "book"), ("author", "profile"), ("shelf", "book"), ("book", "book_tags"), ("tag", "book_tags")]
    {
        assert!(position(child) < position(parent), "{order:?}");
    }
    assert_eq!(fixture.rows("SELECT count(*) FROM author").await, ["0"]);
}

#[tokio::test]
async fn c7_a_tree_of_one_table_is_inserted_and_deleted_in_one_statement() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    // Persisted leaves first, so that the order of the schedule is of no help.
    let root = em.create(NewAuthor { name: "0".into() });
    let mut level = vec![root.clone()];
    let mut all = level.clone();
    for depth in 1..4 {
        let children = |parent: &Managed<Author>| {
            (0..3)
                .map(|i| {
                    let child = em.create(NewAuthor { name: format!("{}.{i}", parent.read().name) });
                    child.write().mentor = Some(parent.to_ref());
                    child
                })
                .collect::<Vec<_>>()
        };
        level = level.iter().flat_map(children).collect();
        all.extend(level.clone());
        assert_eq!(level.len(), 3_usize.pow(depth));
    }
    em.persist(level);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements), (40, 2), "the keys and the rows");
    assert_eq!(summary.round_trips, 2);
    let wrong = "SELECT count(*) FROM author a JOIN author m ON m.id = a.mentor_id \
                 WHERE a.name NOT LIKE m.name || '._'";
    assert_eq!(fixture.rows(wrong).await, ["0"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM author WHERE mentor_id IS NULL").await, ["1"]);
    assert!(all[1].read().mentor.as_ref().unwrap().get().unwrap() == root);

    fixture.forget();
    em.remove(all);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.deleted, summary.statements), (40, 1));
}

/// Refers to its own table, with keys that are known beforehand.
#[derive(Entity, Clone, Debug)]
pub struct Folder {
    #[primary_key]
    pub id: Uuid,
    #[many_to_one]
    pub parent: Ref<Folder>,
}

#[tokio::test]
async fn c7_rows_of_one_table_whose_keys_are_known_need_no_order() {
    let fixture = Fixture::new(entities![Folder]).await;
    let em = fixture.em();
    let id = Uuid::now_v7();
    let root = em.persist(NewFolder { parent: em.get_reference(id) }.with(|f| f.id = id));
    let mut parent = root.clone();
    for _ in 0..50 {
        parent = em.persist(NewFolder { parent: parent.to_ref() });
    }
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements), (51, 1));
    assert_eq!(root.read().parent.get().unwrap(), root);
    assert_eq!(fixture.rows("SELECT count(*) FROM folder f JOIN folder p ON p.id = f.parent_id").await, ["51"]);
}

#[tokio::test]
async fn c7_new_rows_that_refer_to_each_other_in_a_circle_are_one_statement() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let (one, two) = (em.persist(NewAuthor { name: "1".into() }), em.persist(NewAuthor { name: "2".into() }));
    one.write().mentor = Some(two.to_ref());
    two.write().mentor = Some(one.to_ref());
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.statements, summary.round_trips), (2, 2, 2), "the keys and the rows");
    assert_eq!(fixture.rows("SELECT id, mentor_id FROM author ORDER BY id").await, ["1|2", "2|1"]);
    assert_eq!((one.id(), two.id()), (1, 2));
    em.remove([&one, &two]);
    assert_eq!(em.flush().await.unwrap().statements, 1);
}

#[tokio::test]
async fn nothing_to_write_sends_nothing() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    let author = em.create(NewAuthor { name: "Ursula".into() });
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default(), "created is not persisted");
    em.persist(&author);
    em.remove(&author);
    assert_eq!(em.flush().await.unwrap(), FlushSummary::default());
    assert_eq!(author.state(), EntityState::New);
    assert_eq!(fixture.log.round_trips(), 0);
    assert!(fixture.log.statements().is_empty(), "no BEGIN, no connection");
    em.persist(&author);
    assert_eq!(em.flush().await.unwrap().inserted, 1, "it can be persisted again");
}

mod branches {
    use super::*;

    #[derive(Entity, Clone, Debug)]
    pub struct Branch {
        #[primary_key(assigned)]
        pub id: i64,
        #[property(default_sql = "'unnamed'")]
        pub label: String,
        #[many_to_one]
        pub parent: Option<Ref<Branch>>,
    }

    #[tokio::test]
    async fn c6_parents_come_first_though_their_columns_are_others() {
        let fixture = Fixture::new(entities![Branch]).await;
        let em = fixture.em();
        // The child names its label, the parent leaves it to the database: two statements of one table.
        let parent = em.create(NewBranch { id: 2 });
        let child = em.persist(NewBranch { id: 1 });
        child.update(|child| {
            child.label = "twig".into();
            child.parent = Some(parent.to_ref());
        });
        assert_eq!(em.flush().await.unwrap().statements, 2);
        assert_eq!(parent.read().label, "unnamed");
        assert_eq!(
            fixture.rows("SELECT id, label, parent_id FROM branch ORDER BY id").await,
            ["1|twig|2", "2|unnamed|~"]
        );
    }
}
