//! The ephemeral server: one process and one directory, gone when this process is gone.
//!
//! A process that is killed cannot clean up after itself. So a shell does it, the watchdog: it is started before anything
//! else, waits for the end of its standard input, which the system brings about whatever happens to this process, then
//! stops the server and removes the directory.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::TestingError;
use super::account::Account;
use super::cluster_template::ClusterTemplate;
use super::directory::{LockedDirectory, SOCKET_NAME};
use super::programs::Programs;

/// Settings that only matter for speed are for speed: nobody needs the data after a crash. No TCP port is opened, and no
/// shared memory outside of the server's directory is used, so that nothing is left when it is killed.
const SETTINGS: [&str; 17] = [
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0777",
    "dynamic_shared_memory_type=mmap",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=4GB",
    "checkpoint_timeout=1h",
    "autovacuum=off",
    "jit=off",
    "max_logical_replication_workers=0",
    "max_connections=300",
    "shared_buffers=64MB",
    "timezone=UTC",
];

/// Far longer than any start takes: a machine may be busy.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// How often a starting server is asked whether it is ready.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// A running server. Dropping it stops it; so does the end of the process.
#[derive(Debug)]
pub(super) struct Cluster {
    directory: PathBuf,
    watchdog: Child,
    /// Ends when the server does.
    server_end: JoinHandle<()>,
}

impl Cluster {
    /// Starts a server, and waits until it is ready. This blocks for about a tenth of a second; the first time on a
    /// machine, when there is no template yet, for about one.
    pub(super) fn start() -> Result<Self, TestingError> {
        let programs = Programs::find()?;
        let account = Account::choose()?;
        let template = ClusterTemplate::new(&programs, account)?;
        Self::start_from(&template, &programs, account)
    }

    fn start_from(template: &ClusterTemplate<'_>, programs: &Programs, account: Account) -> Result<Self, TestingError> {
        let mut cluster = Self::prepare(programs, account)?;
        if template.copy_to(&cluster.data()) {
            match cluster.launch() {
                Ok(()) => return Ok(cluster),
                Err(_) => template.discard(),
            }
            cluster = Self::prepare(programs, account)?;
        }
        template.initialize(&cluster.data())?;
        cluster.launch()?;
        Ok(cluster)
    }

    /// Makes the directory, and the watchdog that will remove it.
    fn prepare(programs: &Programs, account: Account) -> Result<Self, TestingError> {
        let LockedDirectory { path: directory, lock } = LockedDirectory::for_server(account)?;
        let mut watchdog = account.command("/bin/sh");
        watchdog.arg("-c").arg(include_str!("watchdog.sh")).arg("howdah-watchdog").arg(programs.postgres());
        watchdog.arg("-D").arg(directory.join("data"));
        for setting in SETTINGS {
            watchdog.args(["-c", setting]);
        }
        watchdog.arg("-k").arg(&directory).env("HOWDAH_DIRECTORY", &directory);
        // Nothing of this process's own output may be held open by the watchdog: `cargo test` would wait for it. A
        // process group of its own keeps Ctrl-C away from watchdog and server.
        watchdog.stdin(Stdio::piped()).stdout(Stdio::from(lock)).stderr(Stdio::piped()).process_group(0);
        let started = watchdog.spawn().and_then(|mut watchdog| {
            let end = watchdog.stderr.take().ok_or_else(|| io::Error::other("it has no standard error"))?;
            Ok((watchdog, wait_for_end(end)?))
        });
        match started {
            Ok((watchdog, server_end)) => Ok(Self { directory, watchdog, server_end }),
            Err(source) => {
                let _ = fs::remove_dir_all(&directory);
                Err(TestingError::File { action: "start a watchdog for", path: directory, source })
            }
        }
    }

    /// Where the socket is.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Has the watchdog start the server, and waits until it accepts connections.
    fn launch(&mut self) -> Result<(), TestingError> {
        let signal = self.watchdog.stdin.as_mut().map_or(Ok(()), |stdin| stdin.write_all(b"start\n"));
        signal.map_err(TestingError::file("start the server in", &self.directory))?;
        let started = Instant::now();
        while !self.is_ready() {
            if self.server_end.is_finished() || started.elapsed() > START_TIMEOUT {
                return Err(TestingError::ServerStart { log: self.log() });
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Whether the server says so in the eighth line of its lock file, which is what `pg_ctl` looks at.
    fn is_ready(&self) -> bool {
        let status = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        status.lines().nth(7).is_some_and(|line| line.trim() == "ready") && self.directory.join(SOCKET_NAME).exists()
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        if log.trim().is_empty() { "nothing".to_owned() } else { log.trim().to_owned() }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// A thread that ends when nobody has the other end of this pipe any more.
fn wait_for_end(mut pipe: impl Read + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("howdah-server-end".to_owned()).spawn(move || {
        let _ = io::copy(&mut pipe, &mut io::sink());
    })
}
