//! What an Orm knows of keys: which it may take from the database before rows are inserted, which it has in stock, and into
//! which tables rows go as they are.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use parking_lot::Mutex;

use crate::metadata::Metadata;
use crate::sql::{Intake, intakes};
use crate::types::KeyPart;
use crate::unit_of_work::KeyFacts;

/// How keys are taken that the database makes, and that are needed before their rows are there: entities that refer to new ones.
/// (Keys that nothing waits for come back from the INSERT.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdAllocation {
    /// As many as a flush needs, in a round trip of their own in front of it.
    #[default]
    OnDemand,
    /// At least this many of a table at a time. What is left over serves later flushes of the process, which then take one round trip; at
    /// the end of the process it is lost: sequences have gaps.
    Block(u32),
}

/// What is known of the keys and tables of all entities.
pub(crate) struct KeySource {
    entities: Box<[EntityKeys]>,
    block: usize,
}

#[derive(Default)]
struct EntityKeys {
    /// Whether the server has no sequence for the key, or does not let this user take from it.
    refused: AtomicBool,
    /// The number of its [`Intake`].
    intake: AtomicU8,
    /// Whether the catalog has called the table plain.
    is_expected_plain: AtomicBool,
    /// Whether something else links its new rows, too: a trigger.
    has_links: AtomicBool,
    stock: Mutex<Vec<KeyPart>>,
}

impl KeySource {
    pub(crate) fn new(entities: usize, allocation: IdAllocation) -> Self {
        let block = match allocation {
            IdAllocation::OnDemand => 0,
            IdAllocation::Block(size) => usize::try_from(size).unwrap_or(usize::MAX),
        };
        Self { entities: std::iter::repeat_with(EntityKeys::default).take(entities).collect(), block }
    }

    /// The query for what the catalog says of the tables; `None` if no table makes keys by a sequence.
    pub(crate) fn question(metadata: &Metadata) -> Option<String> {
        intakes(metadata.entities.iter().filter(|entity| entity.identity.is_some()))
    }

    /// Notes what the catalog has answered. It can change until rows are inserted: where it says that a table is plain, that is only
    /// expected.
    pub(crate) fn expect(&self, metadata: &Metadata, answers: &[Option<String>]) {
        let entities = metadata.entities.iter().filter(|entity| entity.identity.is_some());
        for (entity, answer) in entities.zip(answers) {
            let number = answer.as_deref().and_then(|answer| answer.parse().ok()).unwrap_or_default();
            let intake = Intake::from_number(number);
            self.entities[entity.index].is_expected_plain.store(intake == Intake::Plain, Ordering::Relaxed);
            if matches!(intake, Intake::Altering | Intake::Unordered) {
                // Until rows were inserted, whether they are altered is not sure.
                self.set_intake(entity.index, Intake::Altering);
            }
        }
    }

    /// Whether the catalog has called the table plain.
    pub(super) fn is_expected_plain(&self, entity: usize) -> bool {
        self.entities[entity].is_expected_plain.load(Ordering::Relaxed)
    }

    /// Notes that the server refuses.
    pub(super) fn refuse(&self, entity: usize) {
        self.entities[entity].refused.store(true, Ordering::Relaxed);
    }

    /// What is known of the table.
    pub(super) fn intake(&self, entity: usize) -> Intake {
        Intake::from_number(self.entities[entity].intake.load(Ordering::Relaxed).into())
    }

    /// Notes what the server has told of the table.
    pub(super) fn set_intake(&self, entity: usize, intake: Intake) {
        self.entities[entity].intake.store(intake as u8, Ordering::Relaxed);
    }

    /// Whether new rows have had links already.
    pub(super) fn has_links(&self, entity: usize) -> bool {
        self.entities[entity].has_links.load(Ordering::Relaxed)
    }

    /// Notes that new rows have had links already.
    pub(super) fn note_links(&self, entity: usize) {
        self.entities[entity].has_links.store(true, Ordering::Relaxed);
    }

    /// How many keys to ask the server for, if this many are needed: none if they are in stock.
    pub(super) fn missing(&self, entity: usize, needed: usize) -> usize {
        match needed.saturating_sub(self.entities[entity].stock.lock().len()) {
            0 => 0,
            missing => missing.max(self.block),
        }
    }

    /// Adds keys to the stock: the server has made them.
    pub(super) fn put(&self, entity: usize, keys: impl IntoIterator<Item = KeyPart>) {
        self.entities[entity].refused.store(false, Ordering::Relaxed);
        self.entities[entity].stock.lock().extend(keys);
    }

    /// Takes keys from the stock, oldest first; `None` if somebody else was faster.
    pub(super) fn take(&self, entity: usize, count: usize) -> Option<Vec<KeyPart>> {
        let mut stock = self.entities[entity].stock.lock();
        (stock.len() >= count).then(|| stock.drain(..count).collect())
    }

    /// Forgets everything: the tables are made anew.
    pub(crate) fn reset(&self) {
        for entity in &self.entities {
            entity.stock.lock().clear();
            entity.refused.store(false, Ordering::Relaxed);
            entity.intake.store(Intake::Unknown as u8, Ordering::Relaxed);
            entity.is_expected_plain.store(false, Ordering::Relaxed);
            entity.has_links.store(false, Ordering::Relaxed);
        }
    }
}

impl KeyFacts for KeySource {
    fn can_take(&self, entity: usize) -> bool {
        !self.entities[entity].refused.load(Ordering::Relaxed)
    }

    fn is_ordered(&self, entity: usize) -> bool {
        matches!(self.intake(entity), Intake::Unknown | Intake::Plain)
    }
}

/// As if the server had refused nothing yet.
pub(super) struct AskAgain<'a>(pub(super) &'a KeySource);

impl KeyFacts for AskAgain<'_> {
    fn can_take(&self, _: usize) -> bool {
        true
    }

    fn is_ordered(&self, entity: usize) -> bool {
        self.0.is_ordered(entity)
    }
}
