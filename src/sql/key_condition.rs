//! Conditions on keys: the entity at the end of a path has one of some keys, or is an item of a collection.

use std::fmt::Write as _;

use super::compared::{key_param, push_key_param};
use super::condition::{Writer, not_a_relation};
use super::identifier::push_joined;
use super::parameter::{Param, key_arrays};
use super::placed::{Placed, placed, push_any_of};
use super::scope::Scope;
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::{EntityDef, KeyColumnDef};
use crate::types::Key;

impl<'a> Writer<'a> {
    /// The columns that are the key of the entity at the end of a path: those of the foreign key that leads there, or its own.
    pub(super) fn key_columns(&mut self, scope: &mut Scope, path: &FieldPath) -> Result<Vec<Placed<'a>>, Error> {
        match path.hops().split_last() {
            // The rows that a to-many relation leads to are in the FROM list: their key is a key like any other.
            Some((last, before))
                if !self.is_to_many(path)?
                    && scope.home(path.source(), path.hops()).is_some_and(|home| home.hops < path.hops().len()) =>
            {
                let head = before.iter().fold(path.starting_over(), |path, hop| path.then(*hop));
                Ok(self.locate(scope, &head, *last)?.columns)
            }
            _ => {
                let (alias, entity) = self.place(scope, path)?;
                Ok(placed(&alias, &entity.key))
            }
        }
    }

    /// Whether the last hop of a path is a to-many relation.
    fn is_to_many(&self, path: &FieldPath) -> Result<bool, Error> {
        let metadata = self.metadata();
        let (mut entity, mut to_many) = (metadata.of(path.start())?, false);
        for hop in path.hops() {
            let relation = entity.relation(usize::from(*hop)).ok_or_else(|| not_a_relation(entity))?;
            to_many = relation.meta.kind.is_to_many();
            entity = metadata.target(relation);
        }
        Ok(to_many)
    }

    /// The entity at the end of the path has one of the keys.
    pub(super) fn key(
        &mut self,
        scope: &mut Scope,
        path: &FieldPath,
        keys: &[Key],
        out: &mut String,
    ) -> Result<(), Error> {
        let columns = self.key_columns(scope, path)?;
        let first = self.params.len() + 1;
        let [key] = keys else {
            let types = columns.iter().map(|column| column.pg);
            let arrays = key_arrays(types, keys.iter(), keys.len());
            self.params.extend(arrays.map_err(|error| Error::Conversion {
                entity: path.start().name,
                column: columns.first().map_or("", |column| column.name).to_owned(),
                message: error.message,
            })?);
            push_any_of(out, &columns, first);
            return Ok(());
        };
        self.push_key(&columns, key, out);
        Ok(())
    }

    /// The entity is an item of a collection.
    pub(super) fn item(&mut self, alias: &str, path: &FieldPath, key: &Key, out: &mut String) -> Result<(), Error> {
        let owner = self.metadata().of(path.start())?;
        let [property] = path.hops() else {
            let message =
                format!("{path:?} is no collection of {} itself: start at the entity that has it", owner.meta.name);
            return Err(Error::validation(owner.meta.name, message));
        };
        let relation = owner.relation(usize::from(*property)).ok_or_else(|| not_a_relation(owner))?;
        let target = self.metadata().target(relation);
        let Some(pivot) = &relation.pivot else {
            let owning = relation.inverse.and_then(|inverse| target.relation(inverse));
            let columns = owning.map(|owning| placed(alias, &owning.columns)).ok_or_else(|| not_a_relation(owner))?;
            self.push_key(&columns, key, out);
            return Ok(());
        };
        let linked = self.alias();
        out.push('(');
        push_joined(out, ", ", &placed(alias, &target.key), |out, column| out.push_str(&column.text));
        out.push_str(") IN (SELECT ");
        push_joined(out, ", ", &placed(&linked, &pivot.inverse_join), |out, column| out.push_str(&column.text));
        out.push_str(" FROM ");
        self.view().push_pivot(out, pivot);
        let _ = write!(out, " AS {linked} WHERE ");
        self.push_key(&placed(&linked, &pivot.join), key, out);
        out.push(')');
        Ok(())
    }

    /// The columns are this key.
    fn push_key(&mut self, columns: &[Placed<'_>], key: &Key, out: &mut String) {
        out.push('(');
        push_joined(out, " AND ", columns.iter().zip(key.parts()), |out, (column, part)| {
            self.params.push(key_param(column.pg, column.sql_type, part));
            out.push_str(&column.text);
            push_key_param(out, self.params.len(), column.pg, column.sql_type);
        });
        out.push(')');
    }
}

/// Keys as parameters, an array a column.
pub(super) fn key_params(entity: &EntityDef, columns: &[KeyColumnDef], keys: &[Key]) -> Result<Vec<Param>, Error> {
    let types = columns.iter().map(|column| column.pg);
    key_arrays(types, keys.iter(), keys.len()).map_err(|error| Error::Conversion {
        entity: entity.meta.name,
        column: "of the key".to_owned(),
        message: error.message,
    })
}
