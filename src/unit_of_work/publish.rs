//! The end of a flush that has succeeded: keys, versions, generated values and states reach the entities (rule C3), and
//! the two sides of every relation agree again.

use std::sync::Arc;

use super::change_set::{ChangeKind, ChangeSet, LinkEnd, Override, RowChange, Target};
use super::outcome::Outcome;
use super::{UnitOfWork, change_set};
use crate::error::Error;
use crate::metadata::{AnyCell, EntityDef, EntityObject, Lifecycle, RelationKind, address};
use crate::types::{Key, KeyPart};

/// Publishes what was written.
///
/// # Errors
/// [`Error::EntityBorrowed`] if this thread has taken a guard of a written entity while the flush was running.
pub(crate) fn publish(graph: &Arc<UnitOfWork>, changes: ChangeSet, outcome: &Outcome) -> Result<(), Error> {
    for cell in changes.cells() {
        graph.tracker.keep_all(cell)?;
    }
    let publisher = Publisher { graph, changes: &changes, outcome };
    let mut still_dirty = rustc_hash::FxHashSet::default();
    for (position, row) in changes.rows.iter().enumerate() {
        if publisher.row(position, row)? {
            still_dirty.insert(address(&row.cell));
        }
    }
    for cell in &changes.unchanged {
        if cell.publish(&mut |_| ())? {
            still_dirty.insert(address(cell));
        }
    }
    for cell in &changes.collections {
        publisher.settle(cell)?;
    }
    for (position, row) in changes.rows.iter().enumerate() {
        publisher.inverse_sides(position, row)?;
    }
    for link in &changes.links {
        publisher.links(link)?;
    }
    let done: rustc_hash::FxHashSet<usize> = changes.cells().map(address).collect();
    graph.tracker.retain_pending(|cell| {
        let written = done.contains(&address(cell)) && !still_dirty.contains(&address(cell));
        !written && cell.lifecycle() != Lifecycle::New
    });
    Ok(())
}

struct Publisher<'a> {
    graph: &'a Arc<UnitOfWork>,
    changes: &'a ChangeSet,
    outcome: &'a Outcome,
}

impl Publisher<'_> {
    /// Publishes one row; whether the entity was changed again in the meantime.
    fn row(&self, position: usize, row: &RowChange) -> Result<bool, Error> {
        let entity = &self.graph.metadata.entities[row.entity];
        if row.kind == ChangeKind::Delete {
            self.graph.forget(&row.cell);
            row.cell.set_lifecycle(Lifecycle::Removed);
            row.cell.set_key(None);
            row.cell.publish(&mut |_| ())?;
            return Ok(false);
        }
        let key = self.outcome.keys[position].clone().or_else(|| self.composed_key(entity, row));
        let dirty = row.cell.publish(&mut |value| self.fields(value, entity, position, row, key.as_ref()))?;
        if row.kind == ChangeKind::Insert {
            row.cell.set_key(key);
            row.cell.set_lifecycle(Lifecycle::Managed);
            self.graph.remember(&row.cell);
        }
        Ok(dirty)
    }

    /// The key of a row that is made of other new rows' keys.
    fn composed_key(&self, entity: &EntityDef, row: &RowChange) -> Option<Key> {
        let mut parts: Vec<KeyPart> = Vec::new();
        row.cell
            .read(&mut |view| {
                for index in &entity.key_properties {
                    let Ok(number) = u16::try_from(*index) else { continue };
                    if entity.relation(*index).is_some() {
                        if let Some(key) = self.target_key(row.target(number)) {
                            parts.extend(key.parts().iter().cloned());
                        }
                    } else {
                        parts.extend(row.value(&view, number).key_part());
                    }
                }
            })
            .ok()?;
        if parts.len() == entity.key.len() { Key::from_parts(parts) } else { None }
    }

    fn target_key<'b>(&'b self, target: &'b Target) -> Option<&'b Key> {
        match target {
            Target::Null => None,
            Target::Key(key) => Some(key),
            Target::Row(row) => self.outcome.keys[*row].as_ref(),
        }
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
            match overridden {
                Override::Value(made) => value.property_mut(usize::from(*property)).assign(&**made),
                Override::Reference(None) => {
                    if let Some(reference) = value.property_mut(usize::from(*property)).as_reference_mut() {
                        reference.set_key(None, self.graph.link());
                    }
                }
                Override::Reference(Some(_)) => {}
            }
        }
        // References are by key from now on, in this graph.
        for (property, target) in &row.targets {
            if let Some(key) = self.target_key(target)
                && let Some(reference) = value.property_mut(usize::from(*property)).as_reference_mut()
            {
                reference.set_key(Some(key), self.graph.link());
            }
        }
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

    /// The pending changes of a collection are what the database has.
    fn settle(&self, cell: &Arc<dyn AnyCell>) -> Result<(), Error> {
        let entity = self.graph.metadata.of(cell.meta())?;
        change_both(cell, &mut |value| {
            for (property, _) in entity.relations() {
                if let Some(collection) = value.property_mut(property).as_collection_mut() {
                    collection.settle();
                }
            }
        })
    }

    /// The inverse sides of the foreign keys that were written, as far as they are loaded.
    fn inverse_sides(&self, position: usize, row: &RowChange) -> Result<(), Error> {
        let entity = &self.graph.metadata.entities[row.entity];
        if row.kind == ChangeKind::Delete {
            return self.left_behind(entity, row);
        }
        let own = self.outcome.keys[position].as_ref();
        for (property, key) in &row.previous {
            self.tell(entity, usize::from(*property), key, &row.cell, own, false)?;
        }
        for (property, target) in &row.targets {
            if let Some(key) = self.target_key(target) {
                self.tell(entity, usize::from(*property), key, &row.cell, own, true)?;
            }
        }
        Ok(())
    }

    /// Tells the entity with this key that `cell` refers to it, or no longer does.
    fn tell(
        &self,
        entity: &EntityDef,
        property: usize,
        key: &Key,
        cell: &Arc<dyn AnyCell>,
        own: Option<&Key>,
        refers: bool,
    ) -> Result<(), Error> {
        let Some(relation) = entity.relation(property) else { return Ok(()) };
        let Some(inverse) = relation.inverse else { return Ok(()) };
        let Some(target) = self.graph.find(relation.target, key) else { return Ok(()) };
        self.graph.tracker.keep_all(&target)?;
        change_both(&target, &mut |value| {
            let property = value.property_mut(inverse);
            if let Some(collection) = property.as_collection_mut() {
                collection.absorb(cell, refers);
            } else if let Some(reference) = property.as_reference_mut() {
                let current =
                    matches!(reference.target(), crate::metadata::ReferenceTarget::Key(key) if Some(&key) == own);
                if refers {
                    reference.set_key(own, self.graph.link());
                } else if current {
                    reference.set_key(None, self.graph.link());
                }
            }
        })
    }

    /// A deleted entity leaves the loaded collections that it was in.
    fn left_behind(&self, entity: &EntityDef, row: &RowChange) -> Result<(), Error> {
        let mut references = Vec::new();
        let mut members = Vec::new();
        row.cell.read(&mut |view| {
            for (property, relation) in entity.relations() {
                let value = view.baseline.unwrap_or(view.value).property(property);
                if let Some(crate::metadata::ReferenceTarget::Key(key)) = value.as_reference().map(|r| r.target()) {
                    references.push((property, key));
                }
                if relation.meta.kind == RelationKind::ManyToMany
                    && let (Some(inverse), Some(cells)) =
                        (relation.inverse, value.as_collection().and_then(|c| c.cells()))
                {
                    members.extend(cells.into_iter().map(|cell| (inverse, cell)));
                }
            }
        })?;
        for (property, key) in references {
            self.tell(entity, property, &key, &row.cell, row.key.as_ref(), false)?;
        }
        for (inverse, member) in members {
            self.absorb(&member, inverse, &row.cell, false)?;
        }
        Ok(())
    }

    fn absorb(
        &self,
        cell: &Arc<dyn AnyCell>,
        property: usize,
        item: &Arc<dyn AnyCell>,
        present: bool,
    ) -> Result<(), Error> {
        self.graph.tracker.keep_all(cell)?;
        change_both(cell, &mut |value| {
            if let Some(collection) = value.property_mut(property).as_collection_mut() {
                collection.absorb(item, present);
            }
        })
    }

    /// Both collections of a many-to-many relation have what the pivot table has.
    fn links(&self, link: &change_set::LinkChange) -> Result<(), Error> {
        let entity = &self.graph.metadata.entities[link.entity];
        let Some(relation) = entity.relation(link.property) else { return Ok(()) };
        for (pairs, present) in [(&link.unlinked, false), (&link.linked, true)] {
            for (one, two) in pairs {
                let one = self.end(link.entity, one);
                let two = self.end(relation.target, two);
                let (Some(one), Some(two)) = (one, two) else { continue };
                self.absorb(&one, link.property, &two, present)?;
                if let Some(inverse) = relation.inverse {
                    self.absorb(&two, inverse, &one, present)?;
                }
            }
        }
        Ok(())
    }

    fn end(&self, entity: usize, end: &LinkEnd) -> Option<Arc<dyn AnyCell>> {
        match end {
            LinkEnd::Key(key) => self.graph.find(entity, key),
            LinkEnd::Row(row) => Some(Arc::clone(&self.changes.rows[*row].cell)),
        }
    }
}

/// Changes an entity's fields and, if it is dirty, what it is compared with.
fn change_both(cell: &Arc<dyn AnyCell>, change: &mut dyn FnMut(&mut dyn EntityObject)) -> Result<(), Error> {
    cell.write(&mut |value, baseline| {
        change(value);
        if let Some(baseline) = baseline {
            change(baseline);
        }
    })
}

/// Puts a part of a key into its field.
fn set_part(value: &mut dyn EntityObject, property: usize, entity: &EntityDef, part: &KeyPart) {
    if let Some(column) = entity.column(property) {
        let mut out = bytes::BytesMut::new();
        part.encode(column.meta.pg, &mut out);
        // The part came from a column of this type.
        let _ = value.property_mut(property).decode(Some(&out));
    }
}
