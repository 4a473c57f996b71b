//! What the rows of one part say: entities, and whose items they are.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::forest::Forest;
use super::hydrate::{Hydrator, Keep, key_in};
use super::owners::Owners;
use super::{Cells, Loader};
use crate::error::Error;
use crate::metadata::{AnyCell, ColumnDef, EntityDef, address};
use crate::query::LoadStrategy;
use crate::sql::{self, Form, Sight};
use crate::types::{Key, KeyPart, RawColumn, RowView, for_each_element, read_record};
use crate::unit_of_work::UnitOfWork;

/// The entities of a part.
#[derive(Default)]
pub(super) struct Taken {
    /// Those that were selected, row by row.
    pub(super) cells: Cells,
    /// Whether all of them were made of these rows.
    pub(super) fresh: bool,
    /// The same of the joined segments, each entity once: where a relation is open behind them.
    pub(super) joined: Vec<(Cells, bool)>,
    /// Whether the entities of all segments were made of these rows.
    pub(super) all_fresh: bool,
}

/// Takes in the rows of one part.
pub(super) struct Intake<'a> {
    hydrators: Vec<Hydrator<'a>>,
}

impl<'a> Intake<'a> {
    pub(super) fn new(graph: &'a Arc<UnitOfWork>, forest: &'a Forest<'_>, number: usize) -> Self {
        let segments = forest.parts[number].shape.segments().iter().enumerate();
        let hydrators = segments.map(|(index, segment)| {
            let keep = match index {
                0 => Keep::EachRow,
                _ if forest.open[number].iter().any(|open| open.segment == index) => Keep::Distinct,
                _ => Keep::Nothing,
            };
            Hydrator::at(graph, &forest.metadata.entities[segment.entity], segment.offset, keep, forest.refresh)
                .through(forest.view)
        });
        Self { hydrators: hydrators.collect() }
    }

    /// Notes how many rows there are at most.
    pub(super) fn expect(&mut self, rows: u64) {
        if let Some(hydrator) = self.hydrators.first_mut() {
            hydrator.expect(rows);
        }
    }

    fn take(&mut self, rows: &[RowView<'_>], type_of: &dyn Fn(usize) -> Option<Type>) -> Result<(), Error> {
        for hydrator in &mut self.hydrators {
            hydrator.check(type_of)?;
            hydrator.take(rows)?;
        }
        Ok(())
    }

    /// Takes in rows that all have an entity.
    pub(super) fn take_roots(&mut self, rows: &[Row]) -> Result<(), Error> {
        self.hydrators.iter_mut().try_for_each(|hydrator| hydrator.take_rows(rows))
    }

    pub(super) fn finish(self) -> Taken {
        let mut segments = self.hydrators.into_iter().map(Hydrator::finish);
        let (cells, fresh) = segments.next().unwrap_or_default();
        let joined: Vec<(Cells, bool)> = segments.collect();
        let all_fresh = fresh && joined.iter().all(|(_, fresh)| *fresh);
        Taken { cells, fresh, joined, all_fresh }
    }
}

/// The rows of a pivot table that were read, until it is known what they lead to.
type Links = Vec<(usize, Key)>;

/// The rows of an answer, part by part.
struct Rows<'r> {
    views: Vec<RowView<'r>>,
    types: Vec<Type>,
}

impl<'r> Rows<'r> {
    fn of(rows: &'r [Row]) -> Self {
        let types = rows.first().map(|row| row.columns().iter().map(|column| column.type_().clone()).collect());
        Self { views: rows.iter().map(RowView::Row).collect(), types: types.unwrap_or_default() }
    }
}

impl Loader<'_> {
    /// Sends all parts in one flight, and takes in what is found. Answers with the entities of each part, and whether all
    /// parts are as of one moment. The owners of a part are those that are given, or whose rows its parent has found.
    pub(super) async fn fly(
        &mut self,
        forest: &Forest<'_>,
        owners: Vec<Option<Owners>>,
    ) -> Result<(Vec<Taken>, bool), Error> {
        let graph = self.graph;
        let mut flight = Flight { graph, forest, links: None, taken: Vec::new() };
        if forest.strategy() == LoadStrategy::Joined && forest.parts.len() > 1 {
            let statement = sql::parts_together(self.view, &forest.parts)?;
            let answer = self.executor.get().await?.run(&statement).await?;
            let mut rows = answer.rows.as_slice();
            for (number, owners) in owners.into_iter().enumerate() {
                let end = rows.partition_point(|row| part_of(row) <= number);
                let (own, rest) = rows.split_at(end);
                rows = rest;
                flight.take_records(number, owners, own)?;
            }
            return Ok((flight.taken, true));
        }
        let statements = sql::separately(self.view, self.texts, &forest.parts)?;
        let executor = self.executor.get().await?;
        let is_snapshot = forest.strategy() == LoadStrategy::Pipelined && !executor.is_transaction();
        let answers =
            if is_snapshot { executor.snapshot(&statements).await? } else { executor.run_all(&statements).await? };
        for (number, (owners, answer)) in owners.into_iter().zip(&answers).enumerate() {
            flight.take(number, owners, &Rows::of(&answer.rows))?;
        }
        Ok((flight.taken, is_snapshot))
    }
}

/// The part that a row of a statement for all parts belongs to.
fn part_of(row: &Row) -> usize {
    let number = row.try_get::<usize, i32>(0).ok().and_then(|number| usize::try_from(number).ok());
    number.unwrap_or(usize::MAX)
}

struct Flight<'a, 'f> {
    graph: &'a Arc<UnitOfWork>,
    forest: &'a Forest<'f>,
    /// Links that the next part says the ends of.
    links: Option<(Owners, Links)>,
    taken: Vec<Taken>,
}

impl<'a> Flight<'a, '_> {
    /// Takes in rows whose second column is a record.
    fn take_records(&mut self, number: usize, owners: Option<Owners>, rows: &[Row]) -> Result<(), Error> {
        let width = self.forest.parts[number].width(self.forest.metadata);
        let entity = self.forest.metadata.entities[self.forest.parts[number].entity].meta.name;
        let (mut fields, mut oids) = (Vec::with_capacity(rows.len() * width), Vec::new());
        for row in rows {
            let raw = row.try_get::<usize, RawColumn<'_>>(1).ok().and_then(|column| column.0).unwrap_or_default();
            let types = oids.is_empty().then_some(&mut oids);
            read_record(raw, &mut fields, types).map_err(|error| Error::Conversion {
                entity,
                column: "fields".to_owned(),
                message: error.message,
            })?;
        }
        let unknown = |oid| Type::new(format!("type {oid}"), oid, tokio_postgres::types::Kind::Simple, String::new());
        let types = oids.into_iter().map(|oid| Type::from_oid(oid).unwrap_or_else(|| unknown(oid))).collect();
        let views = fields.chunks_exact(width.max(1)).map(RowView::Record).collect();
        self.take(number, owners, &Rows { views, types })
    }

    /// Takes in the rows of a part; parents come before their children.
    fn take(&mut self, number: usize, owners: Option<Owners>, rows: &Rows<'_>) -> Result<(), Error> {
        let (graph, forest) = (self.graph, self.forest);
        let part = &forest.parts[number];
        let owner = part.relation.map(|(owner, _)| &forest.metadata.entities[owner]);
        let (Some(owner), Some(node)) = (owner, forest.nodes[number]) else {
            let taken = self.entities(number, &rows.views, rows)?;
            self.taken.push(taken);
            return Ok(());
        };
        let sight = forest.view.sight(part.entity);
        let mut whose =
            Whose { graph, owner, node, sight, known: owners.is_some(), owners: owners.unwrap_or(Owners::new(0)) };
        match part.form {
            Form::Roots | Form::ToOne => {
                let taken = self.entities(number, &rows.views, rows)?;
                self.taken.push(taken);
            }
            Form::Items => {
                let offset = part.owner_offset(forest.metadata);
                let target = &forest.metadata.entities[part.entity];
                let length = rows.views.len();
                let (mut views, mut places) = (Vec::with_capacity(length), Vec::with_capacity(length));
                for view in &rows.views {
                    let place = whose.place(*view, offset)?;
                    if has_key(target, *view) {
                        views.push(*view);
                        places.push(place);
                    }
                }
                let taken = self.entities(number, &views, rows)?;
                whose.owners.reserve(taken.cells.len());
                for (cell, place) in taken.cells.iter().zip(places) {
                    if let Some(place) = place {
                        whose.owners.give(place, Arc::clone(cell));
                    }
                }
                whose.owners.fill(graph, owner, node, forest.view.sight(part.entity))?;
                self.taken.push(taken);
            }
            Form::Column => {
                let column = owner.column(node.relation);
                for view in &rows.views {
                    let place = whose.place(*view, 0)?;
                    if let (Some(cell), Some(column)) = (place.and_then(|place| whose.owners.cell(place)), column) {
                        fill_column(graph, cell, node.relation, column, *view, owner.key.len())?;
                    }
                }
                self.taken.push(Taken::default());
            }
            Form::Links => {
                let target = &forest.metadata.entities[part.entity];
                let mut links = Vec::with_capacity(rows.views.len());
                let start = owner.key.len();
                for view in &rows.views {
                    let Some(place) = whose.place(*view, 0)? else { continue };
                    if part.has_arrays() {
                        each_key(*view, start, target, &mut |key| links.push((place, key)))?;
                    } else if let Some(key) = key_in(*view, (start..).zip(&target.key)) {
                        links.push((place, key));
                    }
                }
                self.links = Some((whose.owners, links));
                self.taken.push(Taken::default());
            }
            Form::Targets => {
                let taken = self.entities(number, &rows.views, rows)?;
                if let Some((mut owners, links)) = self.links.take() {
                    let sight = forest.view.sight(part.entity);
                    // A link may lead to an entity that is there, and that filters hide.
                    let found = sight.map(|_| taken.cells.iter().map(address).collect::<FxHashSet<_>>());
                    let mut map = graph.map.lock();
                    let by_key = map.of(part.entity);
                    owners.reserve(links.len());
                    for (place, key) in links {
                        let cell = by_key.get(&key);
                        let is_seen =
                            |cell: &&Arc<_>| found.as_ref().is_none_or(|found| found.contains(&address(cell)));
                        if let Some(cell) = cell.filter(is_seen) {
                            owners.give(place, Arc::clone(cell));
                        }
                    }
                    drop(map);
                    owners.fill(graph, owner, node, sight)?;
                }
                self.taken.push(taken);
            }
        }
        Ok(())
    }

    fn entities(&self, number: usize, views: &[RowView<'_>], rows: &Rows<'_>) -> Result<Taken, Error> {
        let mut intake = Intake::new(self.graph, self.forest, number);
        if !views.is_empty() {
            intake.take(views, &|column| rows.types.get(column).cloned())?;
        }
        Ok(intake.finish())
    }
}

/// Puts the value of a lazy column into an entity, unless the user has set it meanwhile.
fn fill_column(
    graph: &Arc<UnitOfWork>,
    cell: &Arc<dyn AnyCell>,
    property: usize,
    column: &ColumnDef,
    row: RowView<'_>,
    offset: usize,
) -> Result<(), Error> {
    let failed = |message| Error::Conversion { entity: cell.meta().name, column: column.name.clone(), message };
    let raw = row.raw(offset).map_err(failed)?;
    if graph.tracker.has_written() {
        graph.tracker.keep_all(cell)?;
    }
    let mut outcome = Ok(());
    cell.write(&mut |value, baseline| {
        for fields in [Some(value), baseline].into_iter().flatten() {
            let field = fields.property_mut(property);
            if field.is_missing() && outcome.is_ok() {
                outcome = field.decode(raw);
            }
        }
    })?;
    outcome.map_err(|error| failed(error.message))
}

/// Whether a row has an entity. An owner without items has a row without one.
fn has_key(entity: &EntityDef, row: RowView<'_>) -> bool {
    entity.key_offsets.iter().all(|column| matches!(row.raw(*column), Ok(Some(_))))
}

/// The keys in arrays, one array a column.
fn each_key(view: RowView<'_>, start: usize, entity: &EntityDef, take: &mut dyn FnMut(Key)) -> Result<(), Error> {
    let broken = |message| Error::Conversion { entity: entity.meta.name, column: "of the key".to_owned(), message };
    // Most keys have one column: they need no lists.
    if let [column] = entity.key.as_slice() {
        let raw = view.raw(start).map_err(broken)?.unwrap_or_default();
        let read = for_each_element(raw, |_, element| {
            KeyPart::decode(column.pg, element).map(Key::One).into_iter().for_each(&mut *take);
            Ok(())
        });
        return read.map_err(|error| broken(error.message));
    }
    let mut columns = Vec::with_capacity(entity.key.len());
    for (index, column) in entity.key.iter().enumerate() {
        let raw = view.raw(start + index).map_err(broken)?.unwrap_or_default();
        let mut parts = Vec::new();
        let read = for_each_element(raw, |_, element| {
            parts.extend(KeyPart::decode(column.pg, element));
            Ok(())
        });
        read.map_err(|error| broken(error.message))?;
        columns.push(parts.into_iter());
    }
    while let Some(key) = columns.iter_mut().map(Iterator::next).collect::<Option<Vec<_>>>().and_then(Key::from_parts) {
        take(key);
    }
    Ok(())
}

/// Finds the owner of each row.
struct Whose<'a> {
    graph: &'a Arc<UnitOfWork>,
    owner: &'a EntityDef,
    node: &'a crate::query::PopulateNode,
    sight: Option<&'a Sight>,
    known: bool,
    owners: Owners,
}

impl Whose<'_> {
    fn place(&mut self, row: RowView<'_>, offset: usize) -> Result<Option<usize>, Error> {
        let Some(key) = key_in(row, (offset..).zip(&self.owner.key)) else { return Ok(None) };
        if self.known {
            return Ok(self.owners.place(&key));
        }
        self.owners.discover(self.graph, self.owner, self.node, self.sight, key).map(Some)
    }
}
