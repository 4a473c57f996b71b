//! The reference model: tables in memory, entities in memory, and what a flush does to both.
//!
//! It knows no order of statements: a flush takes everything to its end at once, and looks at the constraints then. What
//! the library does in between must not be seen.

use std::collections::{BTreeMap, BTreeSet};

use super::tables::{Id, Relation, Table, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    New,
    /// New, and to be inserted.
    Scheduled,
    Managed,
    /// To be deleted.
    Removing,
    /// Deleted.
    Removed,
}

/// A row of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub table: Table,
    /// As the library writes it; empty while a new row's key has not been looked up.
    pub key: String,
    pub fields: Vec<Value>,
}

/// An entity in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    pub table: Table,
    pub state: State,
    pub fields: Vec<Value>,
    /// What its row had when it was last read or written.
    pub known: Option<Vec<Value>>,
    /// What was added (`true`) to its to-many relations and inverse sides, and what was taken out, since the last flush.
    pub claims: BTreeMap<(Relation, Id), bool>,
    /// Persisted, and removed again before it was inserted: being in a collection does not make it be inserted.
    pub dropped: bool,
    /// Its row was deleted: what refers to it may do so by its key.
    pub deleted: bool,
    /// Columns that were changed by the entity itself since the last flush.
    pub own: BTreeSet<usize>,
    /// Columns that somebody's claims have to do with.
    pub claimed: BTreeSet<usize>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub rows: BTreeMap<Id, Row>,
    /// People and their tags.
    pub links: BTreeSet<(Id, Id)>,
    pub memory: BTreeMap<Id, Entity>,
}

/// Which to-many relations of which entities are loaded: cascades go no further.
pub type Loaded = BTreeSet<(Id, Relation)>;

/// Why a flush has to fail, and what helps.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The errors that may tell it.
    pub kinds: &'static [&'static str],
    pub repair: Repair,
}

#[derive(Clone, Copy, Debug)]
pub enum Repair {
    /// Another value in this column.
    Assign(Id, usize),
    /// Persist it after all.
    Keep(Id),
    /// Give the claim up.
    Unclaim(Id, Relation, Id),
    /// Read the row again: somebody else has changed or deleted it.
    Refresh(Id),
}

impl Entity {
    /// One that was just made, or just read.
    pub fn with(table: Table, fields: Vec<Value>, state: State) -> Self {
        let known = (state == State::Managed).then(|| fields.clone());
        let (claims, own, claimed) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { table, state, fields, known, claims, dropped: false, deleted: false, own, claimed }
    }
}

/// What a flush leaves behind.
pub struct Flushed {
    pub model: Model,
    pub inserted: BTreeSet<Id>,
    pub updated: BTreeSet<Id>,
    pub deleted: BTreeSet<Id>,
    pub links_changed: bool,
    /// Rows that were to be written and have another version by now, or are gone.
    stale: BTreeSet<Id>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Insert,
    Update,
    Delete,
    /// New, and not to be inserted after all.
    Drop,
}

pub const REFUSALS: [&str; 4] = ["Detached", "Validation", "NotLoaded", "UnresolvableUniqueSwap"];

impl Model {
    /// What the next flush does.
    pub fn flush(&self, loaded: &Loaded) -> Result<Flushed, Vec<Problem>> {
        let mut flush =
            Flush { model: self, loaded, roles: BTreeMap::new(), fields: BTreeMap::new(), problems: vec![] };
        flush.reach();
        flush.claim();
        flush.remove();
        flush.release();
        flush.look_for_lost();
        let refused = |problem: &Problem| problem.kinds.iter().all(|kind| REFUSALS.contains(kind));
        if flush.problems.iter().any(refused) {
            return Err(flush.problems.into_iter().filter(refused).collect());
        }
        let flushed = flush.finish();
        let stale = |id: &Id| Problem { kinds: &["OptimisticLock"], repair: Repair::Refresh(*id) };
        flush.problems.extend(flushed.stale.iter().map(stale));
        flush.problems.extend(flushed.model.violations(&flushed.inserted, self));
        if flush.problems.is_empty() { Ok(flushed) } else { Err(flush.problems) }
    }

    /// Whether the entity belongs to the relation in the memory of its owner.
    pub fn holds(&self, owner: Id, relation: Relation, item: Id) -> bool {
        if let Some(claim) = self.memory.get(&owner).and_then(|entity| entity.claims.get(&(relation, item))) {
            return *claim;
        }
        self.held(owner, relation, item)
    }

    /// The same, without what has not been flushed.
    pub fn held(&self, owner: Id, relation: Relation, item: Id) -> bool {
        match (relation, relation.column()) {
            (_, Some(column)) => {
                let item = self.memory.get(&item).filter(|item| item.table == relation.item());
                let known = item.and_then(|item| item.known.as_ref());
                known.is_some_and(|known| known[column] == Value::Row(owner))
            }
            (Relation::Tags, None) => self.links.contains(&(owner, item)),
            (_, None) => self.links.contains(&(item, owner)),
        }
    }

    /// Keys that are made of others are called after them: they follow when these are changed.
    pub fn rename(&mut self) {
        for table in [Table::Seat, Table::Cushion] {
            let ids: Vec<Id> = self.rows.iter().filter(|(_, row)| row.table == table).map(|(id, _)| *id).collect();
            for id in ids {
                let parts = table.definition().key_columns.iter().map(|column| match &self.rows[&id].fields[*column] {
                    Value::Row(target) => self.rows[target].key.trim_matches(['(', ')']).to_owned(),
                    Value::Int(number) => number.to_string(),
                    value => format!("{value:?}"),
                });
                let key = format!("({})", parts.collect::<Vec<_>>().join(", "));
                self.rows.get_mut(&id).unwrap().key = key;
            }
        }
    }

    /// The row with this key.
    pub fn row_by_key(&self, table: Table, key: &str) -> Option<Id> {
        self.rows.iter().find(|(_, row)| row.table == table && row.key == key).map(|(id, _)| *id)
    }
}

struct Flush<'a> {
    model: &'a Model,
    loaded: &'a Loaded,
    roles: BTreeMap<Id, Role>,
    /// The fields as they will be.
    fields: BTreeMap<Id, Vec<Value>>,
    problems: Vec<Problem>,
}

impl Flush<'_> {
    /// Everything scheduled, and what it refers to.
    fn reach(&mut self) {
        for (id, entity) in &self.model.memory {
            self.fields.insert(*id, entity.fields.clone());
            let role = match entity.state {
                State::Scheduled => Role::Insert,
                State::Managed => Role::Update,
                State::Removing => Role::Delete,
                State::New | State::Removed => continue,
            };
            self.roles.insert(*id, role);
        }
        let mut queue: Vec<Id> = self.roles.keys().copied().collect();
        while let Some(id) = queue.pop() {
            if self.roles[&id] == Role::Delete {
                continue;
            }
            let entity = &self.model.memory[&id];
            let referred = entity.table.references().filter_map(|(column, _)| match entity.fields[column] {
                Value::Row(target) => Some((target, None)),
                _ => None,
            });
            let claimed = entity.claims.iter().filter(|(_, added)| **added);
            let claimed = claimed.map(|((relation, item), _)| (*item, Some(*relation)));
            for (target, relation) in referred.chain(claimed) {
                match self.model.memory.get(&target).map(|entity| entity.state) {
                    // What a to-one relation refers to is meant again, from whichever side.
                    Some(State::New)
                        if relation.is_some_and(|relation| relation != Relation::Badge)
                            && self.model.memory[&target].dropped => {}
                    Some(State::New) if !self.roles.contains_key(&target) => {
                        self.roles.insert(target, Role::Insert);
                        queue.push(target);
                    }
                    Some(State::Removed) => {
                        if let Some(relation) = relation {
                            let kinds = &["Detached", "NotLoaded"];
                            self.problems.push(Problem { kinds, repair: Repair::Unclaim(id, relation, target) });
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// What is written refers to something that was deleted: if it is by key, that is a row that is not there.
    fn look_for_lost(&mut self) {
        for id in self.roles.iter().filter(|(_, role)| matches!(role, Role::Insert | Role::Update)).map(|(id, _)| id) {
            let fields = &self.fields[id];
            for (column, _) in self.model.memory[id].table.references() {
                let Value::Row(target) = fields[column] else { continue };
                if self.model.memory.get(&target).is_some_and(|entity| entity.state == State::Removed) {
                    let kinds = &["Detached", "ForeignKeyViolation"];
                    self.problems.push(Problem { kinds, repair: Repair::Keep(target) });
                }
            }
        }
    }

    fn claims(&self, added: bool) -> Vec<(Id, Relation, Id)> {
        let owners = self.model.memory.iter().filter(|(id, _)| self.roles.contains_key(id));
        let claims = owners.flat_map(|(owner, entity)| {
            entity.claims.iter().map(move |((relation, item), claim)| (*claim, (*owner, *relation, *item)))
        });
        claims.filter(|(claim, _)| *claim == added).map(|(_, claim)| claim).collect()
    }

    fn fields(&mut self, id: Id) -> &mut Vec<Value> {
        self.fields.entry(id).or_default()
    }

    /// What was added to a collection refers to its owner.
    fn claim(&mut self) {
        for (owner, relation, item) in self.claims(true) {
            if let Some(column) = relation.column()
                && self.roles[&owner] != Role::Delete
                && self.roles.get(&item).is_some_and(|role| *role != Role::Delete)
            {
                self.fields(item)[column] = Value::Row(owner);
            }
        }
    }

    /// Notes go with their person, as far as they are known.
    fn remove(&mut self) {
        let deleted: Vec<Id> =
            self.roles.iter().filter(|(_, role)| **role == Role::Delete).map(|(id, _)| *id).collect();
        let column = Relation::Notes.column().unwrap();
        for owner in deleted.into_iter().filter(|id| self.loaded.contains(&(*id, Relation::Notes))) {
            let notes = self.model.memory.iter().filter(|(_, entity)| entity.table == Table::Note);
            let notes = notes.filter(|(id, _)| {
                self.model.holds(owner, Relation::Notes, **id) && self.fields[*id][column] == Value::Row(owner)
            });
            let notes: Vec<Id> = notes.map(|(id, _)| *id).collect();
            notes.into_iter().for_each(|note| self.take_away(note));
        }
    }

    fn take_away(&mut self, id: Id) {
        match self.model.memory[&id].state {
            State::New | State::Scheduled => self.roles.insert(id, Role::Drop),
            State::Managed | State::Removing => self.roles.insert(id, Role::Delete),
            State::Removed => None,
        };
    }

    /// What was taken out of a collection refers to nobody, or goes as an orphan, unless it was taken in elsewhere.
    fn release(&mut self) {
        for (owner, relation, item) in self.claims(false) {
            let Some(column) = relation.column() else { continue };
            let written = self.roles.get(&item).is_some_and(|role| *role != Role::Delete);
            if !written || self.fields[&item][column] != Value::Row(owner) {
                continue;
            }
            if relation == Relation::Notes {
                self.take_away(item);
            } else {
                self.fields(item)[column] = Value::Null;
            }
        }
    }

    /// The rows, and the memory of who has written them.
    fn finish(&self) -> Flushed {
        let mut model = self.model.clone();
        let (mut inserted, mut updated, mut deleted) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut stale = BTreeSet::new();
        for (id, role) in &self.roles {
            let mut fields = self.fields[id].clone();
            let entity = model.memory.get_mut(id).unwrap();
            // Also of what is deleted: what it has let go is gone.
            if *role != Role::Drop {
                entity.claims.clear();
            }
            entity.own.clear();
            entity.claimed.clear();
            match role {
                Role::Drop => entity.state = State::New,
                Role::Delete => {
                    if is_stale(entity, model.rows.get(id)) {
                        stale.insert(*id);
                    }
                    (entity.state, entity.known, entity.deleted) = (State::Removed, None, true);
                    model.rows.remove(id);
                    deleted.insert(*id);
                }
                Role::Insert => {
                    (entity.state, entity.known, entity.deleted) = (State::Managed, Some(fields.clone()), false);
                    entity.fields.clone_from(&fields);
                    model.rows.insert(*id, Row { table: entity.table, key: String::new(), fields });
                    inserted.insert(*id);
                }
                Role::Update => {
                    let known = entity.known.clone().unwrap();
                    if fields == known {
                        continue;
                    }
                    let row = model.rows.get_mut(id).filter(|row| !is_stale(entity, Some(row)));
                    let Some(row) = row else {
                        stale.insert(*id);
                        continue;
                    };
                    for (index, value) in fields.iter().enumerate().filter(|(index, value)| known[*index] != **value) {
                        row.fields[index] = value.clone();
                    }
                    if let Some(version) = entity.table.definition().version
                        && let Value::Int(number) = &mut fields[version]
                    {
                        *number += 1;
                        row.fields[version] = fields[version].clone();
                    }
                    entity.fields.clone_from(&fields);
                    entity.known = Some(fields);
                    updated.insert(*id);
                }
            }
        }
        model.memory.values_mut().for_each(|entity| entity.dropped = false);
        for (added, claims) in [(false, self.claims(false)), (true, self.claims(true))] {
            for (owner, relation, item) in claims.into_iter().filter(|(owner, ..)| self.roles[owner] != Role::Delete) {
                let pair = match relation {
                    _ if added && !self.roles.contains_key(&item) => continue,
                    Relation::Tags => (owner, item),
                    Relation::People => (item, owner),
                    _ => continue,
                };
                if added {
                    model.links.insert(pair);
                } else {
                    model.links.remove(&pair);
                }
            }
        }
        let rows = &model.rows;
        model.links.retain(|(person, tag)| rows.contains_key(person) && rows.contains_key(tag));
        let links_changed = model.links != self.model.links;
        Flushed { model, inserted, updated, deleted, links_changed, stale }
    }
}

/// Whether the row is gone, or is another version than the one that is known.
fn is_stale(entity: &Entity, row: Option<&Row>) -> bool {
    let Some(row) = row else { return true };
    let version = entity.table.definition().version;
    version.is_some_and(|version| entity.known.as_ref().map(|known| &known[version]) != Some(&row.fields[version]))
}
