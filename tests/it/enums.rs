//! Enums as columns, in each of the three ways in which they are stored: as text, as a native type, as an integer.

use crate::support::Fixture;
use howdah::prelude::*;

mod keys;
mod schema;

#[derive(DbEnum, Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[db_enum(native, rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Open,
    InProgress,
    #[db_enum(rename = "won't \"fix\", {NULL} \\")]
    WontFix,
    Closed,
}

#[derive(DbEnum, Clone, Debug, PartialEq)]
#[db_enum(rename_all = "kebab-case")]
pub enum Channel {
    WebForm,
    Mail,
    #[db_enum(rename = "it's \"said\", {NULL} \\")]
    Phone,
}

#[derive(DbEnum, Clone, Copy, Debug, PartialEq, Default)]
#[db_enum(integer)]
pub enum Priority {
    Low = -1,
    #[default]
    Normal,
    High = 10,
}

#[derive(Entity, Clone, Debug)]
pub struct Ticket {
    #[primary_key]
    pub id: i64,
    pub title: String,
    #[property(default = Status::Open, index)]
    pub status: Status,
    pub channel: Channel,
    #[property(default = Priority::High)]
    pub priority: Priority,
    pub previous: Option<Status>,
    #[property(default = Channel::Mail)]
    pub origin: Option<Channel>,
    pub urgency: Option<Priority>,
    #[property(default = vec![Status::Open])]
    pub history: Vec<Status>,
    pub channels: Option<Vec<Channel>>,
    pub levels: Option<Vec<Priority>>,
}

fn ticket(title: &str, channel: Channel) -> Ticket {
    NewTicket { title: title.into(), channel }.into()
}

const ALL: &str = "SELECT title, status, channel, priority, previous, origin, urgency, history, channels, levels \
                   FROM ticket ORDER BY id";

#[tokio::test]
async fn every_storage_is_written_and_read_back() {
    let fixture = Fixture::new(entities![Ticket]).await;
    let em = fixture.em();
    em.persist(ticket("plain", Channel::WebForm));
    let full = Ticket {
        status: Status::WontFix,
        priority: Priority::Low,
        previous: Some(Status::InProgress),
        origin: Some(Channel::Phone),
        urgency: Some(Priority::Normal),
        history: vec![Status::WontFix, Status::Open, Status::WontFix],
        channels: Some(vec![Channel::Phone, Channel::WebForm]),
        levels: Some(vec![Priority::High, Priority::Low]),
        ..ticket("full", Channel::Phone)
    };
    em.persist(full.clone());
    em.persist(Ticket { history: vec![], channels: Some(vec![]), ..ticket("empty", Channel::Mail) });
    assert_eq!(em.flush().await.unwrap().inserted, 3);
    let fix = r#"won't "fix", {NULL} \"#;
    let said = r#"it's "said", {NULL} \"#;
    let (fix_in_array, said_in_array) = (r#""won't \"fix\", {NULL} \\""#, r#""it's \"said\", {NULL} \\""#);
    assert_eq!(
        fixture.rows(ALL).await,
        [
            "plain|open|web-form|10|~|mail|~|{open}|~|~".to_owned(),
            format!(
                "full|{fix}|{said}|-1|in_progress|{said}|0|{{{fix_in_array},open,{fix_in_array}}}|\
                 {{{said_in_array},web-form}}|{{10,-1}}"
            ),
            "empty|open|mail|10|~|mail|~|{}|{}|~".to_owned(),
        ]
    );
    let types = "SELECT DISTINCT concat_ws(' ', pg_typeof(status), pg_typeof(channel), pg_typeof(priority), \
                 pg_typeof(history), pg_typeof(channels), pg_typeof(levels)) FROM ticket";
    assert_eq!(fixture.rows(types).await, ["status text smallint status[] text[] smallint[]"]);

    let em = fixture.em();
    let tickets = em.find::<Ticket>().order_by(|t| t.id().asc()).await.unwrap();
    let read = tickets[1].read();
    assert_eq!((read.status, &read.channel, read.priority), (full.status, &full.channel, full.priority));
    assert_eq!((read.previous, &read.origin, read.urgency), (full.previous, &full.origin, full.urgency));
    assert_eq!((&read.history, &read.channels, &read.levels), (&full.history, &full.channels, &full.levels));
    let read = tickets[0].read();
    assert_eq!((read.previous, read.urgency, &read.channels, &read.levels), (None, None, &None, &None));
    assert_eq!(tickets[2].read().channels, Some(vec![]));
}

#[tokio::test]
async fn filters_compare_with_variants() {
    let fixture = Fixture::new(entities![Ticket]).await;
    let em = fixture.em();
    let statuses = [Status::Open, Status::InProgress, Status::WontFix, Status::Closed];
    for (status, priority) in statuses.into_iter().zip([Priority::Low, Priority::Normal, Priority::High, Priority::Low])
    {
        let previous = (status != Status::Open).then_some(Status::Open);
        let channel = if status == Status::Closed { Channel::Phone } else { Channel::Mail };
        em.persist(Ticket { status, priority, previous, history: vec![Status::Open, status], ..ticket("t", channel) });
    }
    em.flush().await.unwrap();
    let fields = Ticket::fields;
    let none: [Status; 0] = [];
    for (condition, rows) in [
        (fields().status().eq(Status::WontFix), 1),
        (fields().status().ne(Status::Open), 3),
        (fields().status().is_in([Status::Open, Status::WontFix]), 2),
        (fields().status().is_in(none), 0),
        (fields().status().not_in([Status::Open, Status::WontFix, Status::Closed]), 1),
        // A native enum has the order of its declaration: "won't fix" is behind "in_progress", and before "closed".
        (fields().status().gt(Status::InProgress), 2),
        (fields().status().lte(Status::InProgress), 2),
        (fields().status().between(Status::InProgress, Status::WontFix), 2),
        (fields().previous().is_null(), 1),
        (fields().previous().is_not_null(), 3),
        (fields().previous().eq(Status::Open), 3),
        (fields().previous().ne(Status::Open), 0),
        (fields().channel().eq(Channel::Phone), 1),
        (fields().channel().ne(Channel::Phone), 3),
        (fields().channel().is_in([Channel::WebForm, Channel::Phone]), 1),
        (fields().channel().not_in([Channel::Phone]), 3),
        (fields().origin().eq(Channel::Mail), 4),
        // An integer enum has the order of its numbers.
        (fields().priority().eq(Priority::Normal), 1),
        (fields().priority().gte(Priority::Normal), 2),
        (fields().priority().is_in([Priority::Low, Priority::High]), 3),
        (fields().urgency().is_null(), 4),
        (fields().history().eq(vec![Status::Open, Status::Closed]), 1),
        (fields().history().gt(vec![Status::Open, Status::WontFix]), 1),
        (fields().status().eq(Status::Open) | fields().channel().eq(Channel::Phone), 2),
        (!fields().status().eq(Status::Open), 3),
    ] {
        fixture.forget();
        let found = em.count::<Ticket>(condition.clone()).await;
        assert_eq!(found.unwrap_or_else(|error| panic!("{condition:?}: {error}")), rows, "{condition:?}");
        assert_eq!(fixture.log.round_trips(), 1, "{condition:?}");
    }
    let order = |tickets: Vec<Managed<Ticket>>| tickets.iter().map(|t| t.read().status).collect::<Vec<_>>();
    let ascending = em.find::<Ticket>().order_by(|t| t.status().asc()).await.unwrap();
    assert_eq!(order(ascending), statuses);
    let mixed = em.find::<Ticket>().order_by(|t| (t.channel().asc(), t.priority().desc(), t.status().asc()));
    assert_eq!(
        order(mixed.await.unwrap()),
        [Status::Closed, Status::WontFix, Status::InProgress, Status::Open],
        "text has the order of the alphabet: it's … before mail"
    );
}

#[tokio::test]
async fn b2_b3_only_what_has_changed_is_updated() {
    let fixture = Fixture::new(entities![Ticket]).await;
    let em = fixture.em();
    let ticket = em.persist(ticket("one", Channel::Mail));
    em.flush().await.unwrap();
    fixture.forget();
    ticket.update(|t| (t.status, t.channel, t.priority) = (Status::Closed, Channel::Phone, Priority::Low));
    ticket.update(|t| (t.status, t.channel, t.priority) = (Status::Open, Channel::Mail, Priority::High));
    ticket.update(|t| (t.history, t.origin) = (vec![Status::Open], Some(Channel::Mail)));
    assert!(!ticket.is_dirty());
    assert_eq!(em.flush().await.unwrap().statements, 0, "everything is as it was");

    ticket.update(|t| (t.status, t.previous) = (Status::Closed, Some(Status::Open)));
    assert_eq!(em.flush().await.unwrap().updated, 1);
    let statements = fixture.statements();
    let [update] = statements.as_slice() else { panic!("{statements:?}") };
    assert!(update.contains(r#""status" = s.c0::"status", "previous" = s.c1::"status" FROM"#), "{update}");
    ticket.update(|t| (t.previous, t.origin, t.priority) = (None, None, Priority::Normal));
    ticket.write().history.push(Status::WontFix);
    ticket.write().channels = Some(vec![Channel::WebForm]);
    em.flush().await.unwrap();
    let rows = fixture.rows("SELECT status, previous, origin, priority, history, channels FROM ticket").await;
    assert_eq!(rows, [r#"closed|~|~|0|{open,"won't \"fix\", {NULL} \\"}|{web-form}"#]);
}

#[tokio::test]
async fn c4_a_thousand_rows_are_one_statement() {
    let fixture = Fixture::new(entities![Ticket]).await;
    let em = fixture.em();
    let statuses = Status::VARIANTS.iter().copied().cycle();
    let tickets: Vec<_> = statuses
        .zip(0..1000)
        .map(|(status, number)| {
            let some = number % 3 == 0;
            em.persist(Ticket {
                status,
                previous: some.then_some(Status::WontFix),
                urgency: some.then_some(Priority::Low),
                history: vec![status; number % 4],
                // NULL, {} and values in one batch.
                channels: some.then(|| vec![Channel::Phone; number % 2]),
                levels: (!some).then(|| vec![Priority::High, Priority::Low]),
                ..ticket(&number.to_string(), Channel::Phone)
            })
        })
        .collect();
    fixture.forget();
    assert_eq!(em.flush().await.unwrap().inserted, 1000);
    assert_eq!(fixture.statements().len(), 1);
    let sums = "SELECT count(*), count(previous), count(urgency), sum(cardinality(history)), count(channels), \
                sum(cardinality(channels)), count(levels), count(*) FILTER (WHERE status = 'closed') FROM ticket";
    assert_eq!(fixture.rows(sums).await, ["1000|334|334|1500|334|167|666|250"]);

    for ticket in &tickets {
        ticket.update(|t| (t.status, t.channels, t.levels) = (Status::Closed, Some(vec![Channel::Mail]), None));
    }
    fixture.forget();
    assert_eq!(em.flush().await.unwrap().updated, 1000);
    assert_eq!(fixture.rows(sums).await, ["1000|334|334|1500|1000|1000|0|1000"]);
    let read = fixture.em().find::<Ticket>().filter(|t| t.status().eq(Status::Closed)).await.unwrap();
    assert_eq!(read.len(), 1000);
}

/// What the server knows of a connection: the statements that were prepared on it, the driver's own among them.
#[derive(Entity, Clone, Debug)]
#[entity(table = "pg_prepared_statements", schema = "pg_catalog")]
pub struct PreparedStatement {
    #[primary_key]
    pub name: String,
    pub statement: String,
}

#[derive(Entity, Clone, Debug)]
pub struct Plain {
    #[primary_key]
    pub id: i64,
    pub name: String,
}

/// A view of the tickets that reads the type as it is.
#[derive(Entity, Clone, Debug)]
pub struct Uncast {
    #[primary_key]
    pub id: i64,
    pub status: String,
}

#[tokio::test]
async fn the_catalogs_are_never_asked() {
    let fixture = Fixture::new(entities![Ticket, Plain]).await;
    let log = howdah::StatementLog::new();
    let builder =
        Orm::builder().url(fixture.database.url()).entities(entities![Ticket, Plain, Uncast, PreparedStatement]);
    let orm = builder.max_connections(1).statement_log(&log).connect().await.unwrap();
    let em = orm.em();
    // Of a flush of text and numbers only.
    em.persist(NewPlain { name: "plain".into() });
    let trips = em.flush().await.unwrap().round_trips;
    // The first run of each statement on the connection, and the others, which are prepared.
    for round in 1..=3 {
        let ticket = em.persist(Ticket { previous: Some(Status::Closed), ..ticket("t", Channel::Mail) });
        let inserted = em.flush().await.unwrap();
        assert_eq!((inserted.inserted, inserted.statements, inserted.round_trips), (1, 1, trips));
        ticket.update(|t| (t.status, t.history) = (Status::Closed, vec![Status::WontFix]));
        let updated = em.flush().await.unwrap();
        assert_eq!((updated.updated, updated.statements, updated.round_trips), (1, 1, trips));
        em.clear();
        log.clear();
        let found = em.find::<Ticket>().filter(|t| t.status().is_in([Status::Closed])).await.unwrap();
        assert_eq!((found.len(), log.round_trips()), (round, 1));
        let history = Ticket::fields().history().eq(vec![Status::WontFix]);
        assert_eq!(em.find::<Ticket>().filter(|_| history).await.unwrap(), found);
        assert_eq!(log.round_trips(), 2);
    }
    let prepared = async || -> Vec<String> {
        let all = orm.em().find_all::<PreparedStatement>().await.unwrap();
        all.iter().map(|prepared| prepared.read().statement.clone()).collect()
    };
    let asks = |text: &String| text.contains("pg_catalog.pg_type");
    let before = prepared().await;
    assert!(before.iter().any(|text| text.starts_with("INSERT INTO \"ticket\"")), "{before:?}");
    assert!(!before.iter().any(asks), "{before:?}");

    // It would be seen.
    fixture.database.execute("CREATE VIEW uncast AS SELECT id, status FROM ticket").await.unwrap();
    let error = em.find_all::<Uncast>().await.unwrap_err();
    assert!(error.to_string().contains("the column is status, and the field is read as text"), "{error}");
    assert!(prepared().await.iter().any(asks));
}

#[tokio::test]
async fn a_value_that_is_no_variant_is_an_error_that_names_entity_column_and_value() {
    let fixture = Fixture::new(entities![Ticket]).await;
    let insert = |column: &str, value: &str| {
        let values = match column {
            "status" => format!("{value}, 'mail', 0, '{{}}'"),
            "channel" => format!("'open', {value}, 0, '{{}}'"),
            "priority" => format!("'open', 'mail', {value}, '{{}}'"),
            _ => format!("'open', 'mail', 0, {value}"),
        };
        format!("INSERT INTO ticket (title, status, channel, priority, history) VALUES ('t', {values})")
    };
    let later = "ALTER TYPE status ADD VALUE 'archived'; \
                 ALTER TABLE ticket DROP CONSTRAINT ticket_channel_check, DROP CONSTRAINT ticket_priority_check";
    fixture.database.execute(later).await.unwrap();
    let statuses = r#"Status, which has "open", "in_progress", "won't \"fix\", {NULL} \\", "closed""#;
    let channels = r#"Channel, which has "web-form", "mail", "it's \"said\", {NULL} \\""#;
    for (column, value, message) in [
        ("status", "'archived'", format!(r#""archived" is no value of the enum {statuses}"#)),
        ("channel", "'Fax'", format!(r#""Fax" is no value of the enum {channels}"#)),
        ("priority", "3", "3 is no value of the enum Priority, which has -1, 0, 10".to_owned()),
        ("history", "'{open,archived}'", format!(r#"array element 2: "archived" is no value of the enum {statuses}"#)),
        ("history", "'{open,NULL}'", "array element 2 is NULL; a Vec holds arrays without NULLs".to_owned()),
    ] {
        fixture.database.execute("DELETE FROM ticket").await.unwrap();
        fixture.database.execute(&insert(column, value)).await.unwrap();
        let error = fixture.em().find_all::<Ticket>().await.unwrap_err();
        let Error::Conversion { entity: "Ticket", column: found, message: said } = &error else { panic!("{error:?}") };
        assert_eq!((found.as_str(), said), (column, &message));
    }
}

#[test]
fn an_enum_is_called_the_same_in_json() {
    let statuses = [Status::InProgress, Status::Closed];
    let json = serde_json::to_value(statuses).unwrap();
    assert_eq!(json, serde_json::json!(["in_progress", "closed"]));
    assert_eq!(serde_json::from_value::<[Status; 2]>(json).unwrap(), statuses);
}
