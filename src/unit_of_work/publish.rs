//! The end of a flush that has succeeded: keys, versions, generated values and states reach the entities (rule C3), and
//! the two sides of every relation agree again.

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::UnitOfWork;
use super::change_set::{ChangeKind, ChangeSet, Override, RowChange};
use super::deleted_along::{DeletedAlong, Moment};
use super::follow::{Follower, follow, followers};
use super::inverse_sides::{Told, told};
use super::key_changes::KeysNow;
use super::outcome::Outcome;
use crate::entity::holds_no_guard;
use crate::error::Error;
use crate::metadata::{
    AnyCell, CollectionChanges, EntityDef, EntityObject, Lifecycle, Member, ReferenceTarget, address,
};
use crate::types::{Key, KeyPart};

/// Publishes what was written.
///
/// # Errors
/// [`Error::EntityBorrowed`] if this thread has taken a guard of a written entity while the flush was running. Nothing is published
/// then.
pub(crate) fn publish(graph: &Arc<UnitOfWork>, changes: &ChangeSet, outcome: &Outcome) -> Result<(), Error> {
    check_guards(graph, changes)?;
    graph.sights.forget_rows();
    let now = outcome.in_the_end(&graph.metadata, changes);
    let mut told = told(graph, changes)?;
    let followers = followers(graph, now)?;
    emptied(graph, &followers, &mut told);
    if graph.tracker.has_scopes() {
        let cells = changes.cells().chain(told.iter().map(|told| &told.cell));
        for cell in cells.chain(followers.iter().map(|follower| &follower.cell)) {
            graph.tracker.keep_all(cell)?;
        }
    }
    follow(graph, &followers, now)?;
    for told in &mut told {
        told.rename(&graph.metadata, now);
    }
    let publisher = Publisher { graph, changes, outcome, now };
    let mut still_dirty = FxHashSet::default();
    let mut published = 0;
    let rows = changes.rows.iter().enumerate().try_for_each(|(position, row)| -> Result<(), Error> {
        if publisher.row(position, row)? {
            still_dirty.insert(address(&row.cell));
            // An entity that only a cascade has reached was not pending.
            graph.tracker.add_pending(&row.cell);
        }
        published = position + 1;
        Ok(())
    });
    publisher.remember(published);
    rows?;
    for row in &changes.unchanged {
        if row.cell.publish(changes.flush, &mut |value| publisher.references(value, row))? {
            still_dirty.insert(address(&row.cell));
        }
    }
    for (cell, property, sent) in &changes.collections {
        settle(graph, changes, cell, *property, sent)?;
    }
    for told in &told {
        told.take_in(graph.link())?;
    }
    for cell in &changes.dropped {
        cell.set_lifecycle(Lifecycle::New);
    }
    DeletedAlong::of(graph, changes, Moment::Behind)?.publish(graph, changes)?;
    graph.tracker.forget_removed_rows(&changes.removed_rows);
    graph.tracker.retain_pending(|cell| {
        match cell.lifecycle() {
            Lifecycle::New | Lifecycle::Removed => false,
            // If it was written, it was persisted or removed in the meantime.
            Lifecycle::Scheduled | Lifecycle::Removing => true,
            // Of those that were written, only what was changed again in the meantime.
            _ => cell.marked(changes.number).is_none() || still_dirty.contains(&address(cell)),
        }
    });
    Ok(())
}

/// Entities that this thread has borrowed could not be published: better to fail before COMMIT.
///
/// # Errors
/// [`Error::EntityBorrowed`] for an entity that is written, or told of what is written.
pub(crate) fn check_guards(graph: &Arc<UnitOfWork>, changes: &ChangeSet) -> Result<(), Error> {
    if holds_no_guard() {
        return Ok(());
    }
    let told = told(graph, changes)?;
    let outcome = Outcome::before(&graph.metadata, changes);
    let followers = followers(graph, outcome.in_the_end(&graph.metadata, changes))?;
    let along = DeletedAlong::of(graph, changes, Moment::Before)?;
    let others = told.iter().map(|told| &told.cell).chain(followers.iter().map(|follower| &follower.cell));
    let mut cells = changes.cells().chain(others).chain(along.cells());
    match cells.find(|cell| cell.is_borrowed(true)) {
        Some(cell) => Err(Error::EntityBorrowed { entity: cell.meta().name }),
        None => Ok(()),
    }
}

/// Whoever was set to NULL by the server has left the other side.
fn emptied(graph: &Arc<UnitOfWork>, followers: &[Follower], told: &mut Vec<Told>) {
    for follower in followers {
        for (property, key) in &follower.emptied {
            let relation = graph.metadata.find(follower.cell.meta()).and_then(|entity| entity.relation(*property));
            if let Some(relation) = relation
                && let Some(inverse) = relation.inverse
                && let Some(target) = graph.find(relation.target, key)
            {
                told.push(Told::left(target, inverse, &follower.cell));
            }
        }
    }
}

/// What was sent of a collection is what the database has. Where two collections wanted the same item, or it was not
/// inserted after all, the item itself says whose it is.
fn settle(
    graph: &UnitOfWork,
    changes: &ChangeSet,
    cell: &Arc<dyn AnyCell>,
    property: usize,
    sent: &CollectionChanges,
) -> Result<(), Error> {
    let relation = graph.metadata.of(cell.meta())?.relation(property);
    let inverse = relation.filter(|relation| relation.pivot.is_none()).and_then(|relation| relation.inverse);
    let mut belonging = Vec::new();
    for item in sent.added.iter().chain(&sent.removed) {
        let belongs = match (item, inverse) {
            (Member::Entity(entity), Some(inverse)) => refers_to(entity, inverse, cell)?,
            (Member::Entity(entity), None) if entity.key().is_none() => false,
            (Member::Row(row), None) if relation.is_some_and(|to| changes.removes_row(to.target, &row.key)) => false,
            _ => continue,
        };
        belonging.push((item, belongs));
    }
    let settle = |fields: &mut dyn EntityObject| {
        if let Some(collection) = fields.property_mut(property).as_collection_mut() {
            collection.belong_to(&cell.meta().properties[property]);
            collection.settle(sent, graph.link());
            for (item, belongs) in &belonging {
                collection.absorb(item, *belongs);
            }
        }
    };
    cell.write(&mut |value, baseline| {
        settle(value);
        if let Some(baseline) = baseline {
            settle(baseline);
            // Nothing is pending in what the database has.
            if let Some(collection) = baseline.property_mut(property).as_collection_mut() {
                collection.discard();
            }
        }
    })
}

/// Whether the row of `item` refers to that of `owner`.
fn refers_to(item: &Arc<dyn AnyCell>, property: usize, owner: &Arc<dyn AnyCell>) -> Result<bool, Error> {
    let mut key = None;
    item.read(&mut |view| {
        let reference = view.baseline.unwrap_or(view.value).property(property).as_reference();
        if let Some(ReferenceTarget::Key(target)) = reference.map(|reference| reference.target()) {
            key = Some(target);
        }
    })?;
    Ok(item.key().is_some() && key.is_some() && key == owner.key())
}

struct Publisher<'a> {
    graph: &'a Arc<UnitOfWork>,
    changes: &'a ChangeSet,
    outcome: &'a Outcome,
    /// The keys that all rows have in the end.
    now: KeysNow<'a>,
}

impl Publisher<'_> {
    /// Puts into the identity map what was inserted, of this many rows.
    fn remember(&self, published: usize) {
        let rows = self.changes.rows.iter().enumerate().take(published);
        let rows = rows.take_while(|(_, row)| row.kind == ChangeKind::Insert);
        let rows = rows.filter_map(|(position, row)| Some((row, self.now.of_row(position)?)));
        let mut replaced = Vec::new();
        let mut map = self.graph.map.lock();
        for (entity, rows) in &self.changes.inserted {
            map.of(*entity).reserve(*rows);
        }
        for (row, key) in rows {
            let other = map.insert(row.entity, key.into_owned(), &row.cell);
            replaced.extend(other.filter(|other| !Arc::ptr_eq(other, &row.cell)));
        }
        drop(map);
        for other in replaced {
            self.graph.tracker.keep_state(&other);
            other.set_lifecycle(Lifecycle::Detached);
        }
    }

    /// Publishes one row; whether the entity was changed again in the meantime.
    fn row(&self, position: usize, row: &RowChange) -> Result<bool, Error> {
        let entity = &self.graph.metadata.entities[row.entity];
        if row.kind == ChangeKind::Delete {
            self.graph.forget(&row.cell);
            let persisted_again = row.scheduled && row.cell.lifecycle() == Lifecycle::Managed;
            row.cell.set_lifecycle(if persisted_again { Lifecycle::Scheduled } else { Lifecycle::Removed });
            row.cell.set_key(None);
            self.graph.remember(&row.cell);
            row.cell.publish(self.changes.flush, &mut |_| ())?;
            return Ok(false);
        }
        let key = self.now.of_row(position).map(Cow::into_owned);
        let dirty = row.cell.publish(self.changes.flush, &mut |value| {
            self.fields(value, entity, position, row, key.as_ref());
        })?;
        if row.kind == ChangeKind::Insert {
            row.cell.set_key(key);
            let removed_again = row.scheduled && row.cell.lifecycle() == Lifecycle::New;
            row.cell.set_lifecycle(if removed_again { Lifecycle::Removing } else { Lifecycle::Managed });
        }
        Ok(dirty)
    }

    /// Puts what was made into the fields.
    fn fields(
        &self,
        value: &mut dyn EntityObject,
        entity: &EntityDef,
        position: usize,
        row: &RowChange,
        key: Option<&Key>,
    ) {
        for (property, overridden) in &row.overrides {
            if let Override::Value(made) = overridden {
                value.property_mut(usize::from(*property)).assign(&**made);
            }
        }
        self.references(value, row);
        if row.kind == ChangeKind::Insert
            && let (Some(identity), Some(key)) = (entity.identity, key)
            && let [part] = key.parts()
        {
            set_part(value, identity, entity, part);
        }
        for (property, raw) in self.outcome.made.get(&position).into_iter().flatten() {
            // The value came from a column of this type.
            let _ = value.property_mut(usize::from(*property)).decode(raw.as_deref());
        }
        if row.kind == ChangeKind::Insert && entity.identity.is_none() {
            self.made_key(value, entity, row, key);
        }
    }

    /// References are by key from now on, in this graph.
    fn references(&self, value: &mut dyn EntityObject, row: &RowChange) {
        if row.targets.is_empty() && row.overrides.is_empty() {
            return;
        }
        let nothing = row.overrides.iter().filter(|(_, value)| matches!(value, Override::Reference(None)));
        let nothing = nothing.map(|(property, _)| (*property, None));
        let entity = &self.graph.metadata.entities[row.entity];
        let keys = row.targets.iter().filter_map(|(property, target)| {
            let relation = entity.relation(usize::from(*property))?;
            Some((*property, Some(self.now.of_target(relation.target, target)?)))
        });
        for (property, key) in nothing.chain(keys) {
            let key = key.as_deref();
            if let Some(reference) = value.property_mut(usize::from(property)).as_reference_mut() {
                reference.set_key(key, self.graph.link());
            }
        }
    }

    /// A key that the database made without a sequence (`#[primary_key(default = "…")]`).
    fn made_key(&self, value: &mut dyn EntityObject, entity: &EntityDef, row: &RowChange, key: Option<&Key>) {
        let Some(key) = key else { return };
        let mut parts = key.parts().iter();
        for index in &entity.key_properties {
            match entity.relation(*index) {
                Some(relation) => {
                    let _ = parts.nth(relation.columns.len().saturating_sub(1));
                }
                None => {
                    let part = parts.next();
                    let written = u16::try_from(*index).is_ok_and(|number| row.properties.contains(&number));
                    if let (false, Some(part)) = (written, part) {
                        set_part(value, *index, entity, part);
                    }
                }
            }
        }
    }
}

/// Puts a part of a key into its field.
fn set_part(value: &mut dyn EntityObject, property: usize, entity: &EntityDef, part: &KeyPart) {
    if let Some(column) = entity.column(property) {
        // The part came from a column of this type.
        let _ = part.with_bytes(column.meta.pg, |bytes| value.property_mut(property).decode(Some(bytes)));
    }
}
