//! Which other entities a touched one draws into the flush: cascades, orphans, the owning sides of changed collections
//! (rules C13, C14).

use super::*;

/// What one relation of an entity holds, taken out while its lock is held.
pub(super) enum Seen {
    /// With what the database has, where the entity was touched.
    Reference(ReferenceTarget, Option<ReferenceTarget>),
    Collection {
        changes: CollectionChanges,
        items: Option<Vec<Arc<dyn AnyCell>>>,
        /// Whether another collection was put in its place.
        is_foreign: bool,
    },
}

/// A collection that was made anew does not know what the one before it held: what is to go would be forgotten.
fn replaced(entity: &EntityDef, property: usize) -> Error {
    let message = format!(
        "another collection was assigned to {}.{}: change the one that is there with add(), remove(), set() or remove_all()",
        entity.meta.name,
        entity.property_name(property)
    );
    Error::validation(entity.meta.name, message)
}

/// What cannot be changed, because only its key is known.
fn not_loaded(entity: &EntityDef, property: usize) -> Error {
    Error::NotLoaded { entity: entity.meta.name, relation: entity.property_name(property) }
}

impl Collector<'_> {
    /// Follows the relations of a node.
    pub(super) fn follow(&mut self, index: usize) -> Result<(), Error> {
        let role = self.nodes[index].role;
        let entity = self.entity(self.nodes[index].entity);
        if role == Role::Nothing || entity.relation_properties.is_empty() {
            return Ok(());
        }
        let mut seen = Vec::new();
        self.nodes[index].cell.read_sent(self.flush, &mut |view| {
            let look = |(property, relation): (usize, &RelationDef)| {
                let value = view.value.property(property);
                let collection = value.as_collection();
                // A row that was deleted and is inserted again has lost its links.
                let is_anew = role == Role::Insert
                    && relation.pivot.is_some()
                    && collection.is_some_and(AnyCollection::has_stored);
                // Most collections of most entities have nothing to say.
                if let Some(collection) = collection
                    && role != Role::Delete
                    && !is_anew
                    && !collection.is_changed()
                    && (view.baseline.is_none() || collection.relation().is_some())
                {
                    return None;
                }
                let seen = match (collection, value.as_reference()) {
                    (None, Some(reference)) => {
                        let before = view.baseline.and_then(|baseline| baseline.property(property).as_reference());
                        Seen::Reference(reference.target(), before.map(|reference| reference.target()))
                    }
                    (Some(collection), _) => Seen::Collection {
                        is_foreign: collection.relation().is_none()
                            && view.baseline.is_some_and(|baseline| {
                                let before = baseline.property(property).as_collection();
                                before.is_some_and(|before| before.relation().is_some())
                            }),
                        changes: if is_anew { collection.changes_anew() } else { collection.changes() },
                        items: if role == Role::Delete { collection.cells() } else { None },
                    },
                    _ => Seen::Reference(ReferenceTarget::Nothing, None),
                };
                Some((property, seen))
            };
            seen.extend(entity.relations().filter_map(look));
        })?;
        if seen.is_empty() {
            return Ok(());
        }
        let cell = Arc::clone(&self.nodes[index].cell);
        for (property, seen) in seen {
            let Some(relation) = entity.relation(property) else { continue };
            match (role, seen) {
                (Role::Delete, seen) => self.cascade_removal(&cell, entity, property, relation, seen)?,
                (_, Seen::Reference(target, before)) => {
                    if relation.is_inverse_one_to_one() {
                        self.release_replaced(&cell, entity, property, relation, &target, before)?;
                    } else if relation.meta.orphan_removal
                        && let Some(ReferenceTarget::Key(key)) = before
                        && !matches!(&target, ReferenceTarget::Key(now) if *now == key)
                    {
                        self.abandoned.push(Abandoned { entity: entity.index, property, key });
                    }
                    self.follow_reference(index, property, relation, target)?;
                }
                (_, Seen::Collection { is_foreign: true, .. }) => {
                    return Err(replaced(entity, property));
                }
                (_, Seen::Collection { changes, .. }) if changes.is_empty() => {}
                (_, Seen::Collection { mut changes, .. }) => {
                    if changes.lost > 0 {
                        return Err(Error::Detached { entity: (relation.meta.target)().name });
                    }
                    self.localise(relation, &mut changes);
                    if relation.meta.kind == RelationKind::OneToMany {
                        self.one_to_many(&cell, entity, property, relation, &changes)?;
                    } else {
                        self.many_to_many(&cell, entity, property, relation, &changes)?;
                    }
                    if self.seen_collections.insert((address(&cell), property)) {
                        self.collections.push((Arc::clone(&cell), property, changes));
                    }
                }
            }
        }
        Ok(())
    }

    /// Items that were put in by reference are the loaded entities of this graph, where there are any.
    fn localise(&self, relation: &RelationDef, changes: &mut CollectionChanges) {
        let map = self.graph.map.lock();
        let sequence = changes.sequence.iter_mut().flat_map(|sequence| &mut sequence.items);
        for member in changes.added.iter_mut().chain(&mut changes.removed).chain(sequence) {
            let Member::Row(row) = member else { continue };
            match map.get(relation.target, &row.key) {
                Some(cell) => *member = Member::Entity(cell),
                None if row.graph.is_same(self.graph.link()) => {}
                None => row.graph = self.graph.link().clone(),
            }
        }
    }

    /// A new entity that is referred to is inserted, too, if the relation cascades.
    fn cascade_persist(
        &mut self,
        relation: &RelationDef,
        property: &str,
        item: &Arc<dyn AnyCell>,
    ) -> Result<(), Error> {
        if !self.graph.owns(&**item) {
            return Err(Error::Detached { entity: item.meta().name });
        }
        match item.lifecycle() {
            Lifecycle::New if self.is_dropped(item) => Ok(()),
            Lifecycle::New if relation.meta.cascade_persist => self.add(item, Role::Insert).map(|_| ()),
            Lifecycle::New => {
                let message = format!(
                    "{property} refers to a new {} that is not persisted: persist it, or let the relation cascade(persist)",
                    item.meta().name
                );
                Err(Error::validation(item.meta().name, message))
            }
            Lifecycle::Scheduled => self.add(item, Role::Insert).map(|_| ()),
            Lifecycle::Managed | Lifecycle::Removing => Ok(()),
            Lifecycle::Removed | Lifecycle::Detached => Err(Error::Detached { entity: item.meta().name }),
        }
    }

    /// Whether the entity was new and has been removed again.
    pub(super) fn is_dropped(&self, cell: &Arc<dyn AnyCell>) -> bool {
        self.node_of(cell).is_some_and(|index| self.nodes[index].role == Role::Nothing)
    }

    /// Whether the entity was deleted, or is not tracked any more.
    fn is_gone(&self, cell: &Arc<dyn AnyCell>) -> bool {
        self.graph.owns(&**cell) && matches!(cell.lifecycle(), Lifecycle::Removed | Lifecycle::Detached)
    }

    fn follow_reference(
        &mut self,
        index: usize,
        property: usize,
        relation: &RelationDef,
        target: ReferenceTarget,
    ) -> Result<(), Error> {
        let name = self.entity(self.nodes[index].entity).property_name(property);
        match target {
            ReferenceTarget::Lost => Err(Error::Detached { entity: (relation.meta.target)().name }),
            // A collection may take the entity over: what the relation refers to in the end is looked at then.
            ReferenceTarget::Cell(item) if !relation.is_inverse_one_to_one() && self.is_gone(&item) => Ok(()),
            ReferenceTarget::Cell(item) => {
                // A persisted entity that was dropped by remove() is meant again: something refers to it.
                if item.lifecycle() == Lifecycle::New && self.is_dropped(&item) && relation.meta.cascade_persist {
                    self.add(&item, Role::Insert)?;
                }
                self.cascade_persist(relation, name, &item)?;
                if relation.is_inverse_one_to_one() {
                    self.point_back(index, property, relation, &item)?;
                }
                Ok(())
            }
            ReferenceTarget::Key(key) if relation.is_inverse_one_to_one() => {
                match self.graph.find(relation.target, &key) {
                    Some(item) => self.point_back(index, property, relation, &item)?,
                    None => self.named.push(Named { index, property, key }),
                }
                Ok(())
            }
            ReferenceTarget::Key(_) | ReferenceTarget::Nothing => Ok(()),
        }
    }

    /// The inverse side of a one-to-one refers to something that is not loaded: its row cannot be written then.
    pub(super) fn check_known(&self, index: usize, property: usize, relation: &RelationDef) -> Result<(), Error> {
        let Some(inverse) = relation.inverse else { return Ok(()) };
        let owner = &self.nodes[index].cell;
        if owner.lifecycle() == Lifecycle::Managed && !self.inverse_changed(owner, relation, inverse)? {
            return Ok(());
        }
        let entity = self.entity(self.nodes[index].entity);
        Err(Error::NotLoaded { entity: entity.meta.name, relation: entity.property_name(property) })
    }

    /// The inverse side of a one-to-one was set: the other entity gets its foreign key.
    pub(super) fn point_back(
        &mut self,
        index: usize,
        property: usize,
        relation: &RelationDef,
        item: &Arc<dyn AnyCell>,
    ) -> Result<(), Error> {
        let Some(inverse) = relation.inverse else { return Ok(()) };
        let owner = Arc::clone(&self.nodes[index].cell);
        if self.refers_to(item, inverse, &owner)? {
            return Ok(());
        }
        // Only where this side was changed; otherwise the owning side was, and it decides.
        let changed = owner.lifecycle() != Lifecycle::Managed || self.inverse_changed(&owner, relation, inverse)?;
        if changed {
            self.set_reference(item, inverse, Some(&owner))?;
            if let Ok(property) = u16::try_from(property) {
                self.inverse_set.push((index, property, Arc::clone(item)));
            }
        }
        Ok(())
    }

    /// An inverse side that was set to something that is removed will have nothing.
    pub(super) fn empty_inverse_sides(&mut self) {
        for (index, property, item) in std::mem::take(&mut self.inverse_set) {
            let item = self.node_of(&item).map(|item| self.nodes[item].role);
            if matches!(item, Some(Role::Delete | Role::Nothing)) {
                self.nodes[index].overrides.push((property, Override::Reference(None)));
            }
        }
    }

    /// Whether the inverse side's field differs from its baseline.
    fn inverse_changed(&self, owner: &Arc<dyn AnyCell>, relation: &RelationDef, inverse: usize) -> Result<bool, Error> {
        let entity = self.graph.metadata.of(owner.meta())?;
        let property = entity.relations().find(|(_, other)| {
            other.target == relation.target && other.inverse == Some(inverse) && other.is_inverse_one_to_one()
        });
        let Some((property, _)) = property else { return Ok(false) };
        let changed = self.read(owner, |view| {
            view.baseline.is_some_and(|baseline| !view.value.property(property).same(baseline.property(property), None))
        })?;
        Ok(changed.unwrap_or(false))
    }

    /// Whether the to-one relation of an entity refers to `target`.
    pub(super) fn refers_to(
        &self,
        cell: &Arc<dyn AnyCell>,
        property: usize,
        target: &Arc<dyn AnyCell>,
    ) -> Result<bool, Error> {
        let refers = self.read(cell, |view| {
            view.value.property(property).as_reference().is_some_and(|reference| match reference.target() {
                ReferenceTarget::Key(key) => target.key().as_ref() == Some(&key),
                ReferenceTarget::Cell(other) => Arc::ptr_eq(&other, target),
                ReferenceTarget::Nothing | ReferenceTarget::Lost => false,
            })
        })?;
        Ok(refers.unwrap_or(false))
    }

    /// The owning side gets another value than its field holds.
    pub(super) fn set_reference(
        &mut self,
        cell: &Arc<dyn AnyCell>,
        property: usize,
        target: Option<&Arc<dyn AnyCell>>,
    ) -> Result<(), Error> {
        let role = match cell.lifecycle() {
            Lifecycle::New | Lifecycle::Scheduled => Role::Insert,
            _ => Role::Update,
        };
        let index = self.add(cell, role)?;
        let Ok(property) = u16::try_from(property) else { return Ok(()) };
        let overrides = &mut self.nodes[index].overrides;
        overrides.retain(|(other, _)| *other != property);
        overrides.push((property, Override::Reference(target.map(Arc::clone))));
        Ok(())
    }

    fn one_to_many(
        &mut self,
        owner: &Arc<dyn AnyCell>,
        entity: &EntityDef,
        property: usize,
        relation: &RelationDef,
        changes: &CollectionChanges,
    ) -> Result<(), Error> {
        let name = entity.property_name(property);
        if changes.cleared {
            // Which rows would have to be released is not known (rule C14).
            return Err(Error::NotLoaded { entity: entity.meta.name, relation: name });
        }
        let Some(inverse) = relation.inverse else { return Ok(()) };
        for item in &changes.added {
            // Its row has to be changed, and what is in it is not known.
            let Member::Entity(item) = item else { return Err(not_loaded(entity, property)) };
            self.cascade_persist(relation, name, item)?;
            if self.is_dropped(item) {
                self.put_into.push((Arc::clone(item), inverse, Arc::clone(owner)));
            } else if !self.refers_to(item, inverse, owner)? {
                self.set_reference(item, inverse, Some(owner))?;
            }
        }
        for item in &changes.removed {
            let Member::Entity(item) = item else { return Err(not_loaded(entity, property)) };
            let (owner, item) = (Arc::clone(owner), Arc::clone(item));
            self.released.push_back(Released { owner, entity: entity.index, property, item, removed_along: false });
        }
        Ok(())
    }

    /// Items that were removed before they were inserted, and that something refers to all the same, belong to the collection that they
    /// are in, the last of several. Whether there were any.
    pub(super) fn take_in_what_is_meant_again(&mut self) -> Result<bool, Error> {
        if self.put_into.is_empty() {
            return Ok(false);
        }
        let (dropped, meant): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.put_into).into_iter().partition(|(item, ..)| self.is_dropped(item));
        self.put_into = dropped;
        for (item, inverse, owner) in meant.iter().rev() {
            let role = self.node_of(owner).map(|index| self.nodes[index].role);
            let stays = !matches!(role, Some(Role::Delete | Role::Nothing));
            if stays && !self.is_claimed(item, *inverse) && !self.refers_to(item, *inverse, owner)? {
                self.set_reference(item, *inverse, Some(owner))?;
            }
        }
        Ok(!meant.is_empty())
    }

    fn many_to_many(
        &mut self,
        owner: &Arc<dyn AnyCell>,
        entity: &EntityDef,
        property: usize,
        relation: &RelationDef,
        changes: &CollectionChanges,
    ) -> Result<(), Error> {
        let Some(pivot) = &relation.pivot else { return Ok(()) };
        for item in &changes.added {
            if let Member::Entity(item) = item {
                self.cascade_persist(relation, entity.property_name(property), item)?;
            }
        }
        if changes.cleared && owner.key().is_some() {
            self.clear_links(entity.index, property, owner);
        }
        let owning_side =
            if pivot.owning { Some((entity.index, property)) } else { relation.inverse.map(|i| (relation.target, i)) };
        let Some((owning_entity, owning_property)) = owning_side else { return Ok(()) };
        let placed =
            changes.sequence.as_ref().and_then(|sequence| sequence.items.get(sequence.kept..)).unwrap_or_default();
        for item in changes.added.iter().chain(&changes.removed).chain(placed) {
            // Ends that are not written themselves are needed for their keys.
            if let Member::Entity(item) = item
                && item.key().is_some()
                && self.node_of(item).is_none()
            {
                self.add(item, Role::Update)?;
            }
        }
        let pair = |item: &Member| {
            let item = match item {
                Member::Entity(cell) => PairEnd::Entity(address(cell)),
                Member::Row(row) => PairEnd::Row(row.key.clone()),
            };
            let owner = PairEnd::Entity(address(owner));
            if pivot.owning { (owner, item) } else { (item, owner) }
        };
        let position = self.links.iter().position(|(e, p, _)| (*e, *p) == (owning_entity, owning_property));
        let position = position.unwrap_or_else(|| {
            self.links.push((owning_entity, owning_property, PendingLinks::default()));
            self.links.len() - 1
        });
        let links = &mut self.links[position].2;
        for item in &changes.added {
            links.changed.insert(pair(item), true);
        }
        for item in &changes.removed {
            links.changed.entry(pair(item)).or_insert(false);
        }
        links.placed.extend(placed.iter().map(pair));
        Ok(())
    }

    pub(super) fn clear_links(&mut self, entity: usize, property: usize, owner: &Arc<dyn AnyCell>) {
        match self.clears.iter_mut().find(|(e, p, _)| (*e, *p) == (entity, property)) {
            Some((_, _, owners)) => owners.push(Arc::clone(owner)),
            None => self.clears.push((entity, property, vec![Arc::clone(owner)])),
        }
    }
}
