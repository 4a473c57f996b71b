//! The database that starts itself: separate databases, templates, and nothing left however a process ends.
//!
//! What happens at the end of a process is tried in processes of its own: this test binary once more, with the
//! environment saying what it shall do.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use howdah::testing::{TestDatabase, TestingError};

/// What the child shall do once it has a database; unset in the tests' own process.
const ENDING: &str = "HOWDAH_TEST_ENDING";

type TestResult = Result<(), Box<dyn Error>>;

#[tokio::test]
async fn two_databases_are_separate() -> TestResult {
    let (mine, yours) = (TestDatabase::new().await?, TestDatabase::new().await?);
    mine.execute("CREATE TABLE authors (id int, name text); INSERT INTO authors VALUES (1, 'Ada'), (2, NULL)").await?;

    let rows = mine.query("SELECT id, name FROM authors ORDER BY id").await?;
    assert_eq!(rows, [[Some("1".to_owned()), Some("Ada".to_owned())], [Some("2".to_owned()), None]]);
    let error = yours.query("SELECT * FROM authors").await.unwrap_err();
    assert!(matches!(&error, TestingError::Statement { database, .. } if database == yours.name()));
    assert!(format!("{error:?}").contains("relation \"authors\" does not exist"), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn the_url_is_one_that_clients_understand() -> TestResult {
    let database = TestDatabase::new().await?;
    let (client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let row = client.query_one("SELECT current_database()::text", &[]).await?;
    assert_eq!(row.get::<_, String>(0), database.name());
    Ok(())
}

#[tokio::test]
async fn text_beyond_ascii_is_lowered_and_sorted_the_same_everywhere() -> TestResult {
    if env::var_os("DATABASE_URL").is_some() {
        return Ok(());
    }
    let database = TestDatabase::new().await?;
    let rows = database.query("SELECT lower('É'), 'É' ILIKE 'é', 'Z' < 'a', current_setting('timezone')").await?;
    assert_eq!(rows, [["é", "t", "t", "UTC"].map(|value| Some(value.to_owned()))]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_set_up_once_for_concurrent_callers() -> TestResult {
    static SET_UPS: AtomicUsize = AtomicUsize::new(0);
    let callers = (0..8).map(|caller| {
        tokio::spawn(async move {
            let database = TestDatabase::from_template("library", async |url: String| {
                SET_UPS.fetch_add(1, Ordering::SeqCst);
                let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
                tokio::spawn(connection);
                let outcome = client.batch_execute("CREATE TABLE books AS SELECT 'Emma' AS title").await;
                // A connection that somebody forgot must not be in the way of the copies.
                std::mem::forget(client);
                outcome
            })
            .await?;
            database.execute(&format!("INSERT INTO books VALUES ('Book {caller}')")).await?;
            let rows = database.query("SELECT title FROM books ORDER BY title").await?;
            assert_eq!(rows, [[Some(format!("Book {caller}"))], [Some("Emma".to_owned())]]);
            Ok::<_, TestingError>(database.name().to_owned())
        })
    });
    let mut names = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        names.push(caller.await??);
    }
    names.sort();
    names.dedup();
    assert_eq!((names.len(), SET_UPS.load(Ordering::SeqCst)), (8, 1));
    Ok(())
}

#[tokio::test]
async fn a_failed_set_up_is_reported_and_the_next_caller_runs_its_own() -> TestResult {
    let failing = TestDatabase::from_template("shop", |_| async { Err("the shop is closed") }).await;
    let error = failing.unwrap_err();
    assert!(matches!(&error, TestingError::Setup { key, .. } if key == "shop"));
    assert!(format!("{error:?}").contains("the shop is closed"), "{error:?}");

    let database = TestDatabase::from_template("shop", |_| async { Ok::<_, TestingError>(()) }).await?;
    assert_eq!(database.query("SELECT 1").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_dropped_database_is_gone_even_with_clients_connected() -> TestResult {
    let (observer, database) = (TestDatabase::new().await?, TestDatabase::new().await?);
    let (client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let name = database.name().to_owned();
    drop(database);
    within(Duration::from_secs(10), || async { !exists(&observer, &name).await.unwrap() }).await;
    assert!(client.simple_query("SELECT 1").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_dropped_future_leaves_no_database() -> TestResult {
    // In a process of its own nobody else makes databases.
    let mut child = spawn("cancel", &mut this_binary());
    let (client, connection) = tokio_postgres::connect(&child.url(), tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let databases = client.query("SELECT FROM pg_database WHERE datname LIKE 'howdah%'", &[]).await?;
    assert_eq!(databases.len(), 2, "only those that were waited for");
    child.end();
    Ok(())
}

/// By a signal that cannot be caught, by a panic, and without or with unwinding.
#[test]
fn nothing_is_left_however_a_process_ends() {
    for ending in ["kill", "panic", "abort", "exit", "return"] {
        let mut child = spawn(ending, &mut this_binary());
        let (directory, server) = (child.directory(), child.server());
        assert!(directory.is_dir() && is_running(server), "{}", directory.display());
        child.end();
        wait_until(&format!("{} is gone after {ending}", directory.display()), || !directory.exists());
        assert!(!is_running(server), "the server is still there after {ending}");
    }
}

#[test]
fn missing_programs_are_an_error_that_says_what_to_install() {
    let empty = scratch_directory("no-programs");
    let child = spawn("return", this_binary().env("PG_BIN_DIR", &empty).env("PATH", ""));
    fs::remove_dir(&empty).unwrap();
    let message = child.error();
    assert!(message.contains(&format!("{} (PG_BIN_DIR)", empty.display())), "{message}");
    assert!(message.contains("install") && message.contains("DATABASE_URL"), "{message}");
}

#[test]
fn a_server_that_cannot_be_reached_is_an_error_without_the_password() {
    let url = "postgresql://app:secret@127.0.0.1:1/shop";
    let message = spawn("return", this_binary().env("DATABASE_URL", url)).error();
    assert!(message.contains("127.0.0.1:1, as user app") && !message.contains("secret"), "{message}");
}

#[test]
fn root_is_not_needed() {
    // Only root can become somebody else, and everybody else tries it in all the other tests.
    let directory = scratch_directory("nobody");
    if fs::metadata(&directory).unwrap().uid() != 0 {
        return fs::remove_dir(directory).unwrap();
    }
    let nobody = 65_534;
    let binary = directory.join("tests");
    fs::copy(env::current_exe().unwrap(), &binary).unwrap();
    let mut command = Command::new(&binary);
    command.uid(nobody).gid(nobody).env("HOME", "/nonexistent").env_remove("XDG_CACHE_HOME").current_dir("/");
    let mut child = spawn("kill", &mut command);
    let server = child.directory();
    assert_eq!(fs::metadata(&server).unwrap().uid(), nobody);
    child.end();
    wait_until("the server is gone", || !server.exists());
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn the_cached_cluster_is_made_once_and_remade_when_it_is_broken() {
    let cache = scratch_directory("cache");
    let start = || spawn("return", this_binary().env("XDG_CACHE_HOME", &cache));
    let entries = || {
        let entries = fs::read_dir(cache.join("howdah")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };

    let mut at_once = [start(), start()];
    for child in &mut at_once {
        child.directory();
    }
    for child in &mut at_once {
        child.end();
    }
    let [template] = entries().try_into().expect("one template, and nothing unfinished");

    let restart = || {
        let mut child = start();
        child.directory();
        child.end();
        assert_eq!(entries(), std::slice::from_ref(&template));
        fs::metadata(template.join("complete")).unwrap().ino()
    };
    let made = restart();
    assert_eq!(restart(), made, "a whole template is used again");

    let control = template.join("data/global/pg_control");
    let size = fs::metadata(&control).unwrap().len();
    fs::write(&control, "").unwrap();
    restart();
    let remade = fs::metadata(&control).unwrap().len();
    assert_eq!(remade, size, "a template that is not whole is made anew");

    fs::write(&control, vec![0; usize::try_from(size).unwrap()]).unwrap();
    restart();
    let remade = fs::read(&control).unwrap();
    assert!(remade.iter().any(|byte| *byte != 0), "so is one that no server starts from");
    fs::remove_dir_all(cache).unwrap();
}

#[tokio::test]
async fn databases_on_a_given_server_are_dropped_and_leftovers_recognised() -> TestResult {
    let server = TestDatabase::new().await?;
    let on_server = || {
        let mut command = this_binary();
        command.env("DATABASE_URL", server.url());
        command
    };
    let mut tidy = spawn("return", &mut on_server());
    let name = tidy.database();
    assert!(exists(&server, &name).await?);
    tidy.end();
    assert!(!exists(&server, &name).await?, "it is dropped before the process ends");

    let mut killed = spawn("kill", &mut on_server());
    let name = killed.database();
    killed.end();
    assert!(exists(&server, &name).await?);
    let mut next = spawn("return", &mut on_server());
    next.database();
    assert!(!exists(&server, &name).await?, "the next process drops it");
    assert!(exists(&server, server.name()).await?, "but not those of a living one");
    next.end();
    Ok(())
}

/// The other process: makes a database, says where it is, and ends as it was told to.
#[test]
#[ignore = "a process of its own, started by the other tests"]
fn child() {
    let Ok(ending) = env::var(ENDING) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = match runtime.block_on(TestDatabase::new()) {
        Ok(database) => database,
        Err(error) => return println!("\nERROR {error}"),
    };
    let mut last = None;
    if ending == "cancel" {
        runtime.block_on(async {
            for patience in [0, 1, 3, 8] {
                let _ = tokio::time::timeout(Duration::from_millis(patience), TestDatabase::new()).await;
            }
            // Tasks are done in order: when this one is done, so are those of the dropped futures.
            last = Some(TestDatabase::new().await.unwrap());
        });
    }
    println!("\nREADY {}", database.url());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    match ending.as_str() {
        "panic" => panic!("as it was told to"),
        "abort" => std::process::abort(),
        "exit" => std::process::exit(0),
        "kill" => thread::sleep(Duration::from_mins(1)),
        _ => {}
    }
}

struct Running {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
    ending: &'static str,
    url: Option<String>,
}

fn this_binary() -> Command {
    Command::new(env::current_exe().unwrap())
}

fn spawn(ending: &'static str, command: &mut Command) -> Running {
    let name = format!("{}::child", module_path!().split_once("::").unwrap().1);
    if !command.get_envs().any(|(name, _)| name == "DATABASE_URL") {
        command.env_remove("DATABASE_URL");
    }
    command.args(["--exact", &name, "--ignored", "--nocapture"]).env(ENDING, ending);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    Running { process, output, ending, url: None }
}

impl Running {
    fn line(&mut self, start: &str) -> String {
        let mut seen = String::new();
        for line in self.output.by_ref().lines().map_while(Result::ok) {
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        panic!("no line starts with {start:?}: {seen}");
    }

    fn url(&mut self) -> String {
        if self.url.is_none() {
            self.url = Some(self.line("READY "));
        }
        self.url.clone().unwrap()
    }

    fn directory(&mut self) -> PathBuf {
        let url = self.url();
        let host = url.strip_prefix("postgresql://postgres@").and_then(|rest| rest.split_once(':')).unwrap().0;
        PathBuf::from(host.replace("%2F", "/"))
    }

    fn database(&mut self) -> String {
        self.url().rsplit_once('/').unwrap().1.to_owned()
    }

    /// The process number of the server.
    fn server(&mut self) -> u32 {
        let status = fs::read_to_string(self.directory().join("data/postmaster.pid")).unwrap();
        status.lines().next().unwrap().parse().unwrap()
    }

    fn error(mut self) -> String {
        let message = self.line("ERROR ");
        self.process.wait().unwrap();
        message
    }

    fn end(&mut self) {
        if self.ending == "kill" {
            self.process.kill().unwrap();
        } else {
            drop(self.process.stdin.take());
        }
        self.process.wait().unwrap();
    }
}

fn is_running(process: u32) -> bool {
    let signal = Command::new("kill").arg("-0").arg(process.to_string()).stderr(Stdio::null()).status();
    signal.unwrap().success()
}

fn scratch_directory(name: &str) -> PathBuf {
    let directory = Path::new("/tmp").join(format!("howdah-test-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).unwrap();
    directory
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(10), "still waiting until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

async fn within<F: Future<Output = bool>>(limit: Duration, condition: impl Fn() -> F) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < limit, "still waiting after {limit:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn exists(observer: &TestDatabase, name: &str) -> Result<bool, TestingError> {
    let rows = observer.query(&format!("SELECT FROM pg_database WHERE datname = '{name}'")).await?;
    Ok(!rows.is_empty())
}
