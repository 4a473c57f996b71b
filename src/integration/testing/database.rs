//! A database of its own for a test, empty or a copy of a template.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

use super::TestingError;
use super::administration::{Task, text_rows};
use super::server::Server;

/// The template databases of this process by their keys. They stay until the process ends.
static TEMPLATES: Mutex<Option<HashMap<String, Arc<OnceCell<TestDatabase>>>>> = Mutex::new(None);

/// A database that belongs to one test. Dropping it drops the database, whoever is still connected.
///
/// All databases of a process are on one server: see the [module](super) for where it comes from. The methods need a
/// tokio runtime with I/O enabled, as every client of PostgreSQL here does; tests in different runtimes share the server.
pub struct TestDatabase {
    name: String,
    url: String,
    server: &'static Server,
}

impl TestDatabase {
    /// Makes an empty database. This takes about a hundredth of a second, and for the first one of a process a tenth more,
    /// because it starts the server.
    ///
    /// # Errors
    ///
    /// Everything that [`TestingError`] lists but `Setup`: no server could be started or reached, or it refuses to make
    /// a database.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped leaves no database behind.
    ///
    /// ```
    /// # use howdah::testing::{TestDatabase, TestingError};
    /// # fn main() -> Result<(), TestingError> {
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    /// # runtime.block_on(async {
    /// let (mine, yours) = (TestDatabase::new().await?, TestDatabase::new().await?);
    /// mine.execute("CREATE TABLE authors (id bigint)").await?;
    /// assert!(yours.query("SELECT * FROM authors").await.is_err());
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn new() -> Result<Self, TestingError> {
        Self::create(None).await
    }

    /// Makes a copy of a template database, which `setup` fills once: the first call with this `key` in the process runs
    /// it with the URL of the template, calls at the same time wait for it, and every call gets a copy of its own. A copy costs
    /// as much as an empty database, whatever tables and rows are in it.
    ///
    /// Connections to the template that `setup` leaves open are ended: a database with connections cannot be copied.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`TestingError::Setup`] with the error of `setup`. After an error the template is gone, and
    /// the next call with this key runs its own `setup`.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped leaves no database behind. If it was the one that ran `setup`, a waiting call runs its own.
    ///
    /// ```
    /// # use howdah::testing::{TestDatabase, TestingError};
    /// # fn main() -> Result<(), TestingError> {
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    /// # runtime.block_on(async {
    /// async fn library() -> Result<TestDatabase, TestingError> {
    ///     TestDatabase::from_template("library", async |url: String| {
    ///         let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
    ///         tokio::spawn(connection);
    ///         client.batch_execute("CREATE TABLE books (title text); INSERT INTO books VALUES ('Emma')").await
    ///     })
    ///     .await
    /// }
    ///
    /// let (first, second) = (library().await?, library().await?);
    /// first.execute("DELETE FROM books").await?;
    /// assert_eq!(second.query("SELECT title FROM books").await?.len(), 1);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn from_template<E>(
        key: &str,
        setup: impl AsyncFnOnce(String) -> Result<(), E>,
    ) -> Result<Self, TestingError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let template = {
            let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(templates.get_or_insert_default().entry(key.to_owned()).or_default())
        };
        let make_template = || async {
            let database = Self::create(None).await?;
            let outcome = setup(database.url.clone()).await;
            outcome.map_err(|error| TestingError::Setup { key: key.to_owned(), source: error.into() })?;
            database.server.administrator.run(Task::Seal { database: database.name.clone() }).await?;
            Ok::<_, TestingError>(database)
        };
        let template = template.get_or_try_init(make_template).await?;
        Self::create(Some(template.name.clone())).await
    }

    async fn create(template: Option<String>) -> Result<Self, TestingError> {
        let server = Server::shared().await?;
        let name = server.administrator.new_name();
        // It exists before the database does, so that a dropped future drops the database.
        let database = Self { url: server.url.of(&name), name, server };
        server.administrator.run(Task::Create { database: database.name.clone(), template }).await?;
        Ok(database)
    }

    /// The URL of the database, which this crate, tokio-postgres and libpq understand. The host is a percent-encoded path if
    /// the server is an ephemeral one: `postgresql://postgres@%2Fdev%2Fshm%2Fhowdah-pg-7-0:5432/howdah_test_…`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name of the database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Executes statements, separated by `;`, over a connection of their own: what they do is independent of what is
    /// tested. Several statements are one transaction, unless they say otherwise.
    ///
    /// # Errors
    ///
    /// [`TestingError::Statement`] with the server's answer, and [`TestingError::Connect`].
    pub async fn execute(&self, sql: &str) -> Result<(), TestingError> {
        self.with_client(async |client| client.batch_execute(sql).await).await
    }

    /// The rows of a query as the server prints them, NULL as `None`, over a connection of its own: for asserting
    /// against plain SQL. Of several statements it is the rows of all.
    ///
    /// # Errors
    ///
    /// [`TestingError::Statement`] with the server's answer, and [`TestingError::Connect`].
    pub async fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, TestingError> {
        let messages = self.with_client(async |client| client.simple_query(sql).await).await?;
        Ok(text_rows(&messages))
    }

    /// Answers after the connection is closed, so that it cannot be in the way of what follows.
    async fn with_client<R>(
        &self,
        work: impl AsyncFnOnce(&Client) -> Result<R, tokio_postgres::Error>,
    ) -> Result<R, TestingError> {
        let config = self.server.url.config(&self.name)?;
        let connected = config.connect(NoTls).await;
        let (client, connection) =
            connected.map_err(|source| TestingError::Connect { server: format!("database {}", self.name), source })?;
        let connection = tokio::spawn(connection);
        let outcome = work(&client).await;
        drop(client);
        let _ = connection.await;
        outcome.map_err(|source| TestingError::Statement { database: self.name.clone(), source })
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.server.administrator.drop_database(std::mem::take(&mut self.name));
    }
}

impl fmt::Debug for TestDatabase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may have a password.
        formatter.debug_struct("TestDatabase").field("name", &self.name).finish_non_exhaustive()
    }
}
