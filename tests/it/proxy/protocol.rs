//! PostgreSQL's protocol, version 3: a stream of bytes cut into messages.

/// One message as it is on the wire.
pub struct Message {
    /// Its type; 0 for the client's first one, which has none.
    pub kind: u8,
    pub bytes: Vec<u8>,
}

impl Message {
    /// The strings that the message begins with.
    pub fn strings(&self) -> impl Iterator<Item = String> {
        let body = self.bytes.get(5..).unwrap_or_default();
        body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned())
    }

    /// A number of four bytes at this place of the body.
    pub fn number(&self, at: usize) -> Option<i32> {
        let bytes = self.bytes.get(5 + at..9 + at)?;
        Some(i32::from_be_bytes(bytes.try_into().ok()?))
    }
}

/// Collects bytes until they make messages.
pub struct Messages {
    collected: Vec<u8>,
    /// Whether the next message has no type.
    is_first: bool,
}

impl Messages {
    pub const fn of_client() -> Self {
        Self { collected: Vec::new(), is_first: true }
    }

    pub const fn of_server() -> Self {
        Self { collected: Vec::new(), is_first: false }
    }

    /// The messages that these bytes complete.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Message> {
        self.collected.extend_from_slice(bytes);
        let mut messages = Vec::new();
        let mut from = 0;
        while let Some(length) = self.length(from) {
            let kind = if self.is_first { 0 } else { self.collected[from] };
            messages.push(Message { kind, bytes: self.collected[from..from + length].to_vec() });
            self.is_first = false;
            from += length;
        }
        self.collected.drain(..from);
        messages
    }

    /// The length of the message that begins here, if all of it has arrived.
    fn length(&self, from: usize) -> Option<usize> {
        let type_length = usize::from(!self.is_first);
        let length = self.collected.get(from + type_length..from + type_length + 4)?;
        let length = type_length + u32::from_be_bytes(length.try_into().ok()?) as usize;
        (self.collected.len() >= from + length).then_some(length)
    }
}
