//! The thread that creates and drops databases, with a connection and a runtime of its own.
//!
//! Every test has its own runtime, which ends with the test; what outlives a test cannot live there. One thread does one
//! task after the other, so that a database is never dropped before its creation, which nobody waited for, is done.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Config;

use super::TestingError;
use super::administration::{Administration, Task};

/// How long the end of a process or test waits at most for a database to be dropped.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// What is done with a task's outcome.
type Reply = Box<dyn FnOnce(Result<(), TestingError>) + Send>;

/// A handle to the thread. Tasks are done one after the other, in the order in which they come.
pub(super) struct Administrator {
    tasks: mpsc::UnboundedSender<(Task, Reply)>,
    owner: u64,
    count: AtomicU64,
    is_ephemeral: bool,
}

impl Administrator {
    /// Connects, and drops what dead processes have left on the server.
    pub(super) async fn start(config: Config, is_ephemeral: bool) -> Result<Self, TestingError> {
        let owner = RandomState::new().hash_one((std::process::id(), SystemTime::now()));
        let (tasks, received) = mpsc::unbounded_channel();
        let (ready, started) = oneshot::channel();
        let main = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(administer(config, owner, is_ephemeral, ready, received)),
            Err(error) => drop(ready.send(Err(TestingError::Administrator { reason: error.to_string() }))),
        };
        let thread = thread::Builder::new().name("howdah-testing".to_owned()).spawn(main);
        thread.map_err(|error| TestingError::Administrator { reason: error.to_string() })?;
        started.await.unwrap_or_else(|_| Err(ended()))?;
        Ok(Self { tasks, owner, count: AtomicU64::new(0), is_ephemeral })
    }

    /// A name for a database that no other process uses.
    pub(super) fn new_name(&self) -> String {
        Administration::database_name(self.owner, self.count.fetch_add(1, Ordering::Relaxed))
    }

    /// Does a task, and waits for its outcome. A task that is no longer waited for is done nevertheless.
    pub(super) async fn run(&self, task: Task) -> Result<(), TestingError> {
        let (outcome, answer) = oneshot::channel();
        let reply = Box::new(move |result| drop(outcome.send(result)));
        self.tasks.send((task, reply)).map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Drops a database. An ephemeral server does it some time later; another server's databases outlive the process, which
    /// may be about to end, so that this waits for it: some hundredths of a second, without the caller's runtime.
    pub(super) fn drop_database(&self, database: String) {
        let (outcome, answer) = sync_channel::<()>(1);
        let reply = Box::new(move |_| drop(outcome));
        // Nothing can be done about a database that cannot be dropped: the next process tries again.
        let is_sent = self.tasks.send((Task::Drop { database }, reply)).is_ok();
        if is_sent && !self.is_ephemeral {
            let _ = answer.recv_timeout(DROP_TIMEOUT);
        }
    }
}

async fn administer(
    config: Config,
    owner: u64,
    is_ephemeral: bool,
    ready: oneshot::Sender<Result<(), TestingError>>,
    mut tasks: mpsc::UnboundedReceiver<(Task, Reply)>,
) {
    let administration = match Administration::connect(config, owner, is_ephemeral).await {
        Ok(administration) => administration,
        Err(error) => return drop(ready.send(Err(error))),
    };
    let _ = ready.send(Ok(()));
    administration.drop_leftovers().await;
    while let Some((task, reply)) = tasks.recv().await {
        reply(administration.perform(task).await);
    }
}

fn ended() -> TestingError {
    TestingError::Administrator { reason: "it has ended".to_owned() }
}
