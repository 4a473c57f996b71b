//! From a planned statement to SQL with its parameters: one array a column, filled row by row.
//!
//! A very large statement is cut: a Bind message is limited to 1 GiB, and the server holds the whole of it in memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

mod columns;

use columns::Columns;

use super::change_set::{ChangeKind, ChangeSet, LinkEnd, RowChange, Target};
use super::key_changes::{Done, KeysNow};
use super::plan::PlannedStatement;
use crate::error::Error;
use crate::metadata::{EntityDef, EntityView, Metadata, PivotDef};
use crate::sql::{self, ColumnArray, Param, Statement, StatementTexts, Verb, key_arrays};
use crate::types::{ConversionError, Key, PgType};

/// At how many bytes of parameters a statement is cut.
pub(crate) const CUT: usize = 32 << 20;

/// Statements to send, each with the rows of the change set that it writes.
type Bound = Vec<(Statement, Vec<usize>)>;

/// Binds a planned statement whose keys are known; they are as they are now. `is_plain` tells whether the table of an entity is known to
/// take every row as it is, `links_anew` whether pivot rows of its new rows need not be looked for.
///
/// # Errors
/// [`Error::Conversion`] for a value that PostgreSQL cannot hold, [`Error::EntityBorrowed`].
pub(crate) fn bind(
    metadata: &Metadata,
    texts: &StatementTexts,
    now: KeysNow<'_>,
    is_plain: &dyn Fn(usize) -> bool,
    links_anew: &dyn Fn(usize) -> bool,
    statement: &PlannedStatement,
) -> Result<Bound, Error> {
    let (changes, keys) = (now.changes, now.keys);
    let binder = Binder { metadata, changes, keys, now };
    match statement {
        PlannedStatement::Insert { entity, properties, returning, rows, makes_keys } => {
            let entity = &metadata.entities[*entity];
            let guarded = !is_plain(entity.index);
            let verb = if guarded { Verb::GuardedInsert } else { Verb::Insert };
            let text = texts.get(entity.index, verb, properties, || {
                sql::insert(entity, properties, returning, *makes_keys, guarded)
            });
            if properties.is_empty() {
                let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
                return Ok(vec![(Statement { text, params: vec![Param::int8(count)] }, rows.clone())]);
            }
            let columns = Columns::new(entity, properties);
            binder.rows(&text, rows, &columns.types(), |arrays, row, position, view| {
                columns.push(&binder, arrays, row, position, view)
            })
        }
        PlannedStatement::Update { entity, properties, rows } => {
            let entity = &metadata.entities[*entity];
            let text = texts.get(entity.index, Verb::Update, properties, || sql::update(entity, properties));
            let columns = Columns::new(entity, properties);
            let mut types = binder.identity_columns(entity);
            types.extend(columns.types());
            binder.rows(&text, rows, &types, |arrays, row, position, view| {
                let values = binder.identity(arrays, entity, row, view)?;
                columns.push(&binder, &mut arrays[values..], row, position, view)
            })
        }
        PlannedStatement::Delete { entity, rows } => {
            let entity = &metadata.entities[*entity];
            let text = texts.get(entity.index, Verb::Delete, &[], || sql::delete(entity));
            binder.rows(&text, rows, &binder.identity_columns(entity), |arrays, row, _, view| {
                binder.identity(arrays, entity, row, view).map(|_| ())
            })
        }
        PlannedStatement::Park { entity, properties, rows } => {
            let entity = &metadata.entities[*entity];
            let text = texts.get(entity.index, Verb::Park, properties, || sql::park(entity, properties));
            binder.by_key(text, entity, rows)
        }
        PlannedStatement::Advance { entity, properties, rows } => {
            let entity = &metadata.entities[*entity];
            let text = texts.get(entity.index, Verb::Advance, properties, || sql::advance(entity, properties));
            let columns = Columns::new(entity, properties);
            let mut types: Vec<PgType> = entity.key.iter().map(|column| column.pg).collect();
            types.extend(columns.types());
            binder.rows(&text, rows, &types, |arrays, row, position, view| {
                binder.key(arrays, entity, binder.now.of_row(position).as_deref())?;
                columns.push(&binder, &mut arrays[entity.key.len()..], row, position, view)
            })
        }
        PlannedStatement::ReadBack { entity, properties, rows } => {
            let entity = &metadata.entities[*entity];
            let text = texts.get(entity.index, Verb::ReadBack, properties, || sql::read_back(entity, properties));
            binder.by_key(text, entity, rows)
        }
        PlannedStatement::Together { parts } => binder.together(parts),
        PlannedStatement::Constraints { entity, names, deferred } => {
            let entity = &metadata.entities[*entity];
            let text = sql::set_constraints(entity.schema.as_deref(), names, *deferred).into();
            Ok(vec![(Statement { text, params: Vec::new() }, Vec::new())])
        }
        PlannedStatement::DeleteRows { removal } => binder.removal(texts, *removal),
        PlannedStatement::Link { link } => {
            let is_anew = links_anew(changes.links[*link].entity) && binder.is_anew(*link);
            binder.pairs(texts, *link, if is_anew { Verb::PivotAdd } else { Verb::PivotInsert })
        }
        PlannedStatement::Place { link } => binder.pairs(texts, *link, Verb::PivotPlace),
        PlannedStatement::Unlink { link } => binder.pairs(texts, *link, Verb::PivotDelete),
        PlannedStatement::Clear { clear } => binder.clear(texts, *clear),
    }
}

/// Questions for all rows that are to be updated or deleted and are not as they have been read, each with its entity and its rows. With
/// `only_newer` those are left out that the transaction may have made or changed itself.
///
/// # Errors
/// As [`bind`].
pub(crate) fn bind_stale(
    metadata: &Metadata,
    changes: &ChangeSet,
    only_newer: bool,
) -> Result<Vec<(usize, Statement, Vec<usize>)>, Error> {
    let mut by_entity: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (position, row) in changes.rows.iter().enumerate().filter(|(_, row)| row.kind != ChangeKind::Insert) {
        by_entity.entry(row.entity).or_default().push(position);
    }
    let now = KeysNow { metadata, changes, keys: &[], done: Done::Nothing, behind: None };
    let binder = Binder { metadata, changes, keys: &[], now };
    let mut bound = Vec::new();
    for (index, rows) in by_entity {
        let entity = &metadata.entities[index];
        let Some(text) = sql::stale_rows(entity, only_newer) else { continue };
        let questions =
            binder.rows(&text.into(), &rows, &binder.identity_columns(entity), |arrays, row, _, view| {
                binder.identity(arrays, entity, row, view).map(|_| ())
            })?;
        bound.extend(questions.into_iter().map(|(statement, rows)| (index, statement, rows)));
    }
    Ok(bound)
}

struct Binder<'a> {
    metadata: &'a Metadata,
    changes: &'a ChangeSet,
    /// As they are when the flush begins.
    keys: &'a [Option<Key>],
    now: KeysNow<'a>,
}

impl Binder<'_> {
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
        mut push: impl FnMut(&mut [ColumnArray], &RowChange, usize, &EntityView<'_>) -> Result<(), Error>,
    ) -> Result<Bound, Error> {
        let new_arrays = |rows: usize| types.iter().map(|pg| ColumnArray::new(*pg, rows)).collect::<Vec<_>>();
        let mut bound = Vec::with_capacity(1);
        let mut arrays = new_arrays(rows.len());
        let mut from = 0;
        let entity = rows.first().map(|position| self.changes.rows[*position].entity);
        let refers_to_itself = entity.is_some_and(|entity| {
            self.metadata.entities[entity].relations().any(|(_, relation)| relation.target == entity)
        });
        for (index, position) in rows.iter().enumerate() {
            let row = &self.changes.rows[*position];
            let mut pushed = Ok(());
            row.cell.read_sent(self.changes.flush, &mut |view| {
                pushed = push(&mut arrays, row, *position, &view);
            })?;
            pushed?;
            let is_last = index + 1 == rows.len();
            // Rows that refer to each other stay together: foreign keys are checked at the end of the statement.
            let refers = refers_to_itself && row.targets.iter().any(|(_, target)| matches!(target, Target::Row(_)));
            if is_last || (!refers && arrays.iter().map(ColumnArray::size).sum::<usize>() > CUT) {
                let next = if is_last { Vec::new() } else { new_arrays(0) };
                let full = std::mem::replace(&mut arrays, next);
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
        let key = row.key.as_ref().map(|key| self.now.of(entity.index, key));
        self.key(arrays, entity, key.as_deref())?;
        let Some(version) = entity.version else { return Ok(entity.key.len()) };
        if let Some(array) = arrays.get_mut(entity.key.len()) {
            let before = view.baseline.unwrap_or(view.value).property(version);
            array
                .push_with(|out| before.encode(out))
                .map_err(|error| conversion(entity, entity.property_name(version), error))?;
        }
        Ok(entity.key.len() + 1)
    }

    /// Pushes the key as the database has it.
    fn key(&self, arrays: &mut [ColumnArray], entity: &EntityDef, key: Option<&Key>) -> Result<(), Error> {
        let parts = key.map_or(&[][..], Key::parts);
        for (index, (column, array)) in entity.key.iter().zip(arrays).enumerate() {
            array.push_key_part(parts.get(index)).map_err(|error| conversion(entity, &column.name, error))?;
        }
        Ok(())
    }

    /// A statement that finds rows by their keys alone.
    fn by_key(&self, text: Arc<str>, entity: &EntityDef, rows: &[usize]) -> Result<Bound, Error> {
        let keys: Vec<Cow<'_, Key>> = rows.iter().filter_map(|row| self.now.of_row(*row)).collect();
        let types = entity.key.iter().map(|column| column.pg);
        let params = key_arrays(types, keys.iter().map(|key| &**key), keys.len())
            .map_err(|error| conversion(entity, entity.key.first().map_or("", |column| &column.name), error))?;
        Ok(vec![(Statement { text, params }, rows.to_vec())])
    }

    /// Several inserts, or deletes, in one statement. Circles are rare: their texts are not kept.
    fn together(&self, parts: &[PlannedStatement]) -> Result<Bound, Error> {
        let mut texts = Vec::with_capacity(parts.len());
        let (mut params, mut written) = (Vec::new(), Vec::new());
        for part in parts {
            let (entity, columns, types, rows) = match part {
                PlannedStatement::Insert { entity, properties, rows, .. } => {
                    let entity = &self.metadata.entities[*entity];
                    texts.push(sql::together_insert(entity, properties, params.len()));
                    let columns = Columns::new(entity, properties);
                    let types = columns.types();
                    (entity, Some(columns), types, rows)
                }
                PlannedStatement::Delete { entity, rows } => {
                    let entity = &self.metadata.entities[*entity];
                    texts.push(sql::together_delete(entity, params.len()));
                    (entity, None, self.identity_columns(entity), rows)
                }
                _ => continue,
            };
            let mut arrays: Vec<ColumnArray> = types.iter().map(|pg| ColumnArray::new(*pg, rows.len())).collect();
            for position in rows {
                let row = &self.changes.rows[*position];
                let mut pushed = Ok(());
                row.cell.read_sent(self.changes.flush, &mut |view| {
                    pushed = match &columns {
                        Some(columns) => columns.push(self, &mut arrays, row, *position, &view),
                        None => self.identity(&mut arrays, entity, row, &view).map(|_| ()),
                    };
                })?;
                pushed?;
            }
            params.extend(arrays.into_iter().map(Param::Array));
            written.extend_from_slice(rows);
        }
        Ok(vec![(Statement { text: sql::together(&texts).into(), params }, written)])
    }

    /// The key of one end of a pivot row.
    fn end<'b>(&'b self, entity: usize, end: &'b LinkEnd) -> Option<Cow<'b, Key>> {
        match end {
            LinkEnd::Key(key) => Some(self.now.of(entity, key)),
            LinkEnd::Row(row) => self.now.of_row(*row),
        }
    }

    /// Whether every pair that is linked has an end whose key the database makes in this flush, so that nothing is linked to it yet. Not
    /// where the order counts: there a pair that is named twice has to stay where it is.
    fn is_anew(&self, link: usize) -> bool {
        let change = &self.changes.links[link];
        let relation = self.metadata.entities[change.entity].relation(change.property);
        let is_ordered =
            relation.and_then(|relation| relation.pivot.as_ref()).is_none_or(|pivot| pivot.order.is_some());
        let is_new = |end: &LinkEnd| match end {
            LinkEnd::Key(_) => false,
            LinkEnd::Row(row) => {
                self.changes.rows[*row].kind == ChangeKind::Insert && self.changes.rows[*row].key.is_none()
            }
        };
        !is_ordered && change.linked.iter().all(|(one, two)| is_new(one) || is_new(two))
    }

    fn pairs(&self, texts: &StatementTexts, link: usize, verb: Verb) -> Result<Bound, Error> {
        let change = &self.changes.links[link];
        let entity = &self.metadata.entities[change.entity];
        let relation = entity.relation(change.property).and_then(|to| Some((to.target, to.pivot.as_ref()?)));
        let Some((target, pivot)) = relation else { return Ok(Vec::new()) };
        let (pairs, write): (_, fn(&PivotDef) -> String) = match verb {
            Verb::PivotAdd => (&change.linked, sql::pivot_add),
            Verb::PivotInsert => (&change.linked, sql::pivot_insert),
            Verb::PivotPlace => (&change.placed, sql::pivot_place),
            _ => (&change.unlinked, sql::pivot_delete),
        };
        let mut ends: Vec<(Cow<'_, Key>, Cow<'_, Key>)> = Vec::with_capacity(pairs.len());
        ends.extend(pairs.iter().map_while(|(one, two)| Some((self.end(change.entity, one)?, self.end(target, two)?))));
        if ends.len() < pairs.len() {
            let message = "the keys of new entities are needed before their pivot rows can be written";
            return Err(Error::validation(entity.meta.name, message));
        }
        // Sorted like the rows of tables, so that concurrent flushes lock in the same order. Items that have an order
        // keep it.
        if pivot.order.is_some() {
            ends.sort_by(|one, two| one.0.cmp(&two.0));
        } else {
            // Mostly they are in order but for the items of one owner: a stable sort makes use of that.
            ends.sort_by(|one, two| one.0.cmp(&two.0).then_with(|| one.1.cmp(&two.1)));
            // The same row can be named in two ways.
            ends.dedup();
        }
        let failed = |error| conversion(entity, entity.property_name(change.property), error);
        let types = |side: &'_ [crate::metadata::KeyColumnDef]| side.iter().map(|c| c.pg).collect::<Vec<_>>();
        let ones = ends.iter().map(|(one, _)| &**one);
        let twos = ends.iter().map(|(_, two)| &**two);
        let mut params = key_arrays(types(&pivot.join).into_iter(), ones, ends.len()).map_err(failed)?;
        params.extend(key_arrays(types(&pivot.inverse_join).into_iter(), twos, ends.len()).map_err(failed)?);
        let property = u16::try_from(change.property).unwrap_or_default();
        let text = texts.get(entity.index, verb, &[property], || write(pivot));
        Ok(vec![(Statement { text, params }, Vec::new())])
    }

    fn removal(&self, texts: &StatementTexts, removal: usize) -> Result<Bound, Error> {
        let removal = &self.changes.removals[removal];
        let entity = &self.metadata.entities[removal.entity];
        let types = entity.key.iter().map(|column| column.pg);
        let keys: Vec<Cow<'_, Key>> = removal.keys.iter().map(|key| self.now.of(removal.entity, key)).collect();
        let params = key_arrays(types, keys.iter().map(|key| &**key), keys.len())
            .map_err(|error| conversion(entity, "of the key", error))?;
        let text = texts.get(entity.index, Verb::DeleteByKeys, &[], || sql::delete_by_keys(entity));
        Ok(vec![(Statement { text, params }, Vec::new())])
    }

    fn clear(&self, texts: &StatementTexts, clear: usize) -> Result<Bound, Error> {
        let change = &self.changes.clears[clear];
        let entity = &self.metadata.entities[change.entity];
        let Some(pivot) = entity.relation(change.property).and_then(|relation| relation.pivot.as_ref()) else {
            return Ok(Vec::new());
        };
        let mut keys: Vec<Cow<'_, Key>> = change.keys.iter().map(|key| self.now.of(change.entity, key)).collect();
        keys.sort_unstable();
        let types = pivot.join.iter().map(|column| column.pg);
        let params = key_arrays(types, keys.iter().map(|key| &**key), keys.len())
            .map_err(|error| conversion(entity, entity.property_name(change.property), error))?;
        let property = u16::try_from(change.property).unwrap_or_default();
        let text = texts.get(entity.index, Verb::PivotClear, &[property], || sql::pivot_clear(pivot));
        Ok(vec![(Statement { text, params }, Vec::new())])
    }
}

pub(super) fn conversion(entity: &EntityDef, column: &str, error: ConversionError) -> Error {
    Error::Conversion { entity: entity.meta.name, column: column.to_owned(), message: error.message }
}
