//! What the database does along when a flush deletes rows (`on_delete`): rows that refer to them are deleted, too, or refer to nothing
//! from now on. Loaded entities know it as soon as the flush has succeeded.
//!
//! Looks at every loaded entity of the types that are concerned, and only if a row was deleted that such a relation may refer to.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::UnitOfWork;
use super::change_set::{ChangeKind, ChangeSet, ClearChange};
use super::inverse_sides::{Told, told_of_links};
use crate::error::Error;
use crate::metadata::{AnyCell, EntityDef, Lifecycle, ReferenceTarget, RelationDef, address};
use crate::types::Key;

/// What happens to loaded entities along with the rows that a flush deletes.
#[derive(Default)]
pub(super) struct DeletedAlong {
    /// Entities whose rows are gone: entity and key.
    gone: Vec<(Arc<dyn AnyCell>, usize, Key)>,
    /// Foreign keys that are NULL now, and what they were.
    emptied: Vec<(Arc<dyn AnyCell>, usize, Key)>,
    /// Entities whose foreign keys have got the defaults of their columns.
    stale: Vec<Arc<dyn AnyCell>>,
}

/// When it is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before anything is published: whatever may be concerned.
    Before,
    /// When everything else is published: fields show what the flush has written.
    Behind,
}

/// What the server does to a row that refers to a deleted one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Delete,
    Empty,
    Default,
}

fn action(relation: &RelationDef) -> Option<Action> {
    let action = relation.meta.on_delete.filter(|_| relation.is_owning_to_one())?.to_ascii_lowercase();
    match action.as_str() {
        "cascade" => Some(Action::Delete),
        "set null" => Some(Action::Empty),
        "set default" => Some(Action::Default),
        _ => None,
    }
}

/// Loaded entities by what one of their foreign keys names.
type Referrers = FxHashMap<Key, Vec<Arc<dyn AnyCell>>>;

struct Search<'a> {
    graph: &'a Arc<UnitOfWork>,
    moment: Moment,
    /// By entity and property.
    referrers: FxHashMap<(usize, usize), Referrers>,
}

impl DeletedAlong {
    /// What happens along with the rows that a flush deletes.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a write guard of an entity that may be concerned.
    pub(super) fn of(graph: &Arc<UnitOfWork>, changes: &ChangeSet, moment: Moment) -> Result<Self, Error> {
        let mut along = Self::default();
        let deleted = changes.rows.iter().filter(|row| row.kind == ChangeKind::Delete);
        let deleted = deleted.filter_map(|row| Some((row.entity, row.key.as_ref()?)));
        let by_key = changes.removals.iter().flat_map(|row| row.keys.iter().map(|key| (row.entity, key)));
        let mut deleted = deleted.chain(by_key).peekable();
        if deleted.peek().is_none() {
            return Ok(along);
        }
        let mut actions: FxHashMap<usize, Vec<(&EntityDef, usize, Action)>> = FxHashMap::default();
        for entity in &graph.metadata.entities {
            let acting =
                entity.relations().filter_map(|(property, relation)| Some((property, relation, action(relation)?)));
            for (property, relation, action) in acting {
                actions.entry(relation.target).or_default().push((entity, property, action));
            }
        }
        let concerned = deleted.filter(|(entity, _)| actions.contains_key(entity));
        let mut queue: Vec<(usize, Key)> = concerned.map(|(entity, key)| (entity, key.clone())).collect();
        let mut search = Search { graph, moment, referrers: FxHashMap::default() };
        let mut seen = FxHashSet::default();
        while let Some((target, key)) = queue.pop() {
            for (entity, property, action) in actions.get(&target).into_iter().flatten() {
                for cell in search.referring(entity, *property, &key)? {
                    match action {
                        Action::Empty => along.emptied.push((cell, *property, key.clone())),
                        Action::Default => along.stale.push(cell),
                        Action::Delete => {
                            if let Some(own) = cell.key().filter(|_| seen.insert(address(&cell))) {
                                queue.push((entity.index, own.clone()));
                                along.gone.push((cell, entity.index, own));
                            }
                        }
                    }
                }
            }
        }
        along.emptied.retain(|(cell, ..)| !seen.contains(&address(cell)));
        Ok(along)
    }

    /// The entities that are changed.
    pub(super) fn cells(&self) -> impl Iterator<Item = &Arc<dyn AnyCell>> {
        self.gone.iter().chain(&self.emptied).map(|(cell, ..)| cell)
    }

    /// Tells all loaded entities.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a guard of one of them.
    pub(super) fn publish(self, graph: &Arc<UnitOfWork>, changes: &ChangeSet) -> Result<(), Error> {
        if self.gone.is_empty() && self.emptied.is_empty() && self.stale.is_empty() {
            return Ok(());
        }
        let told = self.told(graph, changes)?;
        for cell in self.cells().chain(told.iter().map(|told| &told.cell)) {
            graph.tracker.keep_all(cell)?;
        }
        for (cell, property, key) in &self.emptied {
            cell.rewrite(&mut |fields| {
                if let Some(reference) = fields.property_mut(*property).as_reference_mut()
                    && matches!(reference.target(), ReferenceTarget::Key(now) if now == *key)
                {
                    reference.set_key(None, graph.link());
                }
            })?;
        }
        for (cell, ..) in &self.gone {
            graph.forget(cell);
            cell.set_lifecycle(Lifecycle::Removed);
            cell.set_key(None);
            // What the user has changed of it went along.
            cell.overwrite(&mut |_| ())?;
        }
        for told in &told {
            told.take_in(graph.link())?;
        }
        for cell in &self.stale {
            cell.set_stale(true);
        }
        Ok(())
    }

    /// The other sides of the relations of rows that are gone.
    fn told(&self, graph: &Arc<UnitOfWork>, changes: &ChangeSet) -> Result<Vec<Told>, Error> {
        let mut told = Vec::new();
        let mut clears: FxHashMap<(usize, usize), Vec<Key>> = FxHashMap::default();
        for (cell, entity, key) in &self.gone {
            for (property, relation) in graph.metadata.entities[*entity].relations() {
                if relation.pivot.is_some() {
                    clears.entry((*entity, property)).or_default().push(key.clone());
                } else if let (true, Some(inverse)) = (relation.is_owning_to_one(), relation.inverse)
                    && let Some(target) = stored(cell, property)?.and_then(|key| graph.find(relation.target, &key))
                {
                    told.push(Told::left(target, inverse, cell));
                }
            }
        }
        for ((entity, property), keys) in clears {
            told.extend(told_of_links(graph, changes, &ClearChange { entity, property, keys })?);
        }
        Ok(told)
    }
}

impl Search<'_> {
    /// The loaded entities whose foreign key names a row.
    fn referring(&mut self, entity: &EntityDef, property: usize, key: &Key) -> Result<Vec<Arc<dyn AnyCell>>, Error> {
        let place = (entity.index, property);
        if !self.referrers.contains_key(&place) {
            let referrers = self.referrers_of(entity, property)?;
            self.referrers.insert(place, referrers);
        }
        Ok(self.referrers.get(&place).and_then(|referrers| referrers.get(key)).cloned().unwrap_or_default())
    }

    fn referrers_of(&self, entity: &EntityDef, property: usize) -> Result<Referrers, Error> {
        let cells = self.graph.map.lock().all(entity.index);
        let mut referrers = Referrers::default();
        for cell in cells {
            let mut named = [None, None];
            cell.read(&mut |view| {
                let key = |fields: &dyn crate::metadata::EntityObject| match fields
                    .property(property)
                    .as_reference()?
                    .target()
                {
                    ReferenceTarget::Key(key) => Some(key),
                    _ => None,
                };
                named[0] = key(view.baseline.unwrap_or(view.value));
                // What is pending may be what is stored then.
                if self.moment == Moment::Before && view.baseline.is_some() {
                    named[1] = key(view.value).filter(|key| Some(key) != named[0].as_ref());
                }
            })?;
            for key in named.into_iter().flatten() {
                referrers.entry(key).or_default().push(Arc::clone(&cell));
            }
        }
        Ok(referrers)
    }
}

/// What a foreign key names, as the database has it.
fn stored(cell: &Arc<dyn AnyCell>, property: usize) -> Result<Option<Key>, Error> {
    let mut key = None;
    cell.read(&mut |view| {
        let reference = view.baseline.unwrap_or(view.value).property(property).as_reference();
        if let Some(ReferenceTarget::Key(named)) = reference.map(|reference| reference.target()) {
            key = Some(named);
        }
    })?;
    Ok(key)
}
