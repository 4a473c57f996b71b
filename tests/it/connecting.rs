//! Ways to a database: addresses, passwords, options, and what is said when there is no way.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::library::*;
use crate::support::Fixture;
use howdah::prelude::*;
use howdah::testing::TestDatabase;
use howdah::{OrmBuilder, StatementLog};

const PASSWORD: &str = "hunter2";

fn builder(url: &str) -> OrmBuilder {
    Orm::builder().url(url).entities(library())
}

/// The error of a connection that cannot be made. It never shows the password.
async fn refused(builder: OrmBuilder) -> Error {
    let error = builder.connect().await.unwrap_err();
    for shown in [error.to_string(), format!("{error:?}")] {
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
    error
}

/// A server of one connection, in a thread of its own; answers with its port.
fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || serve(listener.accept().unwrap().0));
    port
}

/// Reads one message of the protocol; the first one has no type.
fn message(stream: &mut TcpStream, with_type: bool) -> Vec<u8> {
    if with_type {
        stream.read_exact(&mut [0]).unwrap();
    }
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut body).unwrap();
    body
}

#[tokio::test]
async fn a_url_that_cannot_be_read_is_a_validation_error() {
    for url in [
        format!("postgresql://ada:{PASSWORD}@localhost:port/shop"),
        format!("mysql://ada:{PASSWORD}@localhost/shop"),
        format!("postgresql://ada:{PASSWORD}@localhost/shop?colour=blue"),
        String::new() + "localhost",
    ] {
        let error = refused(builder(&url)).await;
        assert!(matches!(error, Error::Validation { .. }), "{error:?}");
        assert!(error.to_string().contains("postgresql://user:password@host:5432/database"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = refused(builder(&format!("postgresql://ada:{PASSWORD}@127.0.0.1:{port}/shop"))).await;
    assert!(matches!(error, Error::Connection { sqlstate: None, .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.starts_with(&format!("cannot connect to 127.0.0.1:{port}/shop: ")), "{message}");
    assert!(message.contains("is the server running"), "{message}");

    let error = refused(builder(&format!("host=/nowhere user=ada password={PASSWORD} dbname=shop"))).await;
    assert!(error.to_string().contains("cannot connect to /nowhere:5432/shop: "), "{error}");
    let error = refused(builder("postgresql://ada@no-such-host.invalid/shop")).await;
    assert!(matches!(error, Error::Connection { sqlstate: None, .. }), "{error:?}");
}

#[tokio::test]
async fn a_wrong_password_is_told_without_it() {
    let port = server(|mut stream| {
        message(&mut stream, false);
        stream.write_all(b"R\0\0\0\x08\0\0\0\x03").unwrap();
        let sent = message(&mut stream, true);
        assert_eq!(sent, format!("{PASSWORD}\0").as_bytes());
        let fields = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user \"ada\"\0\0";
        let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
        stream.write_all(&[&b"E"[..], &length, fields].concat()).unwrap();
    });
    let error = refused(builder("postgresql://ada@127.0.0.1/shop").port(port).password(PASSWORD)).await;
    assert_eq!(error.sqlstate(), Some("28P01"), "{error:?}");
    assert!(matches!(error, Error::Connection { .. }));
    let expected = format!(
        "cannot connect to 127.0.0.1:{port}/shop: password authentication failed for user \"ada\"; check the password"
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let (end, is_end) = std::sync::mpsc::channel::<()>();
    let port = server(move |_stream| {
        let _ = is_end.recv();
    });
    let url = format!("postgresql://ada:{PASSWORD}@127.0.0.1:{port}/shop");
    let error = refused(builder(&url).connect_timeout(Duration::from_millis(50))).await;
    assert!(matches!(error, Error::Connection { sqlstate: None, .. }), "{error:?}");
    assert!(error.to_string().contains("no answer within 50ms"), "{error}");
    drop(end);
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_told() {
    let database = TestDatabase::new().await.unwrap();
    let url = database.url().replace(database.name(), "no_such_database");
    let error = refused(builder(&url)).await;
    assert_eq!(error.sqlstate(), Some("3D000"));
    let message = error.to_string();
    assert!(message.contains("no_such_database") && message.contains("create the database"), "{message}");
}

#[tokio::test]
async fn options_that_contradict_each_other_are_refused() {
    let url = "postgresql://ada@localhost:5432/shop";
    for (builder, expected) in [
        (builder(url).max_connections(0), "max_connections must be at least 1"),
        (builder(url).min_connections(3).max_connections(2), "min_connections (3) is more than max_connections (2)"),
    ] {
        let error = refused(builder).await;
        assert!(matches!(error, Error::Validation { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn connections_are_opened_between_min_and_max_and_carry_the_name() {
    let database = TestDatabase::new().await.unwrap();
    let log = StatementLog::new();
    let options = builder(database.url()).min_connections(2).max_connections(3).application_name("the shop");
    let orm = options.acquire_timeout(Duration::from_millis(50)).statement_log(&log).connect().await.unwrap();
    let connections = async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'the shop'";
        database.query(sql).await.unwrap()[0][0].clone().unwrap()
    };
    assert_eq!(connections().await, "2");
    let managers = [orm.em(), orm.em(), orm.em()];
    for em in &managers {
        em.begin().await.unwrap();
    }
    assert_eq!(connections().await, "3");
    let error = orm.em().count::<Author>(()).await.unwrap_err();
    let expected = "no connection available: all 3 connections were in use for 50ms: raise max_connections, or keep \
                    transactions shorter";
    assert_eq!(error.to_string(), expected);
    assert!(matches!(error, Error::Pool { .. }));
    managers[0].rollback().await.unwrap();
    orm.schema().create().await.unwrap();
    assert_eq!(orm.em().count::<Author>(()).await.unwrap(), 0, "one is free again");
}

/// What the connection that asks has prepared.
#[derive(Entity, Clone, Debug)]
#[entity(table = "pg_prepared_statements", schema = "pg_catalog")]
pub struct Prepared {
    #[primary_key(assigned)]
    pub name: String,
    pub statement: String,
}

#[tokio::test]
async fn statements_are_prepared_at_most_so_many() {
    let fixture = Fixture::new(library()).await;
    for (size, expected) in [(0, 0), (2, 2), (100, 6)] {
        let options = Orm::builder().url(fixture.database.url()).entities(library()).entity::<Prepared>();
        let orm = options.max_connections(1).statement_cache_size(size).connect().await.unwrap();
        let em = orm.em();
        for _ in 0..3 {
            em.count::<Author>(()).await.unwrap();
            em.count::<Book>(()).await.unwrap();
            em.count::<Shelf>(()).await.unwrap();
            em.count::<Tag>(()).await.unwrap();
            em.find_one::<Author>(1, ()).await.unwrap();
            em.count::<Prepared>(()).await.unwrap();
        }
        assert_eq!(em.count::<Prepared>(()).await.unwrap(), expected, "a cache of {size}");
    }
}

#[tokio::test]
async fn a_closed_orm_gives_no_connections() {
    let fixture = Fixture::new(library()).await;
    let em = fixture.em();
    em.begin().await.unwrap();
    let ada = em.persist(NewAuthor { name: "Ada".into() });
    fixture.orm.close();
    // What is under way may end.
    em.commit().await.unwrap();
    assert_eq!(ada.id(), 1);
    let error = em.count::<Author>(()).await.unwrap_err();
    assert_eq!(error.to_string(), "no connection available: the Orm was closed");
    assert!(matches!(error, Error::Pool { .. }));
    assert!(matches!(em.begin().await, Err(Error::Pool { .. })));
    assert_eq!(fixture.rows("SELECT name FROM author").await, ["Ada"]);
}

/// Runs [`environment_of_this_process`] in a process with these variables.
fn in_environment(variables: &[(&str, &str)]) -> std::process::Output {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    for name in ["DATABASE_URL", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGAPPNAME"] {
        command.env_remove(name);
    }
    let test = "connecting::environment_of_this_process";
    command.args(["--exact", test, "--ignored", "--nocapture"]).envs(variables.iter().copied()).output().unwrap()
}

#[tokio::test]
async fn the_environment_names_the_database() {
    let database = TestDatabase::new().await.unwrap();
    let config: tokio_postgres::Config = database.url().parse().unwrap();
    let host = match &config.get_hosts()[0] {
        tokio_postgres::config::Host::Tcp(name) => name.clone(),
        tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
    };
    let port = config.get_ports()[0].to_string();
    let password = config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
    let single = [
        ("PGHOST", &*host),
        ("PGPORT", &port),
        ("PGUSER", config.get_user().unwrap()),
        ("PGPASSWORD", password.as_deref().unwrap_or_default()),
        ("PGDATABASE", database.name()),
    ];
    for variables in [&[("DATABASE_URL", database.url()), ("PGHOST", "nowhere.invalid")][..], &single] {
        let output = in_environment(variables);
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
    }
    assert_eq!(database.query("SELECT code FROM shelf").await.unwrap(), [[Some("2".to_owned())]]);
    let output = in_environment(&[]);
    let shown = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success() && shown.contains("set DATABASE_URL to postgresql://"), "{shown}");
}

#[tokio::test]
#[ignore = "run by the_environment_names_the_database, in a process with the variables"]
async fn environment_of_this_process() {
    let orm = Orm::builder().entities(library()).from_env().unwrap().connect().await.unwrap();
    let made = orm.schema().create().await.is_ok();
    let em = orm.em();
    if !made {
        em.remove(em.find_all::<Shelf>().await.unwrap());
    }
    em.persist(NewShelf { code: if made { "1".into() } else { "2".into() } });
    em.flush().await.unwrap();
}
