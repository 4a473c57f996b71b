//! Plain SQL: rows, values, projections or entities of it.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::slice::from_ref;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::EntityManager;
use super::cache::may_write;
use super::find::handles;
use super::flush_mode::Reads;
use crate::entity::{Entity, Managed};
use crate::error::Error;
use crate::loader::{Hydrator, RowIntake};
use crate::sql::{self, PlainValue, Statement};
use crate::types::{ColumnReader, FromRow, RowValue, RowView, SqlValue};

impl EntityManager {
    /// Plain SQL with values for its placeholders: `em.sql("select name from users where age > ?", &[&18])`.
    ///
    /// `.await` answers with the [rows](Row); [`map_to`](Sql::map_to) reads them into tuples or projections,
    /// [`into_entities`](Sql::into_entities) into managed entities, and [`execute`](Sql::execute) counts the rows that were
    /// written. It runs on the open transaction's connection, if there is one, and sends one statement.
    ///
    /// A placeholder is a `?` (an operator with question marks is spelled `??`), or `$1`, `$2`, …, which can be used more
    /// than once; then a `?` is the operator. Values are bound, never written into the text, and have the type of the Rust
    /// value: `?` with an `i64` becomes `$1::int8`, so another type is a cast away (`?::numeric`).
    ///
    /// Entities do not notice what plain SQL writes: `refresh` those that it has changed. What is pending in tables that the
    /// text names is flushed first, as before every query ([`FlushMode`](crate::FlushMode)); `execute` flushes nothing.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// # use howdah::prelude::*;
    /// # #[derive(Entity, Clone, Debug)]
    /// # pub struct User { #[primary_key] pub id: i64 }
    /// # let em = Orm::builder().url(&url).entities(entities![User]).connect().await?.em();
    /// let least = 2;
    /// let rows = em.sql("select n, n * n as square from generate_series(1, ?) n where n >= ?", &[&3, &least]).await?;
    /// assert_eq!(rows.len(), 2);
    /// assert_eq!(rows[0].get::<i32>("square")?, 4);
    ///
    /// let sums = em.sql("select sum(n), max(n) from generate_series(1, $1) n", &[&3]).map_to::<(i64, i32)>();
    /// assert_eq!(sums.await?, [(6, 3)]);
    /// # Ok(())
    /// # });
    /// ```
    pub fn sql(&self, text: impl Into<String>, values: &[&dyn SqlValue]) -> Sql {
        let values = values.iter().map(|value| value.bind()).collect();
        Sql { em: self.clone(), text: text.into(), values }
    }
}

/// Plain SQL, made by [`EntityManager::sql`]. `.await` runs it and answers with the rows.
#[must_use = "SQL does nothing until it is awaited"]
#[derive(Clone)]
pub struct Sql {
    em: EntityManager,
    text: String,
    values: Vec<PlainValue>,
}

impl Sql {
    /// Reads the rows into values: a scalar, a tuple (column by column), or a struct with `#[derive(Projection)]` (by the
    /// names of the columns; those of a nested one are called `"author.name"`).
    pub fn map_to<R: FromRow>(self) -> MappedSql<R> {
        MappedSql { sql: self, row: PhantomData }
    }

    /// Reads the rows into entities of the identity map. They must have all columns of the entity's table, in any order;
    /// others are left alone. As with a find, fields with pending changes keep them.
    ///
    /// The text becomes a part of a statement (`WITH … AS (text) SELECT …`), so it can be a SELECT, or an INSERT, UPDATE or
    /// DELETE with `RETURNING`.
    pub fn into_entities<T: Entity>(self) -> EntitySql<T> {
        EntitySql { sql: self, entity: PhantomData }
    }

    /// Runs it and answers with the number of rows that were written (or read).
    ///
    /// # Errors
    /// [`Error::Validation`] if there are more or fewer values than placeholders, [`Error::Conversion`] for a value that
    /// PostgreSQL cannot hold; what the server answered.
    pub async fn execute(self) -> Result<u64, Error> {
        let (em, statement) = self.statement()?;
        let executor = em.session.executor().await?;
        let sent = em.session.sends(from_ref(&statement), &executor);
        let affected = executor.run(&statement).await?.affected;
        sent.answered().await;
        Ok(affected)
    }

    fn statement(self) -> Result<(EntityManager, Statement), Error> {
        Ok((self.em, sql::plain(&self.text, self.values)?))
    }

    async fn rows(self) -> Result<Vec<Row>, Error> {
        let (em, statement) = self.statement()?;
        let executor = em.session.reader(Reads::Statements(from_ref(&statement))).await?;
        let sent = em.session.sends(from_ref(&statement), &executor);
        let answer = executor.run(&statement).await?;
        sent.answered().await;
        Ok(answer.rows.into_iter().map(Row).collect())
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sql").field("text", &self.text).finish_non_exhaustive()
    }
}

impl IntoFuture for Sql {
    type Output = Result<Vec<Row>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.rows())
    }
}

/// Plain SQL whose rows are read into values, made by [`Sql::map_to`].
#[must_use = "SQL does nothing until it is awaited"]
pub struct MappedSql<R> {
    sql: Sql,
    row: PhantomData<fn() -> R>,
}

impl<R: FromRow> MappedSql<R> {
    /// The first row, if there is one.
    ///
    /// # Errors
    /// As awaiting it.
    pub async fn one(self) -> Result<Option<R>, Error> {
        Ok(self.run().await?.into_iter().next())
    }

    /// The first row; none is an error.
    ///
    /// # Errors
    /// [`Error::NotFound`]; otherwise as awaiting it.
    pub async fn one_or_fail(self) -> Result<R, Error> {
        let criteria = self.sql.text.clone();
        self.one().await?.ok_or(Error::NotFound { entity: "row", criteria })
    }

    async fn run(self) -> Result<Vec<R>, Error> {
        let (em, statement) = self.sql.statement()?;
        let mut intake = RowIntake::<R>::plain();
        let executor = em.session.reader(Reads::Statements(from_ref(&statement))).await?;
        let sent = em.session.sends(from_ref(&statement), &executor);
        executor.stream(&statement, &mut |rows| intake.take(rows)).await?;
        sent.answered().await;
        Ok(intake.into_rows())
    }
}

impl<R> fmt::Debug for MappedSql<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sql.fmt(f)
    }
}

impl<R: FromRow> IntoFuture for MappedSql<R> {
    type Output = Result<Vec<R>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Plain SQL whose rows are entities, made by [`Sql::into_entities`].
#[must_use = "SQL does nothing until it is awaited"]
pub struct EntitySql<T: Entity> {
    sql: Sql,
    entity: PhantomData<fn() -> T>,
}

impl<T: Entity> EntitySql<T> {
    /// The entity of the first row, if there is one. All rows are read.
    ///
    /// # Errors
    /// As awaiting it.
    pub async fn one(self) -> Result<Option<Managed<T>>, Error> {
        Ok(self.run().await?.into_iter().next())
    }

    async fn run(self) -> Result<Vec<Managed<T>>, Error> {
        let (em, statement) = self.sql.statement()?;
        let graph = em.graph();
        let metadata = Arc::clone(&graph.metadata);
        let entity = metadata.of(T::meta())?;
        let is_written = may_write(&statement.text);
        let statement = sql::plain_entities(&em.session.view()?, entity, statement)?;
        let executor = em.session.reader(Reads::Statements(from_ref(&statement))).await?;
        let sent = em.session.sends(from_ref(&statement), &executor);
        let mut hydrator = Hydrator::new(&graph, entity, false);
        if is_written {
            hydrator = hydrator.written();
        }
        let outcome = executor.stream(&statement, &mut |rows| hydrator.take_rows(rows)).await;
        sent.answered().await;
        if let Err(error) = outcome {
            let missing = sql::missing_column(entity, &error).map(|column| {
                let name = entity.meta.name;
                let message = format!("the rows have no column {column}: an entity is made of all columns of {name}");
                Error::validation(name, message)
            });
            return Err(missing.unwrap_or(error));
        }
        Ok(handles(&graph, hydrator.finish().0))
    }
}

impl<T: Entity> fmt::Debug for EntitySql<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sql.fmt(f)
    }
}

impl<T: Entity> IntoFuture for EntitySql<T> {
    type Output = Result<Vec<Managed<T>>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// One row, whose columns are asked for by name or position.
#[derive(Clone, Debug)]
pub struct Row(pub(super) tokio_postgres::Row);

impl Row {
    /// The value of a column, by its name: of a type that columns have, or an `Option` of one where it may be NULL.
    ///
    /// # Errors
    /// [`Error::Conversion`] if there is no such column, if it is of another type, or NULL and `V` no `Option`.
    pub fn get<V: RowValue>(&self, column: &str) -> Result<V, Error> {
        let place = self.0.columns().iter().position(|found| found.name() == column);
        let missing = || {
            let there: Vec<&str> = self.columns().collect();
            let message = format!("there is no such column (columns: {})", there.join(", "));
            Error::Conversion { entity: "row", column: column.to_owned(), message }
        };
        self.at(place.ok_or_else(missing)?)
    }

    /// The value of a column, by its position, which is counted from 0.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn at<V: RowValue>(&self, position: usize) -> Result<V, Error> {
        let conversion = |column: String, message: String| Error::Conversion { entity: "row", column, message };
        let column = self.0.columns().get(position).ok_or_else(|| {
            conversion(format!("#{position}"), format!("the row has {} columns", self.0.columns().len()))
        })?;
        if !V::SHAPE.accepts.contains(&column.type_().oid()) {
            let (found, wanted) = (column.type_().name(), V::SHAPE.pg.name);
            return Err(conversion(column.name().to_owned(), format!("it is {found}, and read as {wanted}")));
        }
        V::read_value(&mut ColumnReader::new(RowView::Row(&self.0), Some(&[position]), "row", false))
    }

    /// The names of the columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.columns().iter().map(tokio_postgres::Column::name)
    }
}
