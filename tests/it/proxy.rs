//! A proxy between an Orm and the real server: it counts what crosses the wire, delays it, loses it at chosen points, and
//! reorders rows that come without a promised order.
//!
//! What the library says of itself (`FlushSummary`, `StatementLog`) is compared with what this saw. Without TLS.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use howdah::testing::TestDatabase;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio_postgres::Config;

mod connection;
mod cut;
mod protocol;
mod requests;
mod server;
mod shuffle;
mod tests;

use cut::Armed;
pub use cut::{At, Cut};
use shuffle::Shuffle;

/// Listens on a port of this machine, and connects every client to the server of a database. Dropping it ends all of its
/// connections.
///
/// A *round trip* is a turn of the client: it sends something after something was delivered to it. Answers are held back
/// until the client has been quiet for [`QUIET`], so that a client that does not wait for an answer never seems to, however
/// early the server begins to answer. Opening a connection and closing it are not counted.
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

/// For how long a client that has something to say without an answer says nothing at most.
const QUIET: Duration = Duration::from_millis(2);

/// What the connections of a proxy share with who looks at it.
struct Shared {
    /// The database that clients are connected to.
    server: Config,
    state: Mutex<State>,
    healed: Notify,
}

#[derive(Default)]
struct State {
    round_trips: u64,
    messages: Vec<u8>,
    statements: Vec<String>,
    connections: u64,
    latency: Duration,
    shuffle: Option<Shuffle>,
    cut: Option<Armed>,
    cuts: u64,
    refuses: bool,
}

impl Proxy {
    /// A proxy in front of this database.
    pub async fn start(database: &TestDatabase) -> Self {
        let server: Config = database.url().parse().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = server::url_at(&server, listener.local_addr().unwrap());
        let shared = Arc::new(Shared { server, state: Mutex::default(), healed: Notify::new() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self { url, shared, accepting }
    }

    /// Leads to the database through the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Turns of the clients since [`reset`](Self::reset).
    pub fn round_trips(&self) -> u64 {
        self.shared.state.lock().round_trips
    }

    /// How many messages of this type the clients have sent: `b'P'` is Parse, `b'Q'` a simple query.
    pub fn messages(&self, kind: u8) -> usize {
        self.shared.state.lock().messages.iter().filter(|message| **message == kind).count()
    }

    /// How many messages the clients have sent.
    pub fn all_messages(&self) -> usize {
        self.shared.state.lock().messages.len()
    }

    /// The texts of the statements that the clients have had executed, in order.
    pub fn statements(&self) -> Vec<String> {
        self.shared.state.lock().statements.clone()
    }

    /// How many connections were opened.
    pub fn connections(&self) -> u64 {
        self.shared.state.lock().connections
    }

    /// Begins to count anew. Cuts, latency and shuffling stay.
    pub fn reset(&self) {
        let mut state = self.shared.state.lock();
        (state.round_trips, state.connections, state.cuts) = (0, 0, 0);
        state.messages.clear();
        state.statements.clear();
    }

    /// Adds this to the way of every message, there and back.
    pub fn latency(&self, each_way: Duration) {
        self.shared.state.lock().latency = each_way;
    }

    /// From now on the rows of INSERT, UPDATE and DELETE come in another order than the server's: every row leaves its
    /// place. Rows whose order is promised by an ORDER BY stay. The same seed gives the same orders.
    pub fn shuffle(&self, seed: u64) {
        self.shared.state.lock().shuffle = Some(Shuffle::new(seed));
    }

    /// Loses the first connection that gets to this point from now on; bytes and messages are counted from now. Once.
    pub fn cut(&self, cut: impl Into<Cut>) {
        self.shared.state.lock().cut = Some(Armed::new(cut.into()));
    }

    /// Takes back a cut that nothing has met; answers whether there was one.
    pub fn disarm(&self) -> bool {
        self.shared.state.lock().cut.take().is_some()
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> u64 {
        self.shared.state.lock().cuts
    }

    /// Whether new connections are closed at once.
    pub fn refuse(&self, refuses: bool) {
        self.shared.state.lock().refuses = refuses;
    }

    /// Lets the server see that the clients are gone that were cut off by [`Cut::unnoticed`].
    pub fn heal(&self) {
        self.shared.healed.notify_waiters();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if shared.state.lock().refuses {
            continue;
        }
        shared.state.lock().connections += 1;
        connections.spawn(connection::serve(client, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}
