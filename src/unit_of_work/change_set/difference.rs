//! From an entity to the row that is written for it: all columns of a new one, the changed columns of another (rules B2,
//! B3, B4).

use super::*;

impl Collector<'_> {
    /// Turns the nodes into rows.
    pub(super) fn finish(mut self) -> Result<ChangeSet, Error> {
        let mut changes = ChangeSet { flush: self.flush, number: self.number, ..ChangeSet::default() };
        for removal in &mut self.removals {
            removal.keys.sort_unstable();
            removal.keys.dedup();
        }
        // Positions first: foreign keys refer to rows that come later.
        let mut inserted = Vec::with_capacity(self.nodes.len());
        let mut inserts = 0;
        for node in &self.nodes {
            inserted.push((node.role == Role::Insert).then_some(inserts));
            if node.role == Role::Insert {
                inserts += 1;
                match changes.inserted.iter_mut().find(|(entity, _)| *entity == node.entity) {
                    Some((_, rows)) => *rows += 1,
                    None => changes.inserted.push((node.entity, 1)),
                }
            }
        }
        changes.rows = Vec::with_capacity(self.nodes.len());
        self.new_rows(&mut changes, &inserted)?;
        if inserts < self.nodes.len() {
            self.other_rows(&mut changes, &inserted)?;
        }
        changes.inserts_only = changes.rows.len() == inserts;
        let dropped = self.nodes.iter().filter(|node| node.role == Role::Nothing).map(|node| &node.cell);
        changes.dropped = dropped.filter(|cell| cell.lifecycle() == Lifecycle::Scheduled).map(Arc::clone).collect();
        self.finish_links(&mut changes, &inserted);
        changes.collections = self.collections;
        changes.removals = self.removals;
        changes.removed_rows = self.removed_rows;
        Ok(changes)
    }

    /// The rows of nodes that are inserted.
    fn new_rows(&mut self, changes: &mut ChangeSet, inserted: &[Option<usize>]) -> Result<(), Error> {
        let mut properties = self.no_properties();
        for index in 0..self.nodes.len() {
            if self.nodes[index].role == Role::Insert {
                let row = self.row(index);
                changes.rows.push(row);
                // Made where it stays: rows are large.
                let Some(row) = changes.rows.last_mut() else { continue };
                let node = &self.nodes[index];
                self.insertion(self.entity(node.entity), &node.cell, row, inserted, &mut properties)?;
                row.properties = self.shape(&properties);
                changes.has_references |= !row.targets.is_empty();
            }
        }
        Ok(())
    }

    /// The rows of nodes that are updated or deleted.
    fn other_rows(&mut self, changes: &mut ChangeSet, inserted: &[Option<usize>]) -> Result<(), Error> {
        let mut properties = self.no_properties();
        let mut changes_keys = false;
        for index in 0..self.nodes.len() {
            let role = self.nodes[index].role;
            let kind = match role {
                Role::Update => ChangeKind::Update,
                Role::Delete => ChangeKind::Delete,
                Role::Insert | Role::Nothing => continue,
            };
            let rewritten = std::mem::take(&mut self.nodes[index].rewritten);
            let mut row = self.row(index);
            row.kind = kind;
            let node = &self.nodes[index];
            let entity = self.entity(node.entity);
            row.key = node.cell.key();
            if kind == ChangeKind::Delete {
                self.removal(entity, &node.cell, &mut row)?;
            } else {
                self.modification(entity, &node.cell, &mut row, &rewritten, inserted, &mut properties)?;
                row.properties = self.shape(&properties);
                if row.properties.is_empty() {
                    changes.unchanged.push(row);
                    continue;
                }
            }
            changes.has_references |= !(row.targets.is_empty() && row.previous.is_empty());
            changes_keys |= !row.new_key.is_empty();
            changes.rows.push(row);
        }
        if changes_keys {
            changes.keys = KeyChanges::of(&changes.rows);
        }
        Ok(())
    }

    /// Room for the properties of a row.
    fn no_properties(&self) -> Vec<u16> {
        Vec::with_capacity(self.nodes.first().map_or(0, |node| self.entity(node.entity).properties.len()))
    }

    /// The row of a node, as long as nothing is known of it.
    fn row(&mut self, index: usize) -> RowChange {
        let overrides = std::mem::take(&mut self.nodes[index].overrides);
        let node = &self.nodes[index];
        RowChange {
            cell: Arc::clone(&node.cell),
            entity: node.entity,
            kind: ChangeKind::Insert,
            properties: Arc::default(),
            overrides,
            targets: Vec::new(),
            previous: Vec::new(),
            key: None,
            new_key: Vec::new(),
            scheduled: matches!(node.cell.lifecycle(), Lifecycle::Scheduled | Lifecycle::Removing),
        }
    }

    /// What a relation is going to refer to.
    fn target_of(
        &self,
        row: &RowChange,
        entity: &EntityDef,
        property: u16,
        held: &dyn Property,
        inserted: &[Option<usize>],
    ) -> Result<Target, Error> {
        let overridden = row.overrides.iter().find_map(|(index, value)| match value {
            Override::Reference(target) if *index == property => Some(target),
            _ => None,
        });
        let target = match overridden {
            Some(None) => ReferenceTarget::Nothing,
            Some(Some(cell)) => match cell.key() {
                Some(key) => ReferenceTarget::Key(key),
                None => ReferenceTarget::Cell(Arc::clone(cell)),
            },
            None => held.as_reference().map_or(ReferenceTarget::Nothing, |reference| reference.target()),
        };
        match target {
            ReferenceTarget::Nothing => Ok(Target::Null),
            ReferenceTarget::Key(key) => Ok(Target::Key(key)),
            ReferenceTarget::Cell(cell) => match self.node_of(&cell).and_then(|node| inserted[node]) {
                Some(position) => Ok(Target::Row(position)),
                None if matches!(cell.lifecycle(), Lifecycle::Removed | Lifecycle::Detached) => {
                    Err(Error::Detached { entity: cell.meta().name })
                }
                None => {
                    let message = format!(
                        "{}.{} refers to a new {} that is not persisted or was removed",
                        entity.meta.name,
                        entity.property_name(usize::from(property)),
                        cell.meta().name
                    );
                    Err(Error::validation(entity.meta.name, message))
                }
            },
            ReferenceTarget::Lost => Err(Error::Detached { entity: entity.meta.name }),
        }
    }

    /// A reference by key may be to a row that is inserted, too: one whose key was given, or that was deleted before. It is
    /// ordered, and its collections are told, like any other new row.
    fn of_new_row(&self, relation: &RelationDef, target: Target, inserted: &[Option<usize>]) -> Result<Target, Error> {
        let Target::Key(key) = target else { return Ok(target) };
        if self.graph.find(relation.target, &key).is_some() {
            return Ok(Target::Key(key));
        }
        let position = self.given_keys(relation.target, inserted)?.get(&key).copied();
        Ok(position.map_or(Target::Key(key), Target::Row))
    }

    /// The new rows of an entity by their keys, as far as these are columns that have a value.
    fn given_keys(&self, entity: usize, inserted: &[Option<usize>]) -> Result<Rc<GivenKeys>, Error> {
        if let Some(given) = self.given.borrow().get(&entity) {
            return Ok(Rc::clone(given));
        }
        let mut given = GivenKeys::default();
        for (node, position) in self.nodes.iter().zip(inserted).filter(|(node, _)| node.entity == entity) {
            let Some(position) = position else { continue };
            if let Some(key) = self.given_key(entity, &node.cell)? {
                given.insert(key, *position);
            }
        }
        let given = Rc::new(given);
        self.given.borrow_mut().insert(entity, Rc::clone(&given));
        Ok(given)
    }

    /// Fills the row of a new entity; `properties` are those that it writes.
    fn insertion(
        &self,
        entity: &EntityDef,
        cell: &Arc<dyn AnyCell>,
        row: &mut RowChange,
        inserted: &[Option<usize>],
        properties: &mut Vec<u16>,
    ) -> Result<(), Error> {
        properties.clear();
        let mut failure = None;
        cell.read_sent(self.flush, &mut |view| {
            for (number, property) in (0_u16..).zip(&entity.properties) {
                let index = usize::from(number);
                match property {
                    PropertyDef::Column(column) => {
                        if !column.may_be_made {
                            properties.push(number);
                            continue;
                        }
                        let value = view.value.property(index);
                        match new_value(entity, index, column, value) {
                            NewValue::Held => {}
                            NewValue::Made(made) => row.overrides.push((number, Override::Value(made))),
                            NewValue::OfDatabase => continue,
                        }
                        properties.push(number);
                    }
                    PropertyDef::Relation(relation) if relation.is_owning_to_one() => {
                        let target = self
                            .target_of(row, entity, number, view.value.property(index), inserted)
                            .and_then(|target| self.of_new_row(relation, target, inserted));
                        properties.push(number);
                        match target {
                            Ok(target) => row.targets.push((number, target)),
                            Err(error) => failure = Some(error),
                        }
                    }
                    PropertyDef::Relation(_) => {}
                }
            }
            row.key = known_key(entity, row, properties, &view);
        })?;
        failure.map_or(Ok(()), Err)
    }

    /// Fills the row of an entity that may have changed; `properties` are those that have.
    fn modification(
        &self,
        entity: &EntityDef,
        cell: &Arc<dyn AnyCell>,
        row: &mut RowChange,
        rewritten: &[u16],
        inserted: &[Option<usize>],
        properties: &mut Vec<u16>,
    ) -> Result<(), Error> {
        properties.clear();
        let compared = self.read(cell, |view| -> Result<(), Error> {
            for (index, property) in entity.properties.iter().enumerate() {
                let Ok(number) = u16::try_from(index) else { continue };
                let value = view.value.property(index);
                let baseline = view.baseline.map(|baseline| baseline.property(index));
                let changed = match property {
                    PropertyDef::Column(_) if Some(index) == entity.version => false,
                    PropertyDef::Column(column) => {
                        baseline.is_some_and(|baseline| !value.same(baseline, column.meta.digits()))
                    }
                    PropertyDef::Relation(relation) if relation.is_owning_to_one() => {
                        let target = self.target_of(row, entity, number, value, inserted)?;
                        let before = baseline.unwrap_or(value).as_reference().map(|reference| reference.target());
                        let same = match (&target, &before) {
                            (Target::Null, Some(ReferenceTarget::Nothing)) => true,
                            (Target::Key(key), Some(ReferenceTarget::Key(other))) => key == other,
                            _ => false,
                        };
                        let target = if same { target } else { self.of_new_row(relation, target, inserted)? };
                        let overridden = row.overrides.iter().any(|(property, _)| *property == number);
                        let is_written = !same || rewritten.contains(&number);
                        if is_written || overridden {
                            row.targets.push((number, target));
                        }
                        if let (true, Some(ReferenceTarget::Key(key))) = (is_written, before) {
                            row.previous.push((number, key));
                        }
                        is_written
                    }
                    PropertyDef::Relation(_) => false,
                };
                if changed {
                    properties.push(number);
                }
                if changed && entity.key_properties.contains(&index) {
                    let part = new_part(entity, index, value, row)?;
                    row.new_key.push((number, part));
                }
            }
            if !properties.is_empty() {
                on_update(entity, properties, row);
            }
            Ok(())
        })?;
        compared.unwrap_or(Ok(()))
    }

    /// What the row refers to as long as it is there: that is deleted behind it.
    fn removal(&self, entity: &EntityDef, cell: &Arc<dyn AnyCell>, row: &mut RowChange) -> Result<(), Error> {
        if !entity.relations().any(|(_, relation)| relation.is_owning_to_one()) {
            return Ok(());
        }
        self.read(cell, |view| {
            let held = view.baseline.unwrap_or(view.value);
            for (index, _) in entity.relations().filter(|(_, relation)| relation.is_owning_to_one()) {
                let target = held.property(index).as_reference().map(|reference| reference.target());
                if let (Some(ReferenceTarget::Key(key)), Ok(number)) = (target, u16::try_from(index)) {
                    row.previous.push((number, key));
                }
            }
        })
        .map(|_| ())
    }

    /// A column set, shared with the rows that have the same.
    fn shape(&mut self, properties: &[u16]) -> Arc<[u16]> {
        // The last ones are the likeliest: rows of one kind come together.
        if let Some(known) = self.shapes.iter().rev().find(|known| ***known == *properties) {
            return Arc::clone(known);
        }
        let shape: Arc<[u16]> = properties.into();
        self.shapes.push(Arc::clone(&shape));
        shape
    }

    fn finish_links(&self, changes: &mut ChangeSet, inserted: &[Option<usize>]) {
        let mut by_address: FxHashMap<usize, usize> = FxHashMap::default();
        if !self.links.is_empty() {
            by_address.extend(self.nodes.iter().enumerate().map(|(index, node)| (address(&node.cell), index)));
        }
        let end = |end: &PairEnd, entity: usize| -> Option<LinkEnd> {
            let address = match end {
                PairEnd::Entity(address) => address,
                PairEnd::Row(key) => {
                    return (!is_removed(&self.removals, entity, key)).then(|| LinkEnd::Key(key.clone()));
                }
            };
            let index = *by_address.get(address)?;
            if let Some(row) = inserted[index] {
                return Some(LinkEnd::Row(row));
            }
            let node = &self.nodes[index];
            // A row that is deleted loses its links with it.
            if node.role == Role::Delete { None } else { node.cell.key().map(LinkEnd::Key) }
        };
        for (entity, property, pending) in &self.links {
            let Some(relation) = self.entity(*entity).relation(*property) else { continue };
            let ends = |pair: &Pair| Some((end(&pair.0, *entity)?, end(&pair.1, relation.target)?));
            let mut link = LinkChange {
                entity: *entity,
                property: *property,
                linked: Vec::new(),
                placed: Vec::new(),
                unlinked: Vec::new(),
            };
            let mut placed = FxHashSet::default();
            for pair in &pending.placed {
                // What the other side takes out is not put in again, because it would only move.
                let stays = pending.changed.get(pair) != Some(&false);
                if stays && placed.insert(pair) {
                    link.placed.extend(ends(pair));
                }
            }
            link.linked.reserve(pending.changed.len());
            for (pair, is_linked) in pending.changed.iter().filter(|(pair, _)| !placed.contains(pair)) {
                let Some((one, two)) = ends(pair) else { continue };
                if *is_linked {
                    link.linked.push((one, two));
                // A row that is inserted has no links to lose.
                } else if let (LinkEnd::Key(_), LinkEnd::Key(_)) = (&one, &two) {
                    link.unlinked.push((one, two));
                }
            }
            changes.links.push(link);
        }
        for (entity, property, owners) in &self.clears {
            let keys: Vec<Key> = owners.iter().filter_map(|owner| owner.key()).collect();
            if !keys.is_empty() {
                changes.clears.push(ClearChange { entity: *entity, property: *property, keys });
            }
        }
        // Rows that are removed by reference lose their links, too.
        for removal in &self.removals {
            for (property, _) in
                self.entity(removal.entity).relations().filter(|(_, relation)| relation.pivot.is_some())
            {
                let entity = removal.entity;
                match changes.clears.iter_mut().find(|clear| (clear.entity, clear.property) == (entity, property)) {
                    Some(clear) => clear.keys.extend(removal.keys.iter().cloned()),
                    None => changes.clears.push(ClearChange { entity, property, keys: removal.keys.clone() }),
                }
            }
        }
    }
}

/// What a changed part of a key becomes.
///
/// # Errors
/// [`Error::Validation`] if the database makes it, or if it is no value of a key.
fn new_part(entity: &EntityDef, property: usize, value: &dyn Property, row: &RowChange) -> Result<NewPart, Error> {
    let name = entity.property_name(property);
    let refused = |why: &str| {
        let key = row.key.as_ref().map(ToString::to_string).unwrap_or_default();
        let message = format!("{name} of {}#{key} was changed: {why}", entity.meta.name);
        Error::validation(entity.meta.name, message)
    };
    if entity.identity == Some(property) {
        return Err(refused(
            "the database makes this key. Put the old one back, or declare it #[primary_key(assigned)] if the program is \
             to give keys",
        ));
    }
    if entity.column(property).is_none() {
        let number = u16::try_from(property).unwrap_or_default();
        return Ok(NewPart::Target(row.target(number).clone()));
    }
    if Some(property) == entity.uuid_key && value.is_unset() {
        return Err(refused("the nil UUID is no key. Put the old one back, or give it another one"));
    }
    value.key_part().map(NewPart::Value).ok_or_else(|| refused("the value cannot be a key"))
}

/// What a new row gets in a column.
pub(in crate::unit_of_work) enum NewValue {
    /// What the entity holds.
    Held,
    /// What was made instead.
    Made(Box<dyn Property>),
    /// What the database makes: the column is left out.
    OfDatabase,
}

/// What a new row gets in a column, by what the entity holds there.
pub(in crate::unit_of_work) fn new_value(
    entity: &EntityDef,
    index: usize,
    column: &ColumnDef,
    held: &dyn Property,
) -> NewValue {
    if !held.is_unset() {
        return NewValue::Held;
    }
    if Some(index) == entity.uuid_key {
        let mut made = held.boxed();
        // Sixteen bytes are a UUID: this cannot fail.
        let _ = made.decode(Some(uuid::Uuid::now_v7().as_bytes()));
        return NewValue::Made(made);
    }
    if let (true, Some(make)) = (column.meta.nullable, column.meta.on_create) {
        return NewValue::Made(make());
    }
    let made_by_database = Some(index) == entity.identity
        || column.meta.default_sql.is_some()
        || (column.meta.default.is_some() && column.meta.nullable);
    if made_by_database { NewValue::OfDatabase } else { NewValue::Held }
}

/// `on_update` values, because something else has changed (rule B4).
fn on_update(entity: &EntityDef, properties: &mut Vec<u16>, row: &mut RowChange) {
    for (index, property) in entity.properties.iter().enumerate() {
        let (PropertyDef::Column(column), Ok(number)) = (property, u16::try_from(index)) else { continue };
        if let Some(make) = column.meta.on_update
            && !properties.contains(&number)
        {
            properties.push(number);
            row.overrides.push((number, Override::Value(make())));
        }
    }
    properties.sort_unstable();
}

/// The key of a new row, if all its parts are known.
fn known_key(entity: &EntityDef, row: &RowChange, properties: &[u16], view: &EntityView<'_>) -> Option<Key> {
    let made = |index: &usize| {
        let is_written = || properties.iter().any(|number| usize::from(*number) == *index);
        entity.column(*index).is_some_and(|column| column.may_be_made) && !is_written()
    };
    if entity.key_properties.iter().any(made) {
        return None;
    }
    let mut parts: Vec<KeyPart> = Vec::with_capacity(entity.key.len());
    for index in &entity.key_properties {
        let number = u16::try_from(*index).ok()?;
        match &entity.properties[*index] {
            PropertyDef::Column(_) => parts.push(row.value(view, number).key_part()?),
            PropertyDef::Relation(_) => match row.target(number) {
                Target::Key(key) => parts.extend(key.parts().iter().cloned()),
                Target::Null | Target::Row(_) => return None,
            },
        }
    }
    Key::from_parts(parts)
}
