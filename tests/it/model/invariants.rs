//! What holds after every operation: memory, database and model agree.

use std::collections::{BTreeMap, BTreeSet};

use howdah::prelude::*;

use super::reference::{Entity, State};
use super::tables::{Id, Relation, Value};
use super::world::{Stop, World, wrong};

/// Everything that can be seen of an entity, in the words of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    state: EntityState,
    key: Option<String>,
    is_dirty: bool,
    fields: Vec<Option<Value>>,
    relations: BTreeMap<Relation, Option<BTreeSet<Option<Value>>>>,
}

impl World<'_> {
    /// What can be seen of all entities.
    pub fn look(&self) -> BTreeMap<Id, Look> {
        let looks = self.handles.iter().map(|(id, handle)| {
            let table = handle.table();
            let relations = Relation::ALL.into_iter().filter(|relation| relation.owner() == table).map(|relation| {
                let items = handle.items(relation);
                (relation, items.map(|items| items.into_iter().map(|item| self.value(item)).collect()))
            });
            let look = Look {
                state: handle.state(),
                key: handle.key(),
                is_dirty: handle.is_dirty(),
                fields: handle.cells().into_iter().map(|cell| self.value(cell)).collect(),
                relations: relations.collect(),
            };
            (*id, look)
        });
        looks.collect()
    }

    /// Nothing can be seen of what has failed (rules C3, C12, D2). What was loaded meanwhile may stay.
    pub fn check_unchanged(&self, before: &BTreeMap<Id, Look>) -> Result<(), Stop> {
        let now = self.look();
        for (id, before) in before {
            let Some(now) = now.get(id) else { continue };
            let mut expected = before.clone();
            for (relation, items) in &mut expected.relations {
                if items.is_none() {
                    items.clone_from(&now.relations[relation]);
                }
            }
            if expected != *now {
                wrong!("{} is not as before:\n  before {before:?}\n  now    {now:?}", self.name(*id));
            }
        }
        Ok(())
    }

    /// The memory is as the model says.
    pub fn check_memory(&self) -> Result<(), Stop> {
        for (id, entity) in &self.model.memory {
            let (name, handle) = (self.name(*id), &self.handles[id]);
            let state = match entity.state {
                State::New | State::Scheduled => EntityState::New,
                State::Managed => EntityState::Managed,
                State::Removing | State::Removed => EntityState::Removed,
            };
            if handle.state() != state {
                wrong!("{name} is {:?}, expected {:?}", handle.state(), entity.state);
            }
            let key = self.key(*id).map(str::to_owned).filter(|_| entity.known.is_some());
            if handle.key() != key {
                wrong!("{name} has the key {:?}, expected {key:?}", handle.key());
            }
            let fields: Vec<Option<Value>> = handle.cells().into_iter().map(|cell| self.value(cell)).collect();
            // What was deleted is not told of keys that change.
            let is_outdated = |field: &Option<Value>, expected: &Value| {
                entity.state == State::Removed && field.is_none() && matches!(expected, Value::Row(_))
            };
            let is_right = |(field, expected): (&Option<Value>, &Value)| {
                field.as_ref() == Some(expected) || is_outdated(field, expected)
            };
            if fields.len() != entity.fields.len() || !fields.iter().zip(&entity.fields).all(is_right) {
                wrong!("{name} has the fields {fields:?}, expected {:?}", entity.fields);
            }
            self.check_dirty(*id, entity)?;
            self.check_relations(*id, entity)?;
        }
        Ok(())
    }

    fn check_dirty(&self, id: Id, entity: &Entity) -> Result<(), Stop> {
        let collections = entity.claims.keys().any(|(relation, _)| *relation != Relation::Badge);
        let changed = entity.known.as_ref().is_some_and(|known| *known != entity.fields);
        let dirty = match entity.state {
            State::Scheduled | State::Removing => true,
            State::New | State::Removed => false,
            State::Managed => changed || collections,
        };
        let is_dirty = self.handles[&id].is_dirty();
        // Adding what is there, and taking out what is not, may be changes of a collection that is not loaded.
        let may_be = self.loaded().iter().filter(|(owner, _)| *owner == id).count()
            < Relation::ALL.into_iter().filter(|relation| relation.owner() == entity.table).count();
        if is_dirty != dirty && !(may_be && is_dirty) {
            wrong!("{} is {}dirty", self.name(id), if is_dirty { "" } else { "not " });
        }
        Ok(())
    }

    /// What is loaded of a relation is what the rows say, with what was added and taken out.
    fn check_relations(&self, id: Id, entity: &Entity) -> Result<(), Stop> {
        if entity.state == State::Removed {
            return Ok(());
        }
        for relation in Relation::ALL.into_iter().filter(|relation| relation.owner() == entity.table) {
            let Some(items) = self.handles[&id].items(relation) else { continue };
            let count = items.len();
            let items: BTreeSet<Option<Value>> = items.into_iter().map(|item| self.value(item)).collect();
            let held =
                self.among(|item, entity| entity.table == relation.item() && self.model.holds(id, relation, item));
            let mut expected: BTreeSet<Option<Value>> = held.into_iter().map(|item| Some(Value::Row(item))).collect();
            if relation == Relation::Badge && !entity.claims.keys().any(|(relation, _)| *relation == Relation::Badge) {
                // It is read with the row, whether the badge itself is in memory or not.
                let rows = self.model.rows.iter().filter(|(item, row)| {
                    row.table == relation.item()
                        && row.fields[1] == Value::Row(id)
                        && !self.model.memory.contains_key(item)
                });
                expected.extend(rows.map(|(item, _)| Some(Value::Row(*item))));
            }
            // What is persisted again may have been linked to something that was deleted, too.
            let gone = |item: &&Option<Value>| {
                let removed = |id: &Id| self.model.memory.get(id).is_some_and(|item| item.state == State::Removed);
                entity.state == State::Scheduled && matches!(item, Some(Value::Row(id)) if removed(id))
            };
            let surplus = items.difference(&expected).any(|item| !gone(&item));
            if surplus || !expected.is_subset(&items) || count != items.len() {
                wrong!("{}.{} holds {items:?} ({count}), expected {expected:?}", self.name(id), relation.name());
            }
        }
        Ok(())
    }

    /// The database is as the model says. Inside a transaction nobody else sees it.
    pub async fn check_database(&self) -> Result<(), Stop> {
        if !self.frames.is_empty() {
            return Ok(());
        }
        let (stored, expected) = (self.database.stored().await, self.expected());
        if stored != expected {
            let mut differences = String::new();
            for (key, row) in &stored.rows {
                if expected.rows.get(key) != Some(row) {
                    differences += &format!("\n  {key:?} is {row:?}, expected {:?}", expected.rows.get(key));
                }
            }
            for (key, row) in &expected.rows {
                if !stored.rows.contains_key(key) {
                    differences += &format!("\n  {key:?} is missing, expected {row:?}");
                }
            }
            for link in stored.links.symmetric_difference(&expected.links) {
                let expected = if expected.links.contains(link) { "missing" } else { "too many" };
                differences += &format!("\n  the link {link:?} is {expected}");
            }
            wrong!("the rows are not those of the model:{differences}");
        }
        Ok(())
    }

    /// No transaction is left open.
    pub async fn check_no_transaction(&self) -> Result<(), Stop> {
        if !self.frames.is_empty() {
            return Ok(());
        }
        if self.em.is_in_transaction() {
            wrong!("the manager is still in a transaction");
        }
        self.database.settled().await;
        match self.database.open_transactions().await {
            0 => Ok(()),
            open => wrong!("{open} transactions are still open"),
        }
    }
}
