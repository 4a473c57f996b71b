//! What a story has: the library's side, the model's side, and which is which.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use howdah::prelude::*;

use super::database::{Database, Stored};
use super::flushing::Planned;
use super::handles::{Cell, Handle};
use super::operations::Operation;
use super::reference::{Entity, Loaded, Model, Repair, Row, State};
use super::tables::{Id, Kind, Relation, Table, Value};

/// Why a story does not go on.
#[derive(Debug)]
pub enum Stop {
    /// Library and model do not agree.
    Wrong(String),
    /// An operation of the library has failed. A scope hands it on.
    Failed(Error),
    /// The scope is to fail.
    OnPurpose,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

macro_rules! wrong {
    ($($message:tt)*) => {
        return Err($crate::model::world::Stop::Wrong(format!($($message)*)))
    };
}

pub(super) use wrong;

/// What has happened in an open scope.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    pub has_written: bool,
    pub created: BTreeSet<Id>,
    /// Read after something was written: they may show rows that never were (rule D2).
    pub loaded_dirty: BTreeSet<Id>,
    pub cleared: bool,
}

pub struct World<'a> {
    pub database: &'a Database,
    pub em: EntityManager,
    pub model: Model,
    pub handles: BTreeMap<Id, Handle>,
    /// What `clear()` has left behind.
    pub detached: Vec<Handle>,
    pub frames: Vec<Frame>,
    /// What the flush at the end of a scope is to do.
    pub ending: Option<(Planned, Option<Repair>)>,
    /// Whether the connection of the open transaction was ended.
    pub killed: bool,
    /// Whether the open transaction was in conflict with another one, and whether it may have been.
    pub conflict: (bool, bool),
    pub story: Vec<String>,
    next: Id,
    fresh: i64,
}

impl<'a> World<'a> {
    pub fn new(database: &'a Database) -> Self {
        Self {
            database,
            em: database.em(),
            model: Model::default(),
            handles: BTreeMap::new(),
            detached: Vec::new(),
            frames: Vec::new(),
            ending: None,
            killed: false,
            conflict: (false, false),
            story: Vec::new(),
            next: 1,
            fresh: 1,
        }
    }

    /// A line of the story.
    pub fn tell(&mut self, line: impl AsRef<str>) {
        let indent = "    ".repeat(self.frames.len());
        self.story.push(format!("{indent}{}", line.as_ref()));
    }

    /// What the entity is called in the story.
    pub fn name(&self, id: Id) -> String {
        let table = self.model.memory.get(&id).map(|entity| entity.table);
        let table = table.or_else(|| self.model.rows.get(&id).map(|row| row.table));
        format!("{}{id}", table.map_or("gone", |table| table.definition().name))
    }

    pub fn next_id(&mut self) -> Id {
        self.next += 1;
        self.next - 1
    }

    /// A value that nobody has.
    pub fn fresh(&mut self, kind: Kind) -> Value {
        self.fresh += 1;
        match kind {
            Kind::Int => Value::Int(self.fresh),
            Kind::Text => Value::Text(format!("v{}", self.fresh)),
            Kind::To(_) => Value::Null,
        }
    }

    /// The entities in memory that a condition holds for.
    pub fn among(&self, condition: impl Fn(Id, &Entity) -> bool) -> Vec<Id> {
        self.model.memory.iter().filter(|(id, entity)| condition(**id, entity)).map(|(id, _)| *id).collect()
    }

    /// One of the entities, by number.
    pub fn pick(&self, number: u8, condition: impl Fn(Id, &Entity) -> bool) -> Option<Id> {
        let all = self.among(condition);
        (!all.is_empty()).then(|| all[usize::from(number) % all.len()])
    }

    /// The model's value as the library takes it.
    pub fn cell(&self, value: &Value) -> Cell {
        match value {
            Value::Null => Cell::Null,
            Value::Int(value) => Cell::Int(*value),
            Value::Text(value) => Cell::Text(value.clone()),
            Value::Row(id) => Cell::To(self.handles[id].clone()),
        }
    }

    /// The library's value as the model has it; `None` for an entity that the story does not know.
    pub fn value(&self, cell: Cell) -> Option<Value> {
        Some(match cell {
            Cell::Null => Value::Null,
            Cell::Int(value) => Value::Int(value),
            Cell::Text(value) => Value::Text(value),
            // Loaded in a scope that then cleared its memory and was undone: the row is known, the handle is not.
            Cell::To(handle) => Value::Row(self.id_of(&handle).or_else(|| {
                let key = handle.key()?;
                self.model.row_by_key(handle.table(), &key)
            })?),
            Cell::ToKey(table, key) => Value::Row(self.model.row_by_key(table, &key).or_else(|| {
                // Deleted, perhaps persisted again, and referred to by something that is not in the database.
                let removed = self.among(|id, entity| {
                    entity.table == table && entity.known.is_none() && self.last_keys(id).contains(&key)
                });
                removed.first().copied()
            })?),
        })
    }

    /// The keys that an entity without one would get again.
    fn last_keys(&self, id: Id) -> Vec<String> {
        self.handles.get(&id).map(Handle::id).into_iter().collect()
    }

    pub fn id_of(&self, handle: &Handle) -> Option<Id> {
        self.handles.iter().find(|(_, known)| *known == handle).map(|(id, _)| *id)
    }

    /// Which relations are loaded.
    pub fn loaded(&self) -> Loaded {
        let mut loaded = Loaded::new();
        for relation in Relation::ALL {
            for id in self.among(|_, entity| entity.table == relation.owner()) {
                if self.handles[&id].items(relation).is_some() {
                    loaded.insert((id, relation));
                }
            }
        }
        loaded
    }

    /// Takes in an entity that was read.
    pub fn meet(&mut self, handle: Handle) -> Result<Id, Stop> {
        let table = handle.table();
        if let Some(id) = self.id_of(&handle) {
            return Ok(id);
        }
        let Some(key) = handle.key() else { wrong!("{handle:?} was read, and has no key") };
        let Some(id) = self.model.row_by_key(table, &key) else {
            wrong!("{handle:?} was read, and there is no such row")
        };
        if self.model.memory.contains_key(&id) {
            wrong!("{} was read as another entity (A1)", self.name(id));
        }
        let fields = self.model.rows[&id].fields.clone();
        let entity = Entity::with(table, fields, State::Managed);
        self.model.memory.insert(id, entity);
        self.handles.insert(id, handle);
        if let Some(frame) = self.frames.iter_mut().rev().find(|frame| frame.has_written) {
            frame.loaded_dirty.insert(id);
        }
        Ok(id)
    }

    /// The key of a row that a reference may lead to.
    pub fn key(&self, id: Id) -> Option<&str> {
        self.model.rows.get(&id).map(|row| row.key.as_str())
    }

    /// The model's rows as the database has them.
    pub fn expected(&self) -> Stored {
        let text = |value: &Value| match value {
            Value::Null => None,
            Value::Int(value) => Some(value.to_string()),
            Value::Text(value) => Some(value.clone()),
            Value::Row(id) => Some(self.key(*id).unwrap_or("nobody").to_owned()),
        };
        let rows = self.model.rows.values();
        let links = self.model.links.iter();
        Stored {
            rows: rows.map(|row| ((row.table, row.key.clone()), row.fields.iter().map(text).collect())).collect(),
            links: links
                .map(|(one, two)| (self.model.rows[one].key.clone(), self.model.rows[two].key.clone()))
                .collect(),
        }
    }

    /// Forgets the memory and takes the rows over as they are.
    pub async fn begin_anew(&mut self) {
        self.tell("em.clear(); // and the model begins anew with the rows");
        self.em.clear();
        self.detached.extend(std::mem::take(&mut self.handles).into_values());
        let stored = self.database.stored().await;
        let mut ids: BTreeMap<(Table, String), Id> = BTreeMap::new();
        for (table, key) in stored.rows.keys() {
            let id = self.model.row_by_key(*table, key).unwrap_or_else(|| self.next_id());
            ids.insert((*table, key.clone()), id);
        }
        let mut model = Model::default();
        for ((table, key), texts) in stored.rows {
            let columns = table.definition().columns.iter().zip(texts);
            let fields = columns.map(|(column, text)| match (text, column.kind) {
                (None, _) => Value::Null,
                (Some(text), Kind::Int) => Value::Int(text.parse().unwrap()),
                (Some(text), Kind::Text) => Value::Text(text),
                (Some(text), Kind::To(target)) => Value::Row(ids[&(target, text)]),
            });
            let fields = fields.collect();
            model.rows.insert(ids[&(table, key.clone())], Row { table, key, fields });
        }
        let id = |table, key| ids[&(table, key)];
        model.links =
            stored.links.into_iter().map(|(one, two)| (id(Table::Person, one), id(Table::Tag, two))).collect();
        self.model = model;
    }

    /// Tells and does one after the other.
    pub fn run<'w>(&'w mut self, operations: &'w [Operation]) -> BoxFuture<'w, Result<(), Stop>> {
        Box::pin(async move {
            for operation in operations {
                self.apply(operation).await?;
                self.check_memory()?;
            }
            Ok(())
        })
    }
}
