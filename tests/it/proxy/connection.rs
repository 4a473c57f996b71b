//! One connection of a client: two ways, each with a side that reads and a side that writes, so that neither the client
//! nor the server ever has to wait for the other to read.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::yield_now;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::cut::{By, Fate};
use super::protocol::{Message, Messages};
use super::requests::Requests;
use super::server::{Reader, Writer, connect, terminate};
use super::{QUIET, Shared};

/// Something on its way.
enum Parcel {
    /// Bytes that are due at this time.
    Bytes(Instant, Vec<u8>),
    /// The end of the stream.
    End,
}

struct Connection {
    shared: Arc<Shared>,
    /// Never locked together with the shared state in the other order: this one first.
    state: Mutex<State>,
    to_server: UnboundedSender<Parcel>,
    to_client: UnboundedSender<Parcel>,
}

struct State {
    requests: Requests,
    /// The server's number of the session.
    process: Option<i32>,
    /// Whether something was delivered since the client has sent something.
    is_answered: bool,
    last_sent: Instant,
    /// Rows that wait for the end of their result.
    rows: Vec<Message>,
    /// Nothing of the client is forwarded any more.
    is_lost: bool,
    /// Nothing is delivered to the client any more.
    is_mute: bool,
    /// Whether the client gets nothing of what the server says from now on.
    is_over: bool,
    /// The request whose answer is not delivered, and how the connection is lost then.
    answer_lost: Option<(u64, By)>,
}

/// Forwards everything until both sides have ended.
pub async fn serve(client: TcpStream, shared: Arc<Shared>) {
    client.set_nodelay(true).unwrap();
    let (from_client, client) = client.into_split();
    let (from_server, server) = connect(&shared.server).await;
    let (to_server, for_server) = unbounded_channel();
    let (to_client, for_client) = unbounded_channel();
    let state = State {
        requests: Requests::default(),
        process: None,
        is_answered: false,
        last_sent: Instant::now(),
        rows: Vec::new(),
        is_lost: false,
        is_mute: false,
        is_over: false,
        answer_lost: None,
    };
    let connection = Connection { shared, state: Mutex::new(state), to_server, to_client };
    tokio::join!(
        connection.read_client(from_client),
        write_server(for_server, server),
        connection.read_server(from_server),
        connection.write_client(for_client, client),
    );
}

/// Forwards what is due, and the end of the stream. A server that is gone shows on the other way.
async fn write_server(mut parcels: UnboundedReceiver<Parcel>, mut server: Writer) {
    while let Some(Parcel::Bytes(due, bytes)) = parcels.recv().await {
        sleep_until(due).await;
        if server.write_all(&bytes).await.is_err() {
            break;
        }
    }
    let _ = server.shutdown().await;
}

impl Connection {
    async fn read_client(&self, mut client: OwnedReadHalf) {
        let mut messages = Messages::of_client();
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = client.read(&mut buffer).await {
            for message in messages.take(&buffer[..length]) {
                let Some((passes, by)) = self.sent(&message) else { continue };
                self.forward(message.bytes[..passes].to_vec());
                if by == Some(By::Server) {
                    self.answered_before().await;
                }
                if let Some(by) = by {
                    self.lose(by).await;
                }
            }
        }
        let _ = self.to_server.send(Parcel::End);
    }

    /// Waits until the server has answered what was sent before the last request: a server that ends with requests unread
    /// resets the connection, and its last words are lost.
    async fn answered_before(&self) {
        let given_up = Instant::now() + Duration::from_secs(5);
        while Instant::now() < given_up {
            {
                let state = self.state.lock();
                if state.requests.current() >= state.requests.last() {
                    return;
                }
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Takes in a message of the client: how many of its bytes are forwarded, and whether the connection is lost then.
    fn sent(&self, message: &Message) -> Option<(usize, Option<By>)> {
        let mut state = self.state.lock();
        if state.is_lost {
            return None;
        }
        let shared = &mut *self.shared.state.lock();
        state.last_sent = Instant::now();
        let is_request = !matches!(message.kind, 0 | b'p' | b'X');
        if is_request {
            shared.round_trips += u64::from(std::mem::take(&mut state.is_answered));
            shared.messages.push(message.kind);
        }
        let statement = state.requests.sent(message);
        let armed = shared.cut.as_mut().filter(|_| is_request);
        let fate = armed.map_or(Fate::Passes, |armed| armed.sent(message, statement.as_deref(), &state.requests));
        shared.statements.extend(statement);
        match fate {
            Fate::Passes => Some((message.bytes.len(), None)),
            Fate::Lost(passes, by) => {
                shared.cut = None;
                state.is_lost = true;
                // The server's last words are still to come.
                state.is_mute = by != By::Server;
                Some((passes, Some(by)))
            }
            Fate::AnswerLost(request, by) => {
                shared.cut = None;
                state.answer_lost = Some((request, by));
                Some((message.bytes.len(), None))
            }
        }
    }

    /// Ends the connection.
    async fn lose(&self, by: By) {
        self.shared.state.lock().cuts += 1;
        match by {
            By::Network => {}
            By::Server => {
                let process = self.state.lock().process.unwrap();
                terminate(&self.shared.server, process).await;
            }
            By::Client => {
                let _ = self.to_client.send(Parcel::End);
                self.shared.healed.notified().await;
            }
        }
        let _ = self.to_server.send(Parcel::End);
    }

    async fn read_server(&self, mut server: Reader) {
        let mut messages = Messages::of_server();
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = server.read(&mut buffer).await {
            let mut bytes = Vec::new();
            let mut lost = None;
            for message in messages.take(&buffer[..length]) {
                lost = lost.or(self.answered(message, &mut bytes));
            }
            if !bytes.is_empty() {
                let _ = self.to_client.send(Parcel::Bytes(self.due(), bytes));
            }
            if let Some(by) = lost {
                self.lose(by).await;
            }
        }
        let _ = self.to_client.send(Parcel::End);
    }

    /// Takes in a message of the server, and adds what the client gets; answers whether the connection is lost behind it.
    fn answered(&self, message: Message, bytes: &mut Vec<u8>) -> Option<By> {
        let state = &mut *self.state.lock();
        if message.kind == b'K' {
            state.process = message.number(0);
        }
        let current = state.requests.current();
        let may_shuffle = state.requests.may_shuffle();
        state.requests.answered(&message);
        if let Some((request, by)) = state.answer_lost
            && current >= request
        {
            state.is_lost = true;
            // All of the answer has come: the request was executed.
            return (message.kind == b'Z').then(|| {
                state.answer_lost = None;
                // What came before is still delivered.
                state.is_over = true;
                by
            });
        }
        if state.is_mute || state.is_over {
            return None;
        }
        if let Some(shuffle) = &mut self.shared.state.lock().shuffle {
            if message.kind == b'D' && may_shuffle {
                state.rows.push(message);
                return None;
            }
            if matches!(message.kind, b'C' | b's' | b'E') {
                shuffle.shuffle(&mut state.rows);
                state.rows.drain(..).for_each(|row| bytes.extend(row.bytes));
            }
        }
        bytes.extend(message.bytes);
        None
    }

    /// Delivers what is due when the client is quiet.
    async fn write_client(&self, mut parcels: UnboundedReceiver<Parcel>, mut client: OwnedWriteHalf) {
        while let Some(Parcel::Bytes(due, bytes)) = parcels.recv().await {
            sleep_until(due).await;
            self.quiet().await;
            let Some((passes, by)) = self.delivers(&bytes) else { continue };
            let _ = client.write_all(&bytes[..passes]).await;
            if let Some(by) = by {
                self.lose(by).await;
            }
        }
        let _ = client.shutdown().await;
    }

    /// How many of these bytes are delivered, and whether the connection is lost then.
    fn delivers(&self, bytes: &[u8]) -> Option<(usize, Option<By>)> {
        let mut state = self.state.lock();
        if state.is_mute {
            return None;
        }
        let shared = &mut *self.shared.state.lock();
        let armed = shared.cut.as_mut();
        if let Fate::Lost(passes, by) = armed.map_or(Fate::Passes, |armed| armed.delivered(bytes)) {
            shared.cut = None;
            (state.is_lost, state.is_mute) = (true, true);
            return Some((passes, Some(by)));
        }
        state.is_answered = true;
        Some((bytes.len(), None))
    }

    /// Waits until the client has said nothing for a while.
    async fn quiet(&self) {
        loop {
            let until = self.state.lock().last_sent + QUIET;
            sleep_until(until).await;
            // What has arrived meanwhile may not have been read yet.
            yield_now().await;
            yield_now().await;
            if self.state.lock().last_sent + QUIET <= Instant::now() {
                return;
            }
        }
    }

    fn forward(&self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            let _ = self.to_server.send(Parcel::Bytes(self.due(), bytes));
        }
    }

    fn due(&self) -> Instant {
        Instant::now() + self.shared.state.lock().latency
    }
}
