//! The guards that this thread holds.
//!
//! Two conflicting guards of one entity on one thread would wait for each other for ever. Guards are not `Send`, so a
//! list per thread knows exactly what the thread itself holds, and `read()`/`write()` can refuse instead of waiting.

use std::cell::RefCell;

thread_local! {
    static HELD: RefCell<Vec<(usize, bool)>> = const { RefCell::new(Vec::new()) };
}

/// Whether this thread may take a guard of the cell at this address without waiting for itself.
pub(super) fn is_free(address: usize, for_writing: bool) -> bool {
    HELD.with_borrow(|held| held.iter().all(|&(other, writing)| other != address || !(writing || for_writing)))
}

/// Whether this thread holds no guard at all.
pub(crate) fn holds_no_guard() -> bool {
    HELD.with_borrow(Vec::is_empty)
}

/// Notes a guard.
pub(super) fn hold(address: usize, for_writing: bool) {
    HELD.with_borrow_mut(|held| held.push((address, for_writing)));
}

/// Forgets a guard.
pub(super) fn release(address: usize, for_writing: bool) {
    // The list is gone when a guard is dropped while its thread ends; then nobody asks it any more.
    let _ = HELD.try_with(|held| {
        let mut held = held.borrow_mut();
        if let Some(index) = held.iter().rposition(|entry| *entry == (address, for_writing)) {
            held.swap_remove(index);
        }
    });
}
