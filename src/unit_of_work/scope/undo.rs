//! What a scope has changed is restored (rule D2): no SELECT, no guessing.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{OldKeys, Scope};
use crate::metadata::{AnyCell, Lifecycle, ReferenceTarget};
use crate::types::Key;
use crate::unit_of_work::UnitOfWork;

/// Restores what a scope has changed; answers with the entities that were created in it. `graph` is the graph that the
/// manager had when the scope began; entities of others are restored, but have no place in its identity map.
pub(super) fn undo(scope: Scope, graph: &Arc<UnitOfWork>) -> Vec<Arc<dyn AnyCell>> {
    let mut keys_taken_back = FxHashMap::default();
    for kept in scope.kept.values() {
        let cell = &kept.snapshot.cell;
        if let (None, Some(key), Some(entity)) = (&kept.snapshot.key, cell.key(), graph.metadata.find(cell.meta())) {
            keys_taken_back.insert((entity.index, key), Arc::clone(cell));
        }
    }
    let mut created = Vec::new();
    // All of them leave the identity map first: keys may have passed from one to another.
    for kept in scope.kept.values().filter(|kept| graph.owns(&*kept.snapshot.cell)) {
        graph.forget(&kept.snapshot.cell);
    }
    for kept in scope.kept.into_values() {
        let cell = &kept.snapshot.cell;
        let has_place = graph.owns(&**cell);
        // A guard of this thread that is still alive keeps the fields from being restored; key and state are.
        if cell.restore(&kept.snapshot).is_err() {
            cell.set_key(kept.snapshot.key.clone());
            cell.set_lifecycle(kept.snapshot.lifecycle);
        }
        if has_place {
            graph.remember(cell);
        }
        if kept.created {
            // If its fields were not copied, they are as they are now.
            let rekeyings = if kept.snapshot.value.is_some() { kept.rekeyings } else { scope.rekeyed.len() };
            refer_to_old_keys(cell, graph, scope.rekeyed.get(..rekeyings).unwrap_or_default());
            created.push(Arc::clone(cell));
        }
    }
    for (cell, property) in &scope.made_keys {
        if cell.lifecycle() == Lifecycle::New {
            // Sixteen bytes are a UUID: this cannot fail.
            let _ = cell.write(&mut |value, _| {
                let _ = value.property_mut(*property).decode(Some(uuid::Uuid::nil().as_bytes()));
            });
        }
    }
    for cell in &created {
        refer_to_new(cell, graph, &keys_taken_back);
    }
    for cell in &scope.loaded {
        graph.forget(cell);
        cell.set_lifecycle(Lifecycle::Detached);
    }
    created
}

/// An entity that was created in the scope may refer, by key, to one whose key is taken back: it refers to the new entity
/// again, or a later flush would write a key that no row has.
fn refer_to_new(cell: &Arc<dyn AnyCell>, graph: &UnitOfWork, taken_back: &FxHashMap<(usize, Key), Arc<dyn AnyCell>>) {
    let Some(entity) = graph.metadata.find(cell.meta()) else { return };
    if taken_back.is_empty() {
        return;
    }
    // One that is borrowed by this thread keeps what it has.
    let _ = cell.write(&mut |value, _| {
        for (property, relation) in entity.relations() {
            if let Some(reference) = value.property_mut(property).as_reference_mut()
                && let ReferenceTarget::Key(key) = reference.target()
                && let Some(target) = taken_back.get(&(relation.target, key))
            {
                reference.set_cell(target);
            }
        }
    });
}

/// An entity that was created in the scope may refer to keys that were changed in it before: they are what they were.
fn refer_to_old_keys(cell: &Arc<dyn AnyCell>, graph: &Arc<UnitOfWork>, rekeyed: &[OldKeys]) {
    let Some(entity) = graph.metadata.find(cell.meta()).filter(|_| !rekeyed.is_empty()) else { return };
    // One that is borrowed by this thread keeps what it has.
    let _ = cell.rewrite(&mut |value| {
        for (property, relation) in entity.relations() {
            let Some(reference) = value.property_mut(property).as_reference_mut() else { continue };
            let ReferenceTarget::Key(key) = reference.target() else { continue };
            let mut old = (relation.target, key.clone());
            for rekeyed in rekeyed.iter().rev() {
                if let Some(before) = rekeyed.get(&old) {
                    old.1.clone_from(before);
                }
            }
            if old.1 != key {
                reference.set_key(Some(&old.1), graph.link());
            }
        }
    });
}
