//! The tables of the entities: making them, dropping them, and the SQL that does it.
//!
//! Metadata → [`model`] (a value) → statements (text) → one round trip. Only this file does I/O.

use std::fmt;

mod from_metadata;
mod model;
mod statements;

use crate::driver::Pool;
use crate::error::Error;
use crate::manager::KeySource;
use crate::metadata::Metadata;
use crate::sql::ddl;

/// Makes and drops the tables of an [`Orm`](crate::Orm)'s entities. From [`Orm::schema`](crate::Orm::schema).
///
/// What is made: the schemas that entities and enums name (other than `public`), the native enum types, a table for each entity and for each many-to-many
/// relation, primary keys, unique constraints, checks, foreign keys, indexes (every foreign key has one) and comments.
/// Constraints are called as the naming strategy says, so that errors lead back to entity and fields.
///
/// Each method that changes the database is one transaction and one round trip: after an error, everything is as before.
///
/// # Cancel safety
/// If the future is dropped after it was polled, the server may still do all of the work; it never does part of it.
#[derive(Clone, Copy)]
pub struct Schema<'a> {
    metadata: &'a Metadata,
    pool: &'a Pool,
    keys: &'a KeySource,
}

impl<'a> Schema<'a> {
    /// The schema of these entities.
    pub(crate) const fn new(metadata: &'a Metadata, pool: &'a Pool, keys: &'a KeySource) -> Self {
        Self { metadata, pool, keys }
    }
}

impl Schema<'_> {
    /// Makes all tables.
    ///
    /// # Errors
    /// [`Error::Database`] with SQLSTATE `42P07` if one of the tables is there already, `42710` if an enum type is; with the server's SQLSTATE if it
    /// refuses a definition written by hand (`sql_type`, `default_sql`, `check`, …) or the user may not create tables.
    /// [`Error::Connection`] or [`Error::Pool`] if there is no connection.
    pub async fn create(&self) -> Result<(), Error> {
        self.run(&statements::create(&self.model())).await
    }

    /// Drops the tables of all entities and their pivot tables, **with all rows**, and the native enum types of their
    /// columns; those that are not there are passed over. Other tables stay, but lose their foreign keys to the dropped ones; views that read the dropped ones go.
    /// Schemas stay.
    ///
    /// # Errors
    /// [`Error::Database`] if the user may not drop them, or, with SQLSTATE `2BP01`, if another table has a column of one of
    /// the enum types; [`Error::Connection`] or [`Error::Pool`] if there is no
    /// connection.
    pub async fn drop(&self) -> Result<(), Error> {
        self.run(&statements::drop(&self.model())).await
    }

    /// Drops the tables **with all rows**, as [`drop`](Self::drop), and makes them anew. For tests and development.
    ///
    /// # Errors
    /// As [`drop`](Self::drop) and [`create`](Self::create). The tables and their rows are still there then.
    pub async fn refresh_database(&self) -> Result<(), Error> {
        let model = self.model();
        let mut all = statements::drop(&model);
        all.extend(statements::create(&model));
        self.run(&all).await
    }

    /// The SQL that [`create`](Self::create) runs. Every statement ends with `;` and a line break; the same entities give
    /// the same text.
    #[must_use]
    pub fn create_sql(&self) -> String {
        ddl::script(&statements::create(&self.model()))
    }

    fn model(&self) -> model::Database {
        from_metadata::database(self.metadata)
    }

    /// The server runs statements that come in one message as one transaction.
    async fn run(&self, statements: &[String]) -> Result<(), Error> {
        let connection = self.pool.acquire().await?;
        let script = ddl::script(statements);
        let (done, answers) = match KeySource::question(self.metadata) {
            Some(question) => connection.batch_and_look_up(&script, &question).await,
            None => (connection.batch(&script).await, Ok(Vec::new())),
        };
        // What was known of the tables and their sequences may not be true any more.
        self.keys.reset();
        self.keys.expect(self.metadata, &answers.unwrap_or_default());
        done
    }
}

impl fmt::Debug for Schema<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}
