//! What a client has asked for and the server has not answered yet: tells which statement a message of the server belongs
//! to.

use std::collections::{HashMap, VecDeque};

use super::protocol::Message;
use super::shuffle::has_no_order;

/// The requests of one connection.
#[derive(Default)]
pub struct Requests {
    /// Texts by the names of prepared statements and of portals.
    prepared: HashMap<String, String>,
    portals: HashMap<String, String>,
    /// What is not answered, in order: everything up to a Sync is one request, and so is a simple query.
    unanswered: VecDeque<Request>,
    answered: u64,
}

#[derive(Default)]
struct Request {
    /// Whether the result of each statement may be shuffled.
    results: VecDeque<bool>,
    is_simple: bool,
    /// Whether no message is to come.
    is_complete: bool,
}

impl Requests {
    /// Takes in a message of the client; answers with the text of the statement that it executes.
    pub fn sent(&mut self, message: &Message) -> Option<String> {
        let mut strings = message.strings();
        let mut next = || strings.next().unwrap_or_default();
        match message.kind {
            b'Q' => {
                let text = next();
                let results = [has_no_order(&text)].into();
                self.unanswered.push_back(Request { results, is_simple: true, is_complete: true });
                Some(text)
            }
            b'P' => {
                self.open();
                self.prepared.insert(next(), next());
                None
            }
            b'B' => {
                self.open();
                let (portal, statement) = (next(), next());
                let text = self.prepared.get(&statement).cloned().unwrap_or_default();
                self.portals.insert(portal, text);
                None
            }
            b'E' => {
                let text = self.portals.get(&next()).cloned().unwrap_or_default();
                self.open().results.push_back(has_no_order(&text));
                Some(text)
            }
            b'S' => {
                self.open().is_complete = true;
                None
            }
            _ => None,
        }
    }

    /// The request that more messages may belong to.
    fn open(&mut self) -> &mut Request {
        if self.unanswered.back().is_none_or(|request| request.is_complete) {
            self.unanswered.push_back(Request::default());
        }
        self.unanswered.back_mut().unwrap()
    }

    /// The number of the request that was sent last.
    pub fn last(&self) -> u64 {
        self.answered + self.unanswered.len() as u64
    }

    /// The number of the request that the server answers now.
    pub const fn current(&self) -> u64 {
        self.answered + 1
    }

    /// Whether rows that come now belong to a result without a promised order.
    pub fn may_shuffle(&self) -> bool {
        self.unanswered.front().and_then(|request| request.results.front()).copied().unwrap_or(false)
    }

    /// Takes in a message of the server.
    pub fn answered(&mut self, message: &Message) {
        match (message.kind, self.unanswered.front_mut()) {
            // What comes behind an error is skipped up to the Sync.
            (b'E', Some(request)) if !request.is_simple => request.results.clear(),
            (b'C' | b'I' | b's', Some(request)) if !request.is_simple => {
                request.results.pop_front();
            }
            (b'Z', Some(_)) => {
                self.unanswered.pop_front();
                self.answered += 1;
            }
            _ => {}
        }
    }
}
