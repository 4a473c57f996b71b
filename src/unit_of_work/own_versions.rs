//! Versions that statements past the unit of work have given to rows of loaded entities. Pending changes of such an entity may be
//! written over the row that the manager itself has made, and over no other (rule C9).

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::UnitOfWork;
use super::merge::{is_next, known_version, set_version};
use super::outcome::{key_of, raw};
use crate::driver::Answer;
use crate::error::Error;
use crate::metadata::{AnyCell, EntityDef, EntityObject, Property};
use crate::types::{Key, Version};

/// What the manager's own statements have made of one row.
struct OwnVersion {
    /// The version that the entity had been read with.
    from: Version,
    /// The one that the last of the statements has answered with.
    to: Version,
    /// The scope in which that was, 0 outside of any.
    scope: u64,
}

/// The versions of all rows, by entity and key.
#[derive(Default)]
pub(crate) struct OwnVersions(FxHashMap<(usize, Key), OwnVersion>);

impl OwnVersions {
    /// What was written in this scope, and in scopes inside of it, has not been written.
    pub(crate) fn roll_back(&mut self, scope: u64) {
        self.0.retain(|_, own| own.scope < scope);
    }
}

impl UnitOfWork {
    /// The keys of loaded entities, those that are among `keys` if only these rows may be written.
    pub(crate) fn loaded_keys(&self, entity: usize, keys: Option<&[Key]>) -> Vec<Key> {
        let mut map = self.map.lock();
        let loaded = map.of(entity);
        match keys {
            Some(keys) => keys.iter().filter(|key| loaded.contains_key(*key)).cloned().collect(),
            None => loaded.keys().cloned().collect(),
        }
    }

    /// Takes in the answer of a statement that tells [versions](crate::sql::with_versions); answers with the number of rows that it
    /// has written.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a write guard of one of the entities.
    pub(crate) fn wrote_versions(&self, entity: &EntityDef, answer: &Answer) -> Result<u64, Error> {
        let (version, count) = (entity.key.len(), entity.key.len() + 1);
        for row in answer.rows.iter().filter(|row| raw(row, 0).is_some()) {
            self.wrote_version(entity, &key_of(entity, row)?, raw(row, version))?;
        }
        let count = answer.rows.first().and_then(|row| raw(row, count)).and_then(|count| count.try_into().ok());
        Ok(count.map_or(0, u64::from_be_bytes))
    }

    /// Notes the version that a statement has given to a row, in binary form; answers with it, unless somebody else has written the row
    /// since the entity was read: a number that was counted up by more than the manager's own statements was changed by others, too.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a write guard of the entity.
    fn wrote_version(
        &self,
        entity: &EntityDef,
        key: &Key,
        version: Option<&[u8]>,
    ) -> Result<Option<Box<dyn Property>>, Error> {
        let (Some(property), Some(cell)) = (entity.version, self.find(entity.index, key)) else { return Ok(None) };
        let mut written = None;
        cell.read(&mut |view| {
            let known = view.baseline.unwrap_or(view.value).property(property);
            let mut made = known.boxed();
            if made.decode(version).is_ok() {
                written = Version::of(known).zip(Version::of(&*made)).map(|versions| (versions, made));
            }
        })?;
        let Some(((from, to), made)) = written.filter(|((from, to), _)| from != to) else { return Ok(None) };
        let scope = self.tracker.top().unwrap_or_default();
        let place = (entity.index, key.clone());
        let mut own = self.own_versions.lock();
        let before = own.0.get(&place).filter(|own| own.from == from).map_or(from, |own| own.to);
        if is_next(before, to) {
            own.0.insert(place, OwnVersion { from, to, scope });
            return Ok(Some(made));
        }
        own.0.remove(&place);
        Ok(None)
    }

    /// Has pending changes of an entity be written over the version of a row that a statement of the manager's own has answered with,
    /// in binary form, if nobody else has written the row.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a guard of the entity.
    pub(crate) fn adopt_written_version(
        &self,
        entity: &EntityDef,
        cell: &Arc<dyn AnyCell>,
        version: Option<&[u8]>,
    ) -> Result<(), Error> {
        let (Some(property), Some(key)) = (entity.version, cell.key()) else { return Ok(()) };
        match self.wrote_version(entity, &key, version)? {
            Some(made) => set_version(self, cell, property, &*made),
            None => Ok(()),
        }
    }

    /// Has pending changes of a stale entity be written over this row, if nobody else has made it.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`] if this thread holds a guard of the entity.
    pub(crate) fn adopt_own_version(
        &self,
        entity: &EntityDef,
        cell: &Arc<dyn AnyCell>,
        fresh: &dyn EntityObject,
    ) -> Result<(), Error> {
        let (Some(property), Some(key)) = (entity.version, cell.key()) else { return Ok(()) };
        let known = known_version(cell, property)?;
        let is_own = {
            let own = self.own_versions.lock();
            let own = own.0.get(&(entity.index, key));
            own.is_some_and(|own| Some(own.from) == known && Some(own.to) == Version::of(fresh.property(property)))
        };
        if is_own { set_version(self, cell, property, fresh.property(property)) } else { Ok(()) }
    }
}
