//! Where a connection is lost, and how.

use super::protocol::Message;
use super::requests::Requests;

/// A point on the way of the messages.
#[derive(Clone, Debug)]
pub enum At {
    /// So many bytes of the clients have been forwarded.
    Byte(usize),
    /// So many bytes of the server have been delivered.
    AnswerByte(usize),
    /// So many messages of this type have been forwarded.
    Message(u8, usize),
    /// A statement with this in its text would be executed next. The server never sees it.
    Before(&'static str),
    /// A statement with this in its text was executed. Its answer is not delivered; those in front of it are.
    After(&'static str),
}

/// A connection that is lost. The client is told after the server has done all that it was sent and has closed its side, so
/// what a test finds in the database does not depend on time.
#[derive(Clone, Debug)]
pub struct Cut {
    pub(super) at: At,
    pub(super) by: By,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Network,
    Server,
    Client,
}

impl Cut {
    /// The server ends the session, as an administrator has it do, and the client gets its last words, unless they would
    /// be those of [`At::After`] or [`At::AnswerByte`].
    pub fn by_server(self) -> Self {
        Self { by: By::Server, ..self }
    }

    /// The client is cut off at once, and the server does not know until [`Proxy::heal`](super::Proxy::heal): it keeps
    /// the transaction open, and its locks.
    pub fn unnoticed(self) -> Self {
        Self { by: By::Client, ..self }
    }
}

impl From<At> for Cut {
    fn from(at: At) -> Self {
        Self { at, by: By::Network }
    }
}

impl At {
    /// See [`Cut::by_server`].
    pub fn by_server(self) -> Cut {
        Cut::from(self).by_server()
    }

    /// See [`Cut::unnoticed`].
    pub fn unnoticed(self) -> Cut {
        Cut::from(self).unnoticed()
    }
}

/// A cut that waits for its point.
pub struct Armed {
    cut: Cut,
    /// Bytes or messages that have passed.
    passed: usize,
}

/// What becomes of a message.
pub enum Fate {
    Passes,
    /// So many of its bytes pass, then the connection is lost.
    Lost(usize, By),
    /// The request with this number is executed, then the connection is lost in front of its answer.
    AnswerLost(u64, By),
}

impl Armed {
    pub const fn new(cut: Cut) -> Self {
        Self { cut, passed: 0 }
    }

    /// The fate of a message of a client, which executes `statement`.
    pub fn sent(&mut self, message: &Message, statement: Option<&str>, requests: &Requests) -> Fate {
        let by = self.cut.by;
        let (length, is_executed) = (message.bytes.len(), |part| statement.is_some_and(|text| text.contains(part)));
        match self.cut.at {
            At::Byte(limit) => self.count_bytes(length, limit),
            At::Message(kind, limit) => {
                self.passed += usize::from(message.kind == kind);
                if self.passed == limit { Fate::Lost(length, by) } else { Fate::Passes }
            }
            At::Before(part) if is_executed(part) => Fate::Lost(0, by),
            At::After(part) if is_executed(part) => Fate::AnswerLost(requests.last(), by),
            At::AnswerByte(_) | At::Before(_) | At::After(_) => Fate::Passes,
        }
    }

    /// The fate of bytes for a client.
    pub fn delivered(&mut self, bytes: &[u8]) -> Fate {
        match self.cut.at {
            At::AnswerByte(limit) => self.count_bytes(bytes.len(), limit),
            _ => Fate::Passes,
        }
    }

    fn count_bytes(&mut self, length: usize, limit: usize) -> Fate {
        if self.passed + length > limit {
            return Fate::Lost(limit - self.passed, self.cut.by);
        }
        self.passed += length;
        Fate::Passes
    }
}
