//! COPY: rows that are sent as they come, however many.

use std::pin::pin;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::{Stream, StreamExt, stream};

use crate::driver::{CopyIn, TransactionConnection};
use crate::entity::{Entity, IntoEntity};
use crate::error::Error;
use crate::manager::EntityManager;
use crate::manager::write::{Extent, OpenFlush};
use crate::metadata::{EntityDef, EntityObject};
use crate::sql::{self, CopyFormat, CopyRow};
use crate::unit_of_work::{for_each_value, prepare};

/// How many bytes are collected before they are sent.
const CHUNK: usize = 64 << 10;

/// A row of a [`copy_in`](EntityManager::copy_in): an entity, its `New…` struct, or a `Result` of one, whose error ends the copy.
pub trait CopyItem<T: Entity> {
    /// The entity.
    ///
    /// # Errors
    /// What has kept the row from being made.
    fn into_row(self) -> Result<T, Error>;
}

impl<T: Entity, N: IntoEntity<Entity = T>> CopyItem<T> for N {
    fn into_row(self) -> Result<T, Error> {
        Ok(self.into_entity())
    }
}

impl<T: Entity, N: IntoEntity<Entity = T>> CopyItem<T> for Result<N, Error> {
    fn into_row(self) -> Result<T, Error> {
        self.map(IntoEntity::into_entity)
    }
}

impl EntityManager {
    /// Inserts rows with `COPY … FROM STDIN`, past the unit of work: the fastest way to bring many rows in. Answers with their
    /// number. The rows are taken from the iterator as they can be sent, so memory is the same for a hundred and for a
    /// hundred million; [`copy_in_stream`](Self::copy_in_stream) takes a stream.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/model/blog.rs"));
    /// # fn main() { howdah::doctest::run(async |url| { let em = blog(&url).await?.em();
    /// let tags = (0..100_000).map(|number| NewTag { name: format!("tag {number}") });
    /// assert_eq!(em.copy_in::<Tag>(tags).await?, 100_000);
    /// # Ok(()) }) }
    /// ```
    ///
    /// UUID keys, versions, `default` and `on_create` are made here, and to-one relations are written by key, as by
    /// [`insert_many`](Self::insert_many). The first row decides which columns are sent: what it leaves to the database (its key,
    /// a `default_sql`) all rows leave to it. The format is binary, or text if a column has a type of its own (`sql_type`, a
    /// `numeric`, an array of native enums).
    ///
    /// Outside of a transaction the copy commits when it ends; inside of one it is a part of it, a failure undoes no more than the copy, and
    /// other statements of the manager wait until it has ended: the iterator must not wait for one.
    ///
    /// # Errors
    /// [`Error::Row`] with the number of the row, from 1, and what is wrong with it: as from a flush if the server has refused it, where the
    /// server tells which row it was (for foreign keys it does not), as from [`insert_many`](Self::insert_many) if it
    /// cannot be sent, or that it leaves other columns to the database than the first row does. Then no row is inserted.
    /// [`Error::CommitOutcomeUnknown`] if the connection was lost while the copy was ending, outside of a transaction.
    ///
    /// # Cancel safety
    /// Dropping the future gives the copy up, and no row is inserted, unless the last one was sent and the copy was about to
    /// commit.
    pub async fn copy_in<T: Entity>(
        &self,
        rows: impl IntoIterator<Item: CopyItem<T>, IntoIter: Send> + Send,
    ) -> Result<u64, Error> {
        self.copy_in_stream(stream::iter(rows)).await
    }

    /// Like [`copy_in`](Self::copy_in), with rows from a stream.
    ///
    /// # Errors
    /// As [`copy_in`](Self::copy_in).
    pub async fn copy_in_stream<T: Entity>(&self, rows: impl Stream<Item: CopyItem<T>> + Send) -> Result<u64, Error> {
        let metadata = Arc::clone(&self.session.orm.metadata);
        let entity = metadata.of(T::meta())?;
        let mut rows = pin!(rows);
        let Some(first) = rows.next().await.map(CopyItem::into_row) else { return Ok(0) };
        let mut copying = Copying::new(entity);
        copying.push(&mut first.map_err(|error| copying.at_row(error))?)?;
        let mut line = self.begin_copy(&copying).await?;
        while let Some(row) = rows.next().await.map(CopyItem::into_row) {
            copying.push(&mut row.map_err(|error| copying.at_row(error))?)?;
            if copying.buffer.len() >= CHUNK {
                line.copy.send(copying.buffer.split().freeze()).await?;
            }
        }
        copying.format.push_trailer(&mut copying.buffer);
        line.copy.send(copying.buffer.split().freeze()).await?;
        let count = line.finish().await.map_err(|error| copying.explain(error))?;
        self.session.wrote_directly();
        self.session.wrote_tables(|| std::iter::once((entity.schema.as_deref(), entity.table.as_str())).collect());
        self.session.settle_results().await;
        Ok(count)
    }

    async fn begin_copy(&self, copying: &Copying<'_>) -> Result<Line<'_>, Error> {
        let text = sql::copy_in(copying.entity, &copying.properties, copying.format);
        let serial = self.session.serialised().await?;
        self.session.wrote_directly();
        let Some(connection) = self.session.transaction() else {
            drop(serial);
            let copy = self.session.orm.pool.acquire().await?.copy_in(&text).await?;
            return Ok(Line { copy, open: None, _serial: None });
        };
        let extent = Extent::Savepoint(connection.savepoint()?);
        let open = OpenFlush::new(Arc::clone(&connection), extent);
        let copy = connection.copy_in(&text).await?;
        Ok(Line { copy, open: Some((open, connection)), _serial: Some(serial) })
    }
}

/// Where the rows go. The copy is given up before the savepoint is rolled back: what stands first is dropped first.
struct Line<'a> {
    copy: CopyIn,
    open: Option<(OpenFlush, Arc<TransactionConnection>)>,
    /// Savepoints are nested: none may begin inside of this one and end behind it.
    _serial: Option<tokio::sync::MutexGuard<'a, ()>>,
}

impl Line<'_> {
    async fn finish(self) -> Result<u64, Error> {
        let Some((mut open, connection)) = self.open else {
            return self.copy.finish().await.map_err(|error| match error {
                Error::Connection { sqlstate: None, source: Some(source), .. } => {
                    Error::CommitOutcomeUnknown { source }
                }
                error => error,
            });
        };
        let count = connection.finish_copy(self.copy).await?;
        open.finish()?;
        Ok(count)
    }
}

/// Rows on their way into the form that they are sent in.
struct Copying<'a> {
    entity: &'a EntityDef,
    /// The properties that the first row has decided on.
    properties: Vec<u16>,
    columns: usize,
    format: CopyFormat,
    /// The rows so far.
    count: u64,
    buffer: BytesMut,
    scratch: Vec<u8>,
}

impl<'a> Copying<'a> {
    fn new(entity: &'a EntityDef) -> Self {
        let (properties, buffer, scratch) = (Vec::new(), BytesMut::new(), Vec::new());
        Self { entity, properties, columns: 0, format: CopyFormat::Binary, count: 0, buffer, scratch }
    }

    /// Appends a row.
    fn push(&mut self, row: &mut dyn EntityObject) -> Result<(), Error> {
        let properties = prepare(self.entity, row).map_err(|error| self.at_row(error))?;
        if self.count == 0 {
            self.format = CopyFormat::of(self.entity, &properties);
            self.columns = crate::unit_of_work::column_types(self.entity, &properties).len();
            self.properties = properties;
            self.format.push_header(&mut self.buffer);
        } else if self.properties != properties {
            return Err(self.at_row(self.other_columns(&properties)));
        }
        let mut out = CopyRow::begin(&mut self.buffer, self.format, self.columns);
        let written = for_each_value(self.entity, row, &self.properties, &mut self.scratch, &mut |binary, text| {
            out.push(binary, text)
        });
        out.end();
        written.map_err(|error| self.at_row(error))?;
        self.count += 1;
        Ok(())
    }

    /// What a row has and the first one has not, or the other way round.
    fn other_columns(&self, properties: &[u16]) -> Error {
        let name = self.entity.meta.name;
        let is_in = |list: &[u16], index: usize| list.iter().any(|property| usize::from(*property) == index);
        let differs = |index: &usize| is_in(properties, *index) != is_in(&self.properties, *index);
        let index = (0..self.entity.properties.len()).find(differs).unwrap_or_default();
        let (this, first) =
            if is_in(properties, index) { ("has a value", "leaves it") } else { ("leaves it", "has a value") };
        let field = self.entity.property_name(index);
        let message = format!(
            "{name}.{field}: this row {this} and the first row {first} to the database: copy such rows apart, or use insert_many()"
        );
        Error::validation(name, message)
    }

    /// An error of the row that follows.
    fn at_row(&self, error: Error) -> Error {
        Error::Row { row: self.count + 1, source: Box::new(error) }
    }

    /// The server's answer, with the row that it is about.
    fn explain(&self, error: Error) -> Error {
        let context = error.server().and_then(|answer| answer.where_());
        match context.and_then(|context| sql::row_in_context(context, &self.entity.table)) {
            Some(row) => Error::Row { row, source: Box::new(error) },
            None => error,
        }
    }
}
