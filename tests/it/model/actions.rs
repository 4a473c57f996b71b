//! What a story does to entities, on both sides.

use super::handles;
use super::operations::{Choice, Operation};
use super::reference::{Entity, State};
use super::tables::{AGE, Id, Kind, Relation, STARS, Table, Value};
use super::world::{Stop, World, wrong};

/// Whether the entity can be referred to by somebody who means well.
fn is_there(entity: &Entity) -> bool {
    !matches!(entity.state, State::Removing | State::Removed)
}

impl World<'_> {
    pub async fn apply(&mut self, operation: &Operation) -> Result<(), Stop> {
        match operation {
            Operation::Create { table, persist, parents } => self.create(*table, *persist, *parents),
            Operation::CreateCountry => self.create_country(),
            Operation::Change { entity, column, choice } => self.change(*entity, *column, *choice),
            Operation::Point { entity, column, target } => self.point(*entity, *column, *target),
            Operation::Claim { relation, owner, item } => self.claim(*relation, *owner, *item),
            Operation::Release { relation, owner, item } => self.release(*relation, *owner, *item),
            Operation::Remove { entity } => {
                // Who was just given something is not removed: what becomes of the gift is nobody's promise.
                let without_gifts = |_, entity: &Entity| !entity.claims.values().any(|added| *added);
                if let Some(id) = self.pick(*entity, without_gifts) {
                    self.remove(id);
                }
            }
            Operation::Persist { entity } => {
                let unscheduled = |_, entity: &Entity| !matches!(entity.state, State::Managed | State::Scheduled);
                if let Some(id) = self.pick(*entity, unscheduled) {
                    self.persist(id);
                }
            }
            Operation::Flush => return self.flush().await,
            Operation::Clear => self.clear(),
            Operation::Refresh { entity } => {
                if let Some(id) = self.pick(*entity, |_, entity| entity.known.is_some()) {
                    self.refresh(id).await?;
                }
            }
            Operation::Find { table } => return self.find(*table).await,
            Operation::Populate { relation, owner } => return self.populate(*relation, *owner).await,
            Operation::PersistDetached { entity } => return self.persist_detached(*entity).await,
            Operation::Scope { work, end } => return self.scope(work, *end).await,
            Operation::FlushWith(fault) => {
                self.flush_once(Some(*fault)).await?;
                self.check_no_transaction().await?;
                return self.flush().await;
            }
            Operation::CancelledFlush { polls } => return self.cancelled_flush(*polls).await,
            Operation::KillConnections => return self.kill_connections().await,
            Operation::WrittenOutside { entity, delete } => return self.written_outside(*entity, *delete).await,
        }
        Ok(())
    }

    fn create(&mut self, table: Table, persist: bool, parents: [u8; 2]) {
        let definition = table.definition();
        let mut fields = Vec::new();
        let mut parents = parents.into_iter().cycle();
        for (index, column) in definition.columns.iter().enumerate() {
            let value = match column.kind {
                Kind::To(target) => {
                    let number = parents.next().unwrap_or_default();
                    let wanted = !column.nullable || number.is_multiple_of(3);
                    let parent = self.pick(number / 3, |_, entity| entity.table == target && is_there(entity));
                    match parent.filter(|_| wanted) {
                        Some(parent) => Value::Row(parent),
                        None if column.nullable => Value::Null,
                        None => return,
                    }
                }
                _ if definition.version == Some(index) => Value::Int(1),
                kind if column.nullable && definition.unique.contains(&&[index][..]) && index % 2 == 1 => {
                    let _ = kind;
                    Value::Null
                }
                kind => self.fresh(kind),
            };
            fields.push(value);
        }
        let cells: Vec<handles::Cell> = fields.iter().map(|value| self.cell(value)).collect();
        let handle = handles::create(&self.em, table, &cells);
        let id = self.add_new(table, fields, handle);
        let line = format!("let {} = em.create({table:?} {:?});", self.name(id), self.model.memory[&id].fields);
        self.tell(line);
        if persist {
            self.persist(id);
        }
    }

    fn add_new(&mut self, table: Table, fields: Vec<Value>, handle: handles::Handle) -> Id {
        let id = self.next_id();
        let entity = Entity::with(table, fields, State::New);
        self.model.memory.insert(id, entity);
        self.handles.insert(id, handle);
        if let Some(frame) = self.frames.last_mut() {
            frame.created.insert(id);
        }
        id
    }

    fn create_country(&mut self) {
        let [name, capital] = [(); 2].map(|()| self.fresh(Kind::Text));
        let text = |value: &Value| match value {
            Value::Text(text) => text.clone(),
            value => panic!("{value:?} is no text"),
        };
        let [country, city] = handles::create_country(&self.em, [text(&name), text(&capital)]);
        let first = self.add_new(Table::Country, vec![name, Value::Null], country);
        let second = self.add_new(Table::City, vec![capital, Value::Row(first)], city);
        self.entity(first).fields[1] = Value::Row(second);
        self.tell(format!("let (country{first}, city{second}) = …; // each refers to the other"));
        self.persist(first);
    }

    pub fn entity(&mut self, id: Id) -> &mut Entity {
        self.model.memory.get_mut(&id).unwrap()
    }

    fn change(&mut self, entity: u8, column: u8, choice: Choice) {
        let Some(id) = self.pick(entity, |_, entity| entity.state != State::Removed) else { return };
        let entity = &self.model.memory[&id];
        let (table, definition) = (entity.table, entity.table.definition());
        let changeable = |column: &usize| {
            !matches!(definition.columns[*column].kind, Kind::To(_)) && definition.version != Some(*column)
        };
        let columns: Vec<usize> = (0..definition.columns.len()).filter(changeable).collect();
        let column = columns[usize::from(column) % columns.len()];
        let known = entity.known.as_ref().map(|known| known[column].clone());
        let value = match choice {
            Choice::Back => known,
            Choice::Taken(number) => {
                let other = self.pick(number, |_, entity| entity.table == table);
                other.map(|other| self.model.memory[&other].fields[column].clone())
            }
            Choice::Bad if table == Table::Person && column == AGE => Some(Value::Int(-1)),
            Choice::Null if definition.columns[column].nullable || (table == Table::Note && column == STARS) => {
                Some(Value::Null)
            }
            _ => None,
        };
        let value = value.unwrap_or_else(|| self.fresh(definition.columns[column].kind));
        self.assign(id, column, value);
    }

    /// Sets a field.
    pub fn assign(&mut self, id: Id, column: usize, value: Value) {
        let name = self.model.memory[&id].table.definition().columns[column].name;
        let shown = match &value {
            Value::Row(target) => self.name(*target),
            value => format!("{value:?}"),
        };
        self.tell(format!("{}.write().{name} = {shown};", self.name(id)));
        self.handles[&id].assign(column, self.cell(&value));
        let entity = self.entity(id);
        entity.fields[column] = value;
        entity.own.insert(column);
    }

    /// A to-one relation by its owning side, unless a collection has to do with it in the same flush.
    fn point(&mut self, entity: u8, column: u8, target: Option<u8>) {
        let has_relation =
            |_, entity: &Entity| entity.state != State::Removed && entity.table.references().next().is_some();
        let Some(id) = self.pick(entity, has_relation) else { return };
        let entity = &self.model.memory[&id];
        let references: Vec<(usize, Table)> = entity.table.references().collect();
        let (column, table) = references[usize::from(column) % references.len()];
        let definition = entity.table.definition();
        if entity.claimed.contains(&column) {
            return;
        }
        let target = target.and_then(|number| self.pick(number, |_, entity| entity.table == table));
        let value = match target {
            Some(target) => Value::Row(target),
            None if definition.columns[column].nullable => Value::Null,
            None => return,
        };
        self.assign(id, column, value);
    }

    /// Whether an item's relation may be changed from the other side: not if its own side was.
    fn is_free(&self, relation: Relation, owner: Id, item: Id) -> bool {
        let entity = &self.model.memory[&item];
        match (relation.column(), relation.other_side()) {
            (Some(column), _) => !entity.own.contains(&column),
            (None, Some(other)) => !entity.claims.contains_key(&(other, owner)),
            (None, None) => true,
        }
    }

    fn claim(&mut self, relation: Relation, owner: u8, item: u8) {
        let owner = self.pick(owner, |_, entity| entity.table == relation.owner() && is_there(entity));
        let Some(owner) = owner else { return };
        let item = self.pick(item, |id, entity| {
            entity.table == relation.item() && entity.state != State::Removing && self.is_free(relation, owner, id)
        });
        let Some(item) = item else { return };
        if self.model.holds(owner, relation, item) {
            return;
        }
        if let Some(column) = relation.column() {
            // Whoever has it gives it away first, as a program does that keeps both sides right.
            let holders = self.among(|id, entity| {
                entity.table == relation.owner()
                    && entity.state != State::Removed
                    && self.model.holds(id, relation, item)
            });
            if relation == Relation::Badge {
                let rows = self.model.rows.iter().filter(|(_, row)| row.table == Table::Badge);
                let unknown = rows
                    .filter(|(id, row)| !self.model.memory.contains_key(id) && row.fields[column] == Value::Row(owner));
                let own = self.among(|_, entity| {
                    entity.table == Table::Badge
                        && entity.own.contains(&column)
                        && (entity.fields[column] == Value::Row(owner)
                            || entity.known.as_ref().is_some_and(|known| known[column] == Value::Row(owner)))
                });
                if unknown.count() > 0 || !own.is_empty() {
                    return;
                }
                let others = self.among(|id, _| id != item && self.model.holds(owner, relation, id));
                for other in others {
                    self.set_claim(owner, relation, other, false);
                }
            }
            for holder in holders {
                self.set_claim(holder, relation, item, false);
            }
        }
        self.set_claim(owner, relation, item, true);
    }

    fn release(&mut self, relation: Relation, owner: u8, item: u8) {
        let holds =
            |owner: Id, item: Id| self.model.holds(owner, relation, item) && self.is_free(relation, owner, item);
        let owner = self.pick(owner, |owner, entity| {
            entity.table == relation.owner()
                && entity.state != State::Removed
                && !self.among(|item, other| other.table == relation.item() && holds(owner, item)).is_empty()
        });
        let Some(owner) = owner else { return };
        let item = self.pick(item, |item, entity| entity.table == relation.item() && holds(owner, item));
        if let Some(item) = item {
            self.set_claim(owner, relation, item, false);
        }
    }

    /// Adds to a relation, or takes out.
    pub fn set_claim(&mut self, owner: Id, relation: Relation, item: Id, add: bool) {
        let (verb, names) = (if add { "add" } else { "remove" }, [self.name(owner), self.name(item)]);
        self.tell(format!("{}.write().{}.{verb}(&{});", names[0], relation.name(), names[1]));
        self.handles[&owner].claim(relation, &self.handles[&item], add);
        let held = self.model.held(owner, relation, item);
        let claims = &mut self.entity(owner).claims;
        if held == add {
            claims.remove(&(relation, item));
        } else {
            claims.insert((relation, item), add);
        }
        if let Some(column) = relation.column() {
            self.entity(item).claimed.insert(column);
        }
    }

    pub fn remove(&mut self, id: Id) {
        // It is told by nothing but the form of a reference whether what refers to it then brings it along: by its key, or
        // to what is not there.
        let entity = &self.model.memory[&id];
        if entity.deleted && entity.state == State::Scheduled {
            return;
        }
        self.tell(format!("em.remove(&{});", self.name(id)));
        self.handles[&id].remove(&self.em);
        let entity = self.entity(id);
        entity.dropped |= entity.state == State::Scheduled;
        entity.state = match entity.state {
            State::Scheduled => State::New,
            State::Managed => State::Removing,
            state => state,
        };
    }

    pub fn persist(&mut self, id: Id) {
        if self.model.memory[&id].state == State::Removed {
            self.link_again(id);
            self.refer_again(id);
        }
        self.tell(format!("em.persist(&{});", self.name(id)));
        self.handles[&id].persist(&self.em);
        let entity = self.entity(id);
        entity.dropped = false;
        entity.state = match entity.state {
            State::New | State::Removed => State::Scheduled,
            State::Removing => State::Managed,
            state => state,
        };
    }

    /// What was deleted is not told of keys that change: it is given what it refers to once more.
    fn refer_again(&mut self, id: Id) {
        let outdated: Vec<usize> = self.handles[&id]
            .cells()
            .into_iter()
            .enumerate()
            .filter_map(|(column, cell)| self.value(cell).is_none().then_some(column))
            .collect();
        for column in outdated {
            if let Value::Row(target) = self.model.memory[&id].fields[column]
                && self.handles.contains_key(&target)
            {
                self.tell(format!("{} is given {} again;", self.name(id), self.name(target)));
                self.handles[&id].assign(column, self.cell(&Value::Row(target)));
            }
        }
    }

    /// A row that is inserted again is linked to what its entity holds, as far as that is there.
    fn link_again(&mut self, id: Id) {
        let table = self.model.memory[&id].table;
        for relation in [Relation::Tags, Relation::People].into_iter().filter(|relation| relation.owner() == table) {
            for item in self.handles[&id].items(relation).into_iter().flatten() {
                if let Some(Value::Row(item)) = self.value(item)
                    && self.model.memory.get(&item).is_some_and(|item| item.state != State::Removed)
                {
                    self.entity(id).claims.insert((relation, item), true);
                }
            }
        }
    }

    pub fn clear(&mut self) {
        self.tell("em.clear();");
        self.em.clear();
        self.model.memory.clear();
        self.detached.extend(std::mem::take(&mut self.handles).into_values());
        if let Some(frame) = self.frames.last_mut() {
            frame.cleared = true;
        }
    }

    pub async fn refresh(&mut self, id: Id) -> Result<(), Stop> {
        self.tell(format!("em.refresh(&{}).await?;", self.name(id)));
        self.handles[&id].clone().refresh(&self.em).await?;
        let row = self.model.rows[&id].fields.clone();
        let entity = self.entity(id);
        entity.known = Some(row.clone());
        entity.fields = row;
        entity.own.clear();
        entity.claims.clear();
        Ok(())
    }

    async fn find(&mut self, table: Table) -> Result<(), Stop> {
        self.tell(format!("em.find_all::<{table:?}>().await?;"));
        let found = handles::find_all(&self.em, table).await?;
        let expected = self.model.rows.values().filter(|row| row.table == table).count();
        if found.len() != expected {
            wrong!("{} rows of {table:?} were found, expected {expected}", found.len());
        }
        found.into_iter().try_for_each(|handle| self.meet(handle).map(|_| ()))
    }

    async fn populate(&mut self, relation: Relation, owner: u8) -> Result<(), Stop> {
        let owner = self.pick(owner, |_, entity| entity.table == relation.owner() && entity.known.is_some());
        let Some(owner) = owner else { return Ok(()) };
        self.tell(format!("em.populate(&{}, \"{}\").await?;", self.name(owner), relation.name()));
        let handle = self.handles[&owner].clone();
        handle.populate(&self.em, relation).await?;
        let Some(items) = handle.items(relation) else { wrong!("{} was not loaded", relation.name()) };
        for item in items {
            if let handles::Cell::To(item) = item {
                self.meet(item)?;
            }
        }
        // What was taken out is not among the items, and was loaded with them.
        self.find(relation.item()).await
    }
}
