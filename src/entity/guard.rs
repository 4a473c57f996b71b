//! Short-lived access to an entity's fields. Guards are not `Send`: one that is alive across an `.await` of a spawned
//! task does not compile.

use std::fmt;
use std::ops::{Deref, DerefMut};

use parking_lot::{RecursiveRwLockReadGuard, RecursiveRwLockWriteGuard};

use super::cell::Slot;
use super::{Entity, borrow};

/// Takes the note of a guard off the thread's list, also when a panic unwinds.
struct Held {
    address: usize,
    for_writing: bool,
}

impl Held {
    fn new(address: usize, for_writing: bool) -> Self {
        borrow::hold(address, for_writing);
        Self { address, for_writing }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        borrow::release(self.address, self.for_writing);
    }
}

/// Read access to an entity: `user.read().email`.
pub struct ReadGuard<'a, T: Entity> {
    slot: RecursiveRwLockReadGuard<'a, Slot<T>>,
    _held: Held,
}

impl<'a, T: Entity> ReadGuard<'a, T> {
    pub(super) fn new(slot: RecursiveRwLockReadGuard<'a, Slot<T>>, address: usize) -> Self {
        Self { slot, _held: Held::new(address, false) }
    }
}

impl<T: Entity> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.slot.value
    }
}

impl<T: Entity + fmt::Debug> fmt::Debug for ReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.slot.value.fmt(f)
    }
}

/// Write access to an entity: the only way to change one.
pub struct WriteGuard<'a, T: Entity> {
    slot: RecursiveRwLockWriteGuard<'a, Slot<T>>,
    _held: Held,
}

impl<'a, T: Entity> WriteGuard<'a, T> {
    pub(super) fn new(slot: RecursiveRwLockWriteGuard<'a, Slot<T>>, address: usize) -> Self {
        Self { slot, _held: Held::new(address, true) }
    }
}

impl<T: Entity> Deref for WriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.slot.value
    }
}

impl<T: Entity> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.slot.value
    }
}

impl<T: Entity + fmt::Debug> fmt::Debug for WriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.slot.value.fmt(f)
    }
}
