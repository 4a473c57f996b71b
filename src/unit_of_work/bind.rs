//! From a planned statement to SQL with its parameters: one array a column, filled row by row.
//!
//! A very large statement is cut: a Bind message is limited to 1 GiB, and the server holds the whole of it in memory.

use std::sync::Arc;

use super::change_set::{ChangeSet, LinkEnd, RowChange, Target};
use super::plan::PlannedStatement;
use crate::error::Error;
use crate::metadata::{EntityDef, EntityView, Metadata, PropertyDef};
use crate::sql::{self, ColumnArray, Param, Statement, StatementTexts, Verb, key_arrays};
use crate::types::{ConversionError, Key, PgType};

/// At how many bytes of parameters a statement is cut.
const CUT: usize = 32 << 20;

/// Statements to send, each with the rows of the change set that it writes.
type Bound = Vec<(Statement, Vec<usize>)>;

/// Binds a planned statement whose keys are known.
///
/// # Errors
/// [`Error::Conversion`] for a value that PostgreSQL cannot hold, [`Error::EntityBorrowed`].
pub(crate) fn bind(
    metadata: &Metadata,
    texts: &StatementTexts,
    changes: &ChangeSet,
    keys: &[Option<Key>],
    statement: &PlannedStatement,
) -> Result<Bound, Error> {
    let binder = Binder { metadata, changes, keys };
    match statement {
        PlannedStatement::Insert { entity, properties, returning, rows, .. } => {
            let entity = &metadata.entities[*entity];
            let text = texts.get(entity.index, Verb::Insert, properties, || sql::insert(entity, properties, returning));
            if properties.is_empty() {
                let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
                return Ok(vec![(Statement { text, params: vec![Param::int8(count)] }, rows.clone())]);
            }
            binder.rows(&text, rows, &binder.columns(entity, properties), |arrays, row, view| {
                binder.values(arrays, entity, row, view, properties)
            })
        }
        PlannedStatement::Update { entity, properties, rows } => {
            let entity = &metadata.entities[*entity];
            let text = texts.get(entity.index, Verb::Update, properties, || sql::update(entity, properties));
            let mut types = binder.identity_columns(entity);
            types.extend(binder.columns(entity, properties));
            binder.rows(&text, rows, &types, |arrays, row, view| {
                let values = binder.identity(arrays, entity, row, view)?;
                binder.values(&mut arrays[values..], entity, row, view, properties)
            })
        }
        PlannedStatement::Delete { entity, rows } => {
            let entity = &metadata.entities[*entity];
            let text = texts.get(entity.index, Verb::Delete, &[], || sql::delete(entity));
            binder.rows(&text, rows, &binder.identity_columns(entity), |arrays, row, view| {
                binder.identity(arrays, entity, row, view).map(|_| ())
            })
        }
        PlannedStatement::Link { link } => binder.pairs(texts, *link, true),
        PlannedStatement::Unlink { link } => binder.pairs(texts, *link, false),
        PlannedStatement::Clear { clear } => binder.clear(texts, *clear),
    }
}

struct Binder<'a> {
    metadata: &'a Metadata,
    changes: &'a ChangeSet,
    keys: &'a [Option<Key>],
}

impl Binder<'_> {
    /// The types of the columns of these properties.
    fn columns(&self, entity: &EntityDef, properties: &[u16]) -> Vec<PgType> {
        let mut types = Vec::new();
        for property in properties {
            match entity.properties.get(usize::from(*property)) {
                Some(PropertyDef::Column(column)) => types.push(column.meta.pg),
                Some(PropertyDef::Relation(relation)) => types.extend(relation.columns.iter().map(|part| part.pg)),
                None => {}
            }
        }
        types
    }

    /// The types of the key's columns and of the version.
    fn identity_columns(&self, entity: &EntityDef) -> Vec<PgType> {
        let mut types: Vec<PgType> = entity.key.iter().map(|column| column.pg).collect();
        types.extend(entity.version.and_then(|version| entity.column(version)).map(|column| column.meta.pg));
        types
    }

    /// Fills arrays row by row.
    fn rows(
        &self,
        text: &Arc<str>,
        rows: &[usize],
        types: &[PgType],
        mut push: impl FnMut(&mut [ColumnArray], &RowChange, &EntityView<'_>) -> Result<(), Error>,
    ) -> Result<Bound, Error> {
        let new_arrays = |rows: usize| types.iter().map(|pg| ColumnArray::new(*pg, rows)).collect::<Vec<_>>();
        let mut bound = Vec::new();
        let mut arrays = new_arrays(rows.len());
        let mut from = 0;
        for (index, position) in rows.iter().enumerate() {
            let row = &self.changes.rows[*position];
            let mut pushed = Ok(());
            row.cell.read_sent(self.changes.flush, &mut |view| pushed = push(&mut arrays, row, &view))?;
            pushed?;
            let is_last = index + 1 == rows.len();
            // Rows that refer to each other stay together: foreign keys are checked at the end of the statement.
            let refers =
                self.metadata.entities[row.entity].relations().any(|(_, relation)| relation.target == row.entity)
                    && row.targets.iter().any(|(_, target)| matches!(target, Target::Row(_)));
            if is_last || (!refers && arrays.iter().map(ColumnArray::size).sum::<usize>() > CUT) {
                let full = std::mem::replace(&mut arrays, new_arrays(0));
                let params = full.into_iter().map(Param::Array).collect();
                bound.push((Statement { text: Arc::clone(text), params }, rows[from..=index].to_vec()));
                from = index + 1;
            }
        }
        Ok(bound)
    }

    /// Pushes key and version as the database has them; answers with the number of columns that took.
    fn identity(
        &self,
        arrays: &mut [ColumnArray],
        entity: &EntityDef,
        row: &RowChange,
        view: &EntityView<'_>,
    ) -> Result<usize, Error> {
        let mut next = arrays.iter_mut();
        let parts = row.key.as_ref().map_or(&[][..], Key::parts);
        for (index, column) in entity.key.iter().enumerate() {
            if let Some(array) = next.next() {
                array.push_key_part(parts.get(index)).map_err(|error| conversion(entity, &column.name, error))?;
            }
        }
        let Some(version) = entity.version else { return Ok(entity.key.len()) };
        if let Some(array) = next.next() {
            let before = view.baseline.unwrap_or(view.value).property(version);
            array
                .push_with(|out| before.encode(out))
                .map_err(|error| conversion(entity, entity.property_name(version), error))?;
        }
        Ok(entity.key.len() + 1)
    }

    /// Pushes the values of these properties.
    fn values(
        &self,
        arrays: &mut [ColumnArray],
        entity: &EntityDef,
        row: &RowChange,
        view: &EntityView<'_>,
        properties: &[u16],
    ) -> Result<(), Error> {
        let mut next = arrays.iter_mut();
        for property in properties {
            match entity.properties.get(usize::from(*property)) {
                Some(PropertyDef::Column(column)) => {
                    let Some(array) = next.next() else { continue };
                    let value = row.value(view, *property);
                    let pushed = if column.meta.pg.is_array() {
                        array.push_with(|out| match value.text() {
                            Some(text) => {
                                out.extend_from_slice(text.as_bytes());
                                Ok(true)
                            }
                            None => Ok(false),
                        })
                    } else {
                        array.push_with(|out| value.encode(out))
                    };
                    pushed.map_err(|error| conversion(entity, &column.name, error))?;
                }
                Some(PropertyDef::Relation(relation)) => {
                    let key = match row.target(*property) {
                        Target::Null => None,
                        Target::Key(key) => Some(key),
                        Target::Row(position) => self.keys[*position].as_ref(),
                    };
                    for (index, column) in relation.columns.iter().enumerate() {
                        if let Some(array) = next.next() {
                            let part = key.and_then(|key| key.parts().get(index));
                            array.push_key_part(part).map_err(|error| conversion(entity, &column.name, error))?;
                        }
                    }
                }
                None => {}
            }
        }
        Ok(())
    }

    /// The key of one end of a pivot row.
    fn end<'b>(&'b self, end: &'b LinkEnd) -> Option<&'b Key> {
        match end {
            LinkEnd::Key(key) => Some(key),
            LinkEnd::Row(row) => self.keys[*row].as_ref(),
        }
    }

    fn pairs(&self, texts: &StatementTexts, link: usize, linked: bool) -> Result<Bound, Error> {
        let change = &self.changes.links[link];
        let entity = &self.metadata.entities[change.entity];
        let Some(pivot) = entity.relation(change.property).and_then(|relation| relation.pivot.as_ref()) else {
            return Ok(Vec::new());
        };
        let pairs = if linked { &change.linked } else { &change.unlinked };
        let ends: Option<Vec<(&Key, &Key)>> =
            pairs.iter().map(|(one, two)| Some((self.end(one)?, self.end(two)?))).collect();
        // Sorted like the rows of tables, so that concurrent flushes lock in the same order.
        let mut ends = ends.ok_or_else(|| {
            let message = "the keys of new entities are needed before their pivot rows can be written";
            Error::validation(entity.meta.name, message)
        })?;
        ends.sort_unstable();
        let failed = |error| conversion(entity, entity.property_name(change.property), error);
        let types = |side: &'_ [crate::metadata::KeyColumnDef]| side.iter().map(|c| c.pg).collect::<Vec<_>>();
        let ones = ends.iter().map(|(one, _)| *one);
        let twos = ends.iter().map(|(_, two)| *two);
        let mut params = key_arrays(types(&pivot.join).into_iter(), ones, ends.len()).map_err(failed)?;
        params.extend(key_arrays(types(&pivot.inverse_join).into_iter(), twos, ends.len()).map_err(failed)?);
        let property = u16::try_from(change.property).unwrap_or_default();
        let text = if linked {
            texts.get(entity.index, Verb::PivotInsert, &[property], || sql::pivot_insert(pivot))
        } else {
            texts.get(entity.index, Verb::PivotDelete, &[property], || sql::pivot_delete(pivot))
        };
        Ok(vec![(Statement { text, params }, Vec::new())])
    }

    fn clear(&self, texts: &StatementTexts, clear: usize) -> Result<Bound, Error> {
        let change = &self.changes.clears[clear];
        let entity = &self.metadata.entities[change.entity];
        let Some(pivot) = entity.relation(change.property).and_then(|relation| relation.pivot.as_ref()) else {
            return Ok(Vec::new());
        };
        let mut keys = change.keys.clone();
        keys.sort_unstable();
        let types = pivot.join.iter().map(|column| column.pg);
        let params = key_arrays(types, keys.iter(), keys.len())
            .map_err(|error| conversion(entity, entity.property_name(change.property), error))?;
        let property = u16::try_from(change.property).unwrap_or_default();
        let text = texts.get(entity.index, Verb::PivotClear, &[property], || sql::pivot_clear(pivot));
        Ok(vec![(Statement { text, params }, Vec::new())])
    }
}

fn conversion(entity: &EntityDef, column: &str, error: ConversionError) -> Error {
    Error::Conversion { entity: entity.meta.name, column: column.to_owned(), message: error.message }
}
