//! What follows in memory when a flush has changed keys: entities whose own keys have become others are found under these
//! from now on, and foreign keys that the server has changed with them are as the database has them.
//!
//! Looks at every loaded entity of the types that are concerned, and only if a key was changed.

use std::sync::Arc;

use super::UnitOfWork;
use super::key_changes::KeysNow;
use super::scope::OldKeys;
use crate::error::Error;
use crate::metadata::{AnyCell, EntityDef, EntityObject, EntityView, KeyRule, Lifecycle, PropertyDef, ReferenceTarget};
use crate::types::Key;
use rustc_hash::FxHashSet;

/// An entity that has to be told.
pub(super) struct Follower {
    pub(super) cell: Arc<dyn AnyCell>,
    entity: usize,
    /// The key that it has from now on, if that is another one.
    key: Option<Key>,
    /// Foreign keys that the server has set to NULL (`on_update = "set null"`), and what they were.
    pub(super) emptied: Vec<(usize, Key)>,
}

/// Everybody who has to be told of the keys that change.
///
/// # Errors
/// [`Error::EntityBorrowed`] if this thread holds a write guard of an entity that may be concerned.
pub(super) fn followers(graph: &Arc<UnitOfWork>, now: KeysNow<'_>) -> Result<Vec<Follower>, Error> {
    let mut followers = Vec::new();
    if now.changes.keys.is_empty() {
        return Ok(followers);
    }
    let moved = now.changes.keys.entities(&graph.metadata);
    for entity in &graph.metadata.entities {
        let is_concerned =
            moved.contains(&entity.index) || entity.relations().any(|(_, relation)| moved.contains(&relation.target));
        if !is_concerned {
            continue;
        }
        let cells = graph.map.lock().everything(entity.index, entity.meta);
        for cell in cells {
            let look = Look { entity, moved: &moved, now };
            let mut emptied = Vec::new();
            let mut differs = false;
            cell.read(&mut |view| {
                look.push_emptied(cell.lifecycle(), &view, &mut emptied);
                differs = look.differs(view.value) || view.baseline.is_some_and(|baseline| look.differs(baseline));
            })?;
            let old = cell.key();
            let key =
                old.as_ref().map(|key| now.of(entity.index, key).into_owned()).filter(|key| Some(key) != old.as_ref());
            if differs || key.is_some() {
                followers.push(Follower { cell, entity: entity.index, key, emptied });
            }
        }
    }
    Ok(followers)
}

/// Tells everybody.
///
/// # Errors
/// [`Error::EntityBorrowed`] if this thread holds a guard of one of them.
pub(super) fn follow(graph: &Arc<UnitOfWork>, followers: &[Follower], now: KeysNow<'_>) -> Result<(), Error> {
    for follower in followers {
        let entity = &graph.metadata.entities[follower.entity];
        follower.cell.rewrite(&mut |fields| rewrite(graph, entity, fields, &follower.emptied, now))?;
    }
    let mut map = graph.map.lock();
    let rekeyed = || followers.iter().filter_map(|follower| Some((follower, follower.key.as_ref()?)));
    // All of them first, for one may get the key of another.
    for (follower, _) in rekeyed() {
        map.remove(follower.entity, &follower.cell);
    }
    let mut replaced = Vec::new();
    let mut old_keys = OldKeys::default();
    for (follower, key) in rekeyed() {
        old_keys.extend(follower.cell.key().map(|old| ((follower.entity, key.clone()), old)));
        follower.cell.set_key(Some(key.clone()));
        let other = map.insert(follower.entity, key.clone(), &follower.cell);
        replaced.extend(other.filter(|other| !Arc::ptr_eq(other, &follower.cell)));
    }
    drop(map);
    if !old_keys.is_empty() {
        graph.tracker.rekeyed(old_keys);
    }
    // A row that was read under its new key while the flush was under way; what is deleted leaves by itself.
    for other in replaced.iter().filter(|other| other.lifecycle() == Lifecycle::Managed) {
        graph.tracker.keep_state(other);
        other.set_lifecycle(Lifecycle::Detached);
    }
    Ok(())
}

struct Look<'a> {
    entity: &'a EntityDef,
    /// The entities whose keys may have changed.
    moved: &'a FxHashSet<usize>,
    now: KeysNow<'a>,
}

impl Look<'_> {
    /// Whether these fields name something that is called otherwise now.
    fn differs(&self, fields: &dyn EntityObject) -> bool {
        let mut relations = self.entity.relations().filter(|(_, relation)| self.moved.contains(&relation.target));
        relations.any(|(property, relation)| {
            let value = fields.property(property);
            match (value.as_reference().map(|reference| reference.target()), value.as_collection()) {
                (Some(ReferenceTarget::Key(key)), _) => *self.now.of(relation.target, &key) != key,
                (_, Some(collection)) => collection.names_rows(),
                _ => false,
            }
        })
    }

    fn push_emptied(&self, lifecycle: Lifecycle, view: &EntityView<'_>, emptied: &mut Vec<(usize, Key)>) {
        if !matches!(lifecycle, Lifecycle::Managed | Lifecycle::Removing) {
            return;
        }
        for (property, relation) in self.entity.relations() {
            let stored = view.baseline.unwrap_or(view.value).property(property).as_reference();
            if relation.is_owning_to_one()
                && relation.key_rule() == KeyRule::SetNull
                && let Some(ReferenceTarget::Key(key)) = stored.map(|reference| reference.target())
                && *self.now.of(relation.target, &key) != key
            {
                emptied.push((property, key));
            }
        }
    }
}

fn rewrite(
    graph: &Arc<UnitOfWork>,
    entity: &EntityDef,
    fields: &mut dyn EntityObject,
    emptied: &[(usize, Key)],
    now: KeysNow<'_>,
) {
    for (index, property) in entity.properties.iter().enumerate() {
        let PropertyDef::Relation(relation) = property else { continue };
        let value = fields.property_mut(index);
        if let Some(collection) = value.as_collection_mut() {
            collection.pin();
        } else if let Some(reference) = value.as_reference_mut()
            && let ReferenceTarget::Key(key) = reference.target()
        {
            if emptied.iter().any(|(property, stored)| *property == index && *stored == key) {
                reference.set_key(None, graph.link());
                continue;
            }
            let new = now.of(relation.target, &key);
            if *new != key {
                reference.set_key(Some(&new), graph.link());
            }
        }
    }
}
