//! What was touched, and how to undo it.
//!
//! The tracker is shared by the graphs that a manager has had (`clear()` gives it a new one). Its scopes are those of the
//! open transaction and its savepoints: each keeps, of every entity that changes in it, the state from before. Committing
//! a scope hands that down to the one below, rolling back restores it (rule D2): no SELECT, no guessing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};

use super::UnitOfWork;
use crate::metadata::{AnyCell, Lifecycle, Snapshot, address};
use crate::types::Key;

mod undo;

use undo::undo;

/// Pending work and open scopes.
#[derive(Default)]
pub(crate) struct Tracker {
    state: Mutex<State>,
    depth: AtomicUsize,
    /// The number of the flush that is under way, 0 if none is.
    flush: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Entities that the next flush looks at, in the order in which they were first touched (rule B1).
    pending: Vec<Arc<dyn AnyCell>>,
    /// Entities of other managers that were scheduled here: the next flush refuses them.
    foreign: Vec<Arc<dyn AnyCell>>,
    /// Rows that are to be deleted, by entity and key, as often as they were removed by reference while not loaded.
    removed_rows: Vec<(usize, Key)>,
    scopes: Vec<Scope>,
}

/// What has to be undone if a transaction or savepoint fails.
struct Scope {
    id: u64,
    pending_at_start: Vec<Arc<dyn AnyCell>>,
    removed_rows_at_start: Vec<(usize, Key)>,
    kept: FxHashMap<usize, Kept>,
    /// Entities that were read after the scope had written: they may show rows that never were.
    loaded: Vec<Arc<dyn AnyCell>>,
    /// Of the outermost scope: entities that were read before any scope had written. They show what was committed, which
    /// may be outdated if the transaction was in conflict with another one.
    loaded_before: Vec<Arc<dyn AnyCell>>,
    has_written: bool,
    /// Entities whose UUID key was made, and the property that it is in.
    made_keys: Vec<(Arc<dyn AnyCell>, usize)>,
    /// Keys that flushes have changed, one after the other: by entity and new key the old one.
    rekeyed: Vec<OldKeys>,
    /// The graph that `clear()` took out.
    cleared: Option<Arc<UnitOfWork>>,
}

/// Old keys by entity and new key.
pub(super) type OldKeys = FxHashMap<(usize, Key), Key>;

/// The state of one entity from before the scope.
struct Kept {
    snapshot: Snapshot,
    /// How many flushes of the scope have changed keys before the fields were copied: they name rows by these keys.
    rekeyings: usize,
    /// Whether the entity did not exist before the scope.
    created: bool,
}

impl State {
    fn set_pending(&mut self, pending: Vec<Arc<dyn AnyCell>>) {
        for cell in &self.pending {
            cell.set_pending(false);
        }
        for cell in &pending {
            cell.set_pending(true);
        }
        self.pending = pending;
        self.foreign.clear();
    }
}

/// The state of an entity without its fields.
fn state_of(cell: &Arc<dyn AnyCell>) -> Snapshot {
    Snapshot {
        cell: Arc::clone(cell),
        value: None,
        baseline: None,
        lifecycle: cell.lifecycle(),
        key: cell.key(),
        stale: cell.is_stale(),
    }
}

impl Tracker {
    /// The entities that the next flush looks at.
    pub(crate) fn pending(&self) -> Vec<Arc<dyn AnyCell>> {
        let state = self.state.lock();
        if state.foreign.is_empty() { state.pending.clone() } else { [&state.pending[..], &state.foreign].concat() }
    }

    /// Whether the next flush has something to look at.
    pub(crate) fn has_pending(&self) -> bool {
        let state = self.state.lock();
        !(state.pending.is_empty() && state.foreign.is_empty() && state.removed_rows.is_empty())
    }

    /// Makes room for this many pending entities.
    pub(crate) fn reserve(&self, entities: usize) {
        self.state.lock().pending.reserve(entities);
    }

    pub(crate) fn add_pending(&self, cell: &Arc<dyn AnyCell>) {
        let mut state = self.state.lock();
        if !cell.set_pending(true) {
            state.pending.push(Arc::clone(cell));
        }
    }

    /// Notes an entity of another manager: what is pending there is not known here.
    pub(crate) fn add_foreign(&self, cell: &Arc<dyn AnyCell>) {
        let mut state = self.state.lock();
        if !state.foreign.iter().any(|other| Arc::ptr_eq(other, cell)) {
            state.foreign.push(Arc::clone(cell));
        }
    }

    pub(crate) fn remove_pending(&self, cell: &Arc<dyn AnyCell>) {
        let mut state = self.state.lock();
        if cell.set_pending(false) {
            state.pending.retain(|other| !Arc::ptr_eq(other, cell));
        }
    }

    /// The rows that the next flush deletes by their keys.
    pub(crate) fn removed_rows(&self) -> Vec<(usize, Key)> {
        self.state.lock().removed_rows.clone()
    }

    /// Schedules a row for DELETE that is not loaded.
    pub(crate) fn remove_row(&self, entity: usize, key: Key) {
        self.state.lock().removed_rows.push((entity, key));
    }

    /// These rows have been deleted, or are to stay.
    pub(crate) fn forget_removed_rows(&self, rows: &[(usize, Key)]) {
        let mut state = self.state.lock();
        if state.removed_rows == rows {
            state.removed_rows.clear();
        } else if !state.removed_rows.is_empty() {
            let rows: FxHashSet<&(usize, Key)> = rows.iter().collect();
            state.removed_rows.retain(|row| !rows.contains(row));
        }
    }

    /// Keeps only the pending entities that `keep` names.
    pub(crate) fn retain_pending(&self, mut keep: impl FnMut(&Arc<dyn AnyCell>) -> bool) {
        let mut state = self.state.lock();
        state.foreign.retain(|cell| keep(cell));
        state.pending.retain(|cell| {
            let stays = keep(cell);
            if !stays {
                cell.set_pending(false);
            }
            stays
        });
    }

    /// The number of the flush that is under way.
    pub(crate) fn running_flush(&self) -> Option<u64> {
        Some(self.flush.load(Ordering::Acquire)).filter(|number| *number != 0)
    }

    /// Begins the flush with this number.
    pub(crate) fn begin_flush(&self, number: u64) {
        self.flush.store(number, Ordering::Release);
    }

    /// Ends the flush.
    pub(crate) fn end_flush(&self) {
        self.flush.store(0, Ordering::Release);
    }

    /// Whether a scope is open, so that something may have to be kept.
    pub(super) fn has_scopes(&self) -> bool {
        !self.is_flat()
    }

    /// Whether no scope is open, so that nothing has to be kept.
    fn is_flat(&self) -> bool {
        self.depth.load(Ordering::Acquire) == 0
    }

    /// Whether the innermost scope needs the entity's fields before the user changes them. Of an entity that was created
    /// in the scope only what a flush changes is taken back: its key, not what the user has put into it.
    pub(crate) fn needs_snapshot(&self, cell: &Arc<dyn AnyCell>) -> bool {
        if self.is_flat() {
            return false;
        }
        let state = self.state.lock();
        let Some(scope) = state.scopes.last() else { return false };
        match scope.kept.get(&address(cell)) {
            None => true,
            Some(kept) if kept.snapshot.value.is_some() => false,
            Some(kept) => !(kept.created && matches!(cell.lifecycle(), Lifecycle::New | Lifecycle::Scheduled)),
        }
    }

    /// Keeps an entity's state in the innermost scope, unless that has it already.
    pub(crate) fn keep_snapshot(&self, snapshot: Snapshot) {
        let mut state = self.state.lock();
        let Some(scope) = state.scopes.last_mut() else { return };
        let rekeyings = scope.rekeyed.len();
        keep(&mut scope.kept, Kept { snapshot, rekeyings, created: false });
    }

    /// Keeps where an entity stands, before that changes.
    pub(crate) fn keep_state(&self, cell: &Arc<dyn AnyCell>) {
        if !self.is_flat() {
            self.keep_snapshot(state_of(cell));
        }
    }

    /// Keeps everything of an entity, before a flush or a refresh changes it.
    pub(crate) fn keep_all(&self, cell: &Arc<dyn AnyCell>) -> Result<(), crate::Error> {
        if self.is_flat() {
            return Ok(());
        }
        let known = self
            .state
            .lock()
            .scopes
            .last()
            .and_then(|scope| scope.kept.get(&address(cell)).map(|kept| kept.snapshot.value.is_some()));
        if known != Some(true) {
            self.keep_snapshot(Arc::clone(cell).snapshot()?);
        }
        Ok(())
    }

    /// Notes an entity that did not exist before.
    pub(crate) fn created(&self, cell: &Arc<dyn AnyCell>) {
        if self.is_flat() {
            return;
        }
        let mut state = self.state.lock();
        let Some(scope) = state.scopes.last_mut() else { return };
        scope.kept.insert(address(cell), Kept { snapshot: state_of(cell), rekeyings: 0, created: true });
    }

    /// Notes that an entity has got a key that was made here.
    pub(crate) fn made_key(&self, cell: &Arc<dyn AnyCell>, property: usize) {
        if let Some(scope) = self.state.lock().scopes.last_mut() {
            scope.made_keys.push((Arc::clone(cell), property));
        }
    }

    /// Notes which keys a flush has changed.
    pub(super) fn rekeyed(&self, old: OldKeys) {
        if let Some(scope) = self.state.lock().scopes.last_mut() {
            scope.rekeyed.push(old);
        }
    }

    /// Whether some open scope has written, so that what is read now may show rows that never will have been.
    pub(crate) fn has_written(&self) -> bool {
        !self.is_flat() && self.state.lock().scopes.iter().any(|scope| scope.has_written)
    }

    /// Whether [`loaded`](Self::loaded) wants to know of what is read.
    pub(crate) fn keeps_reads(&self) -> bool {
        !self.is_flat()
    }

    /// Notes entities that were read for the first time.
    pub(crate) fn loaded(&self, cells: &[Arc<dyn AnyCell>]) {
        if self.is_flat() {
            return;
        }
        let mut state = self.state.lock();
        if let Some(scope) = state.scopes.iter_mut().rev().find(|scope| scope.has_written) {
            scope.loaded.extend(cells.iter().cloned());
        } else if let Some(outermost) = state.scopes.first_mut() {
            outermost.loaded_before.extend(cells.iter().cloned());
        }
    }

    /// Notes that the innermost scope has written.
    pub(crate) fn wrote(&self) {
        if let Some(scope) = self.state.lock().scopes.last_mut() {
            scope.has_written = true;
        }
    }

    /// From here on what is read is undone together with the innermost scope, even if nothing is written in it.
    pub(crate) fn undo_reads(&self) {
        self.wrote();
    }

    /// Everything that was read for the first time since the outermost scope was opened may be outdated: it is undone
    /// together with that scope, so that whoever tries again reads it again.
    pub(crate) fn distrust_reads(&self) {
        if let Some(scope) = self.state.lock().scopes.first_mut() {
            let before = std::mem::take(&mut scope.loaded_before);
            scope.loaded.extend(before);
        }
    }

    /// The pending work is forgotten together with this graph.
    pub(crate) fn cleared(&self, graph: &Arc<UnitOfWork>) {
        let mut state = self.state.lock();
        state.set_pending(Vec::new());
        state.removed_rows.clear();
        if let Some(scope) = state.scopes.last_mut() {
            scope.cleared.get_or_insert_with(|| Arc::clone(graph));
        }
    }

    /// Opens a scope.
    pub(crate) fn open(&self, id: u64) {
        let mut state = self.state.lock();
        let pending_at_start = state.pending.clone();
        let removed_rows_at_start = state.removed_rows.clone();
        state.scopes.push(Scope {
            id,
            pending_at_start,
            removed_rows_at_start,
            kept: FxHashMap::default(),
            loaded: Vec::new(),
            loaded_before: Vec::new(),
            has_written: false,
            made_keys: Vec::new(),
            rekeyed: Vec::new(),
            cleared: None,
        });
        self.depth.store(state.scopes.len(), Ordering::Release);
    }

    /// The innermost scope.
    pub(crate) fn top(&self) -> Option<u64> {
        self.state.lock().scopes.last().map(|scope| scope.id)
    }

    /// Whether this scope is open.
    pub(crate) fn is_open(&self, id: u64) -> bool {
        self.state.lock().scopes.iter().any(|scope| scope.id == id)
    }

    /// Ends the innermost scope: what it has kept goes to the one below.
    pub(crate) fn commit(&self) {
        let mut state = self.state.lock();
        let Some(scope) = state.scopes.pop() else { return };
        self.depth.store(state.scopes.len(), Ordering::Release);
        if let Some(below) = state.scopes.last_mut() {
            for (_, mut kept) in scope.kept {
                kept.rekeyings += below.rekeyed.len();
                keep(&mut below.kept, kept);
            }
            below.rekeyed.extend(scope.rekeyed);
            below.loaded.extend(scope.loaded);
            below.made_keys.extend(scope.made_keys);
            below.has_written |= scope.has_written;
            if below.cleared.is_none() {
                below.cleared = scope.cleared;
            }
        }
    }

    /// Undoes everything since the scope with this id was opened, and ends it. Answers with the graph that the manager
    /// had then, if `clear()` has replaced it.
    pub(crate) fn roll_back(&self, id: u64, graph: &Arc<UnitOfWork>) -> Option<Arc<UnitOfWork>> {
        let mut restored: Option<Arc<UnitOfWork>> = None;
        while self.is_open(id) {
            let Some(mut scope) = self.state.lock().scopes.pop() else { break };
            if let Some(cleared) = scope.cleared.take() {
                cleared.set_detached(false);
                restored = Some(cleared);
            }
            let pending_at_start = std::mem::take(&mut scope.pending_at_start);
            let removed_rows = std::mem::take(&mut scope.removed_rows_at_start);
            let created = undo(scope, restored.as_ref().unwrap_or(graph));
            let mut state = self.state.lock();
            state.set_pending(pending_at_start);
            state.removed_rows = removed_rows;
            if let Some(below) = state.scopes.last_mut() {
                // They did not exist when the scope below began, either.
                for cell in created {
                    let kept = || Kept { snapshot: state_of(&cell), rekeyings: 0, created: true };
                    below.kept.entry(address(&cell)).or_insert_with(kept);
                }
            }
            self.depth.store(state.scopes.len(), Ordering::Release);
        }
        restored
    }
}

/// Adds an entry; of one that is there already only missing fields are filled in: they have not changed since.
fn keep(kept: &mut FxHashMap<usize, Kept>, new: Kept) {
    match kept.entry(address(&new.snapshot.cell)) {
        std::collections::hash_map::Entry::Vacant(entry) => {
            entry.insert(new);
        }
        std::collections::hash_map::Entry::Occupied(mut entry) => {
            let old = &mut entry.get_mut().snapshot;
            if old.value.is_none() {
                old.value = new.snapshot.value;
                old.baseline = new.snapshot.baseline;
                entry.get_mut().rekeyings = new.rekeyings;
            }
        }
    }
}
