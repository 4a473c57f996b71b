//! Circles of which other rows hang: children, pivot rows, rows between two circles.

use super::*;

#[derive(Entity, Clone, Debug)]
pub struct Team {
    #[primary_key]
    pub id: i64,
    #[property(unique)]
    pub name: String,
    #[many_to_one]
    pub captain: Ref<Player>,
    /// A second relation between the same two tables, and a third.
    #[many_to_one]
    pub keeper: Option<Ref<Player>>,
    #[many_to_many]
    pub rivals: Collection<Team>,
    #[one_to_many(mapped_by = team, cascade(persist, remove))]
    pub matches: Collection<Match>,
}

#[derive(Entity, Clone, Debug)]
pub struct Player {
    #[primary_key]
    pub id: i64,
    pub name: String,
    #[property(default_sql = "11")]
    pub number: i32,
    #[many_to_one]
    pub team: Ref<Team>,
    #[many_to_one]
    pub lent_to: Option<Ref<Team>>,
    #[many_to_many]
    pub skills: Collection<Skill>,
}

/// Belongs to a team; no circle.
#[derive(Entity, Clone, Debug)]
pub struct Match {
    #[primary_key]
    pub id: i64,
    pub place: String,
    #[many_to_one(inversed_by = matches)]
    pub team: Ref<Team>,
}

#[derive(Entity, Clone, Debug)]
pub struct Skill {
    #[primary_key]
    pub name: String,
}

async fn league() -> Fixture {
    Fixture::new(entities![Team, Player, Match, Skill]).await
}

/// A team with a captain and some more.
fn team(em: &EntityManager, name: &str, others: usize) -> (Managed<Team>, Vec<Managed<Player>>) {
    let team = em.create(NewTeam { name: name.into(), captain: em.get_reference(0) });
    let player = |number| em.persist(NewPlayer { name: format!("{name}{number}"), team: team.to_ref() });
    let players: Vec<_> = (0..=others).map(player).collect();
    team.write().captain = players[0].to_ref();
    (team, players)
}

#[tokio::test]
async fn circles_children_and_pivot_rows_are_one_flush_of_two_trips() {
    let fixture = league().await;
    let em = fixture.em();
    let (reds, red) = team(&em, "red", 10);
    let (blues, blue) = team(&em, "blue", 10);
    let skill = em.create(NewSkill { name: "speed".into() });
    red[3].write().skills.add(&skill);
    blue[4].write().skills.add(&skill);
    reds.write().rivals.add(&blues);
    blues.write().rivals.add(&reds);
    for place in ["Rome", "Oslo"] {
        reds.write().matches.add(em.create(NewMatch { place: place.into(), team: reds.to_ref() }));
    }
    // Lent to the other team, which has one of this as its keeper: the two circles are one.
    red[5].write().lent_to = Some(blues.to_ref());
    blues.write().keeper = Some(red[5].to_ref());
    red[6].write().number = 99;
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.round_trips), (2 + 22 + 2 + 1, 2));
    let sent = heads(&fixture);
    assert_eq!(sent.iter().filter(|head| *head == "INSERT player").count(), 2, "{sent:?}");
    let rows = "SELECT t.name, c.name, k.name, (SELECT count(*) FROM player p WHERE p.team_id = t.id), \
                (SELECT count(*) FROM match m WHERE m.team_id = t.id) FROM team t \
                JOIN player c ON c.id = t.captain_id LEFT JOIN player k ON k.id = t.keeper_id ORDER BY 1";
    assert_eq!(fixture.rows(rows).await, ["blue|blue0|red5|11|0", "red|red0|~|11|2"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM player_skills").await, ["2"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM team_rivals").await, ["2"]);
    assert_eq!(fixture.rows("SELECT name FROM player WHERE number <> 11").await, ["red6"]);
    assert!(red.iter().chain(&blue).all(|player| player.read().number == if player == &red[6] { 99 } else { 11 }));

    // One team goes with everything; the other has its own captain as its keeper then.
    fixture.forget();
    em.remove(&reds);
    em.remove(&red);
    blues.write().keeper = Some(blue[1].to_ref());
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.updated, summary.deleted, summary.round_trips), (1, 14, 1));
    assert_eq!(fixture.rows(rows).await, ["blue|blue0|blue1|11|0"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM player_skills").await, ["1"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM team_rivals").await, ["0"]);
}

#[tokio::test]
async fn rows_between_two_circles_go_with_them() {
    let fixture = league().await;
    let em = fixture.em();
    let (reds, red) = team(&em, "red", 0);
    let (blues, blue) = team(&em, "blue", 0);
    // Red's captain is lent to a team whose captain is new, too: circle, row, circle.
    let between = em.persist(NewPlayer { name: "between".into(), team: reds.to_ref() });
    blues.write().keeper = Some(between.to_ref());
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.round_trips), (5, 2));
    assert_eq!(written(&fixture), ["WITH INSERT INSERT"]);
    let rows = "SELECT t.name, k.name FROM team t LEFT JOIN player k ON k.id = t.keeper_id ORDER BY 1";
    assert_eq!(fixture.rows(rows).await, ["blue|between", "red|~"]);
    assert_eq!((red[0].read().number, blue[0].read().number, between.read().number), (11, 11, 11));
}

#[tokio::test]
async fn a_new_circle_takes_the_unique_value_of_one_that_goes() {
    let fixture = league().await;
    let em = fixture.em();
    let (old, players) = team(&em, "red", 1);
    em.flush().await.unwrap();
    fixture.forget();
    em.remove(&old);
    em.remove(&players);
    let (new, _) = team(&em, "red", 2);
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.deleted, summary.round_trips), (4, 3, 2));
    let written = written(&fixture);
    assert_eq!((written[0].as_str(), written[1].as_str()), ("DELETE", "DELETE"), "{written:?}");
    assert!(written.contains(&"WITH DELETE DELETE".to_owned()), "{written:?}");
    assert_eq!(fixture.rows("SELECT id, name FROM team").await, [format!("{}|red", new.id())]);
    // And an old player goes over to it.
    let (old, (newer, _)) = (new, team(&em, "blue", 0));
    let stays = em.find_all::<Player>().await.unwrap();
    stays[0].write().team = newer.to_ref();
    em.remove(&old);
    em.remove(stays.iter().filter(|player| player.read().team.id() == old.id()).collect::<Vec<_>>());
    em.flush().await.unwrap();
    assert_eq!(fixture.rows("SELECT count(*), count(DISTINCT team_id) FROM player").await, ["2|1"]);
}
