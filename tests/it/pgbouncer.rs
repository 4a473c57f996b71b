//! Behind PgBouncer in transaction mode: after each transaction the server connection is another client's. Two of them serve
//! all connections of the pool, so that whoever relies on the connection being the same is found out.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use howdah::prelude::*;
use howdah::testing::TestDatabase;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::library::*;
use crate::support::Fixture;

/// How many connections PgBouncer has to the server.
const SERVER_CONNECTIONS: usize = 2;

/// A running PgBouncer. Dropping it stops it.
struct PgBouncer {
    process: Child,
    directory: PathBuf,
    port: u16,
}

/// The program, where it is usually installed.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    directories.map(|directory| directory.join("pgbouncer")).find(|program| program.is_file())
}

impl PgBouncer {
    fn start(program: &Path, database: &TestDatabase) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = std::env::temp_dir().join(format!("howdah-pgbouncer-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let server: Config = database.url().parse().unwrap();
        let host = match &server.get_hosts()[0] {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        };
        let password = server.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
        let password = password.map(|password| format!(" password={password}")).unwrap_or_default();
        let settings = format!(
            "[databases]\n* = host={host} port={} user={}{password}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = {SERVER_CONNECTIONS}\nmax_client_conn = 100\n",
            server.get_ports().first().copied().unwrap_or(5432),
            server.get_user().unwrap_or("postgres"),
        );
        let file = directory.join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new(program);
        if is_root() {
            // It refuses to be root; whoever runs the server has access to its socket.
            command.args(["-u", &owner(Path::new(&host))]);
        }
        let log = std::fs::File::create(directory.join("log")).unwrap();
        command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut bouncer = Self { process: command.spawn().unwrap(), directory, port };
        bouncer.wait();
        bouncer
    }

    fn wait(&mut self) {
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            assert!(self.process.try_wait().unwrap().is_none(), "pgbouncer does not start: {log}");
            assert!(start.elapsed() < Duration::from_secs(20), "pgbouncer does not listen: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Who owns the directory of a socket; an account that every system has, where there is none.
fn owner(directory: &Path) -> String {
    let output = Command::new("stat").args(["-c", "%U"]).arg(directory).output();
    let name = output.ok().filter(|output| output.status.success());
    let name = name.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    name.filter(|name| name != "root").unwrap_or_else(|| "nobody".to_owned())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// A database behind PgBouncer; `None` if the program is not installed.
async fn bounced() -> Option<(Fixture, PgBouncer)> {
    let Some(program) = program() else {
        println!("skipped: the program pgbouncer is not installed");
        return None;
    };
    let database = TestDatabase::new().await.unwrap();
    let bouncer = PgBouncer::start(&program, &database);
    let url = format!("postgresql://anybody@127.0.0.1:{}/{}", bouncer.port, database.name());
    let options = |builder: howdah::OrmBuilder| builder.prepared_statements(false).max_connections(8);
    let fixture = Fixture::connect(database, &url, library(), options).await;
    Some((fixture, bouncer))
}

#[tokio::test]
async fn everything_works_in_transaction_mode_without_prepared_statements() {
    // E7
    let Some((fixture, _bouncer)) = bounced().await else { return };
    let em = fixture.em();
    let authors: Vec<_> = (0..20).map(|number| em.create(NewAuthor { name: format!("author {number:02}") })).collect();
    for author in &authors {
        for number in 0..3 {
            let book = em.persist(NewBook { title: format!("book {number}"), author: author.to_ref() });
            book.write().tags.add(em.persist(NewTag { name: format!("{}/{number}", author.read().name) }));
        }
    }
    let summary = em.flush().await.unwrap();
    assert_eq!((summary.inserted, summary.round_trips), (140, 2));
    // One statement alone, and several in one flight.
    authors[0].write().born = Some(1815);
    assert_eq!(em.flush().await.unwrap().round_trips, 1);
    let em = fixture.em();
    let found = em.find::<Author>().populate(|author| author.books().tags()).order_by(|author| author.name().asc());
    let found = found.await.unwrap();
    assert_eq!(found.len(), 20);
    assert!(found.iter().all(|author| author.read().books.len().unwrap() == 3));
    assert_eq!(em.count::<Tag>(Tag::fields().books().some(|book| book.title().eq("book 1"))).await.unwrap(), 20);
    // An error, and the same connection goes on.
    found[1].write().name = "author 02".into();
    let error = em.flush().await.unwrap_err();
    assert!(matches!(&error, Error::UniqueViolation { properties, .. } if *properties == ["name"]), "{error}");
    found[1].write().name = "author 01".into();
    em.remove(&found[3]);
    assert_eq!(em.flush().await.unwrap().deleted, 4);
}

#[tokio::test]
async fn transactions_locks_and_savepoints_stay_on_their_connection() {
    // D1, D2
    let Some((fixture, _bouncer)) = bounced().await else { return };
    let em = fixture.em();
    let ada = em.persist(NewAuthor { name: "Ada".into() });
    em.flush().await.unwrap();
    em.transactional(async |em| {
        em.lock(&ada, LockMode::PessimisticWrite).await?;
        for depth in 0..30 {
            let inner = em.transactional(async |em| {
                ada.write().born = Some(1800 + depth);
                em.persist(NewBook { title: format!("at {depth}"), author: ada.to_ref() });
                em.flush().await?;
                em.transactional(async |em| {
                    ada.write().born = Some(0);
                    em.count::<Author>(()).await?;
                    Err::<(), _>(Error::Validation { entity: None, message: "inner".into() })
                })
                .await
                .unwrap_err();
                if depth % 3 == 0 { Ok(()) } else { Err(Error::Validation { entity: None, message: "outer".into() }) }
            });
            assert_eq!(inner.await.is_ok(), depth % 3 == 0);
            assert_eq!(em.count::<Book>(()).await?, depth as u64 / 3 + 1);
        }
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(fixture.rows("SELECT born FROM author").await, ["1827"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM book").await, ["10"]);
    em.begin().await.unwrap();
    let savepoint = em.savepoint("before").await.unwrap();
    ada.write().born = Some(1);
    em.flush().await.unwrap();
    savepoint.rollback().await.unwrap();
    em.commit().await.unwrap();
    assert_eq!(fixture.rows("SELECT born FROM author").await, ["1827"]);
    // A transaction that is given up is rolled back before the connection is somebody else's.
    let given_up = fixture.em();
    given_up.begin().await.unwrap();
    given_up.persist(NewTag { name: "never".into() });
    given_up.flush().await.unwrap();
    drop(given_up);
    fixture.no_open_transaction().await;
    assert_eq!(fixture.em().count::<Tag>(()).await.unwrap(), 0);
}

#[tokio::test]
async fn more_clients_than_connections_take_turns() {
    // Eight connections of the pool, two of the server: transactions of all of them pass over both.
    let Some((fixture, _bouncer)) = bounced().await else { return };
    let work = (0..40).map(|number| {
        let em = fixture.em();
        tokio::spawn(async move {
            em.transactional(async |em| {
                let author = em.persist(NewAuthor { name: format!("author {number}") });
                em.flush().await?;
                em.persist(NewBook { title: "one".into(), author: author.to_ref() });
                em.persist(NewBook { title: "two".into(), author: author.to_ref() });
                let own = Book::fields().author().id().eq(author.id());
                assert_eq!(em.count::<Book>(own).await?, 2);
                Ok::<_, Error>(())
            })
            .await?;
            let found = em.find::<Author>().filter(|author| author.name().eq(format!("author {number}")));
            assert_eq!(found.populate(|author| author.books()).await?.len(), 1);
            Ok::<_, Error>(())
        })
    });
    for done in futures_util::future::join_all(work).await {
        done.unwrap().unwrap();
    }
    assert_eq!(fixture.rows("SELECT count(*) FROM book").await, ["80"]);
    let servers = "SELECT count(DISTINCT pid) <= 2 FROM pg_stat_activity WHERE datname = current_database() \
                   AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    assert_eq!(fixture.rows(servers).await, ["t"]);
    assert_eq!(fixture.open_transactions().await, 0);
}
