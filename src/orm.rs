//! The Orm: the pool, the entities, and what all managers share.

use std::fmt;
use std::sync::Arc;

use crate::config::OrmBuilder;
use crate::driver::Pool;
use crate::error::Error;
use crate::manager::{EntityManager, KeySource, Results, Shared};
use crate::metadata::Metadata;
use crate::query::Filter;
use crate::schema::Schema;
use crate::sql::StatementTexts;
use crate::unit_of_work::CommitOrder;

/// A database and the entities in it. Cheap to clone; one a program is enough.
///
/// ```standalone_crate
/// # howdah::doctest::run(async |url| {
/// use howdah::prelude::*;
///
/// #[derive(Entity, Clone, Debug)]
/// pub struct User {
///     #[primary_key]
///     pub id: i64,
///     pub name: String,
/// }
///
/// let orm = Orm::connect(&url).await?;
/// orm.schema().create().await?;
/// let em = orm.em();
/// let ada = em.persist(NewUser { name: "Ada".into() });
/// em.flush().await?;
/// assert!(ada.id() > 0);
/// # Ok(())
/// # });
/// ```
#[derive(Clone)]
pub struct Orm {
    pub(crate) inner: Arc<Shared>,
}

impl Orm {
    /// Connects to a database with all entities of the program: `postgresql://user:password@host:5432/database`, or
    /// `host=… user=…` pairs. For options see [`builder`](Self::builder). Asks the catalog which tables have triggers, rules or
    /// sequences that do not grow, in one statement; that they are there is not checked.
    ///
    /// # Errors
    /// [`Error::Validation`] for a URL that cannot be read, [`Error::Metadata`] with every problem of the entities,
    /// [`Error::Connection`] if the server cannot be reached or refuses the user, the password or the database.
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, Error> {
        Self::builder().url(url.as_ref()).connect().await
    }

    /// Connects to the database that the environment names: `DATABASE_URL`, or else `PGHOST`, `PGPORT`, `PGUSER`,
    /// `PGPASSWORD`, `PGDATABASE`, `PGAPPNAME` and `PGCONNECT_TIMEOUT`.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); [`Error::Validation`] if none of the variables is set.
    pub async fn from_env() -> Result<Self, Error> {
        Self::builder().from_env()?.connect().await
    }

    /// Options first, then [`OrmBuilder::connect`].
    #[must_use]
    pub fn builder() -> OrmBuilder {
        OrmBuilder::default()
    }

    pub(crate) async fn open(builder: OrmBuilder) -> Result<Self, Error> {
        let (id_allocation, strategy, flush_mode) = (builder.id_allocation, builder.load_strategy, builder.flush_mode);
        let added = builder.filters.clone();
        let (store, time) = (builder.result_cache.clone(), builder.cache_results);
        let (metas, naming, options) = builder.into_parts()?;
        let metadata = Arc::new(Metadata::resolve(metas, naming)?);
        let filters = declared(&metadata, added)?;
        let order = CommitOrder::of(&metadata);
        let pool = Pool::open(options, Arc::clone(&metadata)).await?;
        let keys = KeySource::new(metadata.entities.len(), id_allocation);
        if let Some(question) = KeySource::question(&metadata) {
            // Without an answer it is found out when rows are inserted.
            let answers = pool.acquire().await?.look_up(&question).await;
            keys.expect(&metadata, &answers.unwrap_or_default());
        }
        let texts = StatementTexts::default();
        let results = Arc::new(Results::new(store, time, pool.address().to_owned()));
        let shared = Shared { metadata, pool, texts, order, keys, strategy, flush_mode, filters, results };
        Ok(Self { inner: Arc::new(shared) })
    }

    /// A fresh entity manager: one a request, one a job. Sends nothing and needs no connection until it is used.
    #[must_use]
    pub fn em(&self) -> EntityManager {
        EntityManager::new(Arc::clone(&self.inner))
    }

    /// The schema generator: creates and drops the tables of the entities.
    #[must_use]
    pub fn schema(&self) -> Schema<'_> {
        Schema::new(&self.inner.metadata, &self.inner.pool, &self.inner.keys)
    }

    /// Closes the pool. Connections that are in use are closed when they come back; whoever asks for another one gets
    /// [`Error::Pool`].
    pub fn close(&self) {
        self.inner.pool.close();
    }
}

/// The filters that entities declare, and these.
///
/// # Errors
/// [`Error::Metadata`] for a name that an entity has twice, and filters of entities that are not known.
fn declared(metadata: &Metadata, added: Vec<Filter>) -> Result<Vec<Filter>, Error> {
    let of_entities = metadata.entities.iter().flat_map(|entity| entity.meta.filters);
    let mut filters: Vec<Filter> =
        of_entities.filter_map(|filter| (filter.0)().downcast::<Filter>().ok()).map(|filter| *filter).collect();
    filters.extend(added);
    let mut problems = Vec::new();
    for (index, filter) in filters.iter().enumerate() {
        let (name, entity) = (&filter.inner.name, filter.inner.entity.name);
        if metadata.find(filter.inner.entity).is_none() {
            problems.push(format!("the filter \"{name}\" is one of {entity}, which is not among the entities"));
        }
        let same = |other: &Filter| other.inner.name == *name && other.inner.entity.name == entity;
        if filters[..index].iter().any(same) {
            problems.push(format!("{entity} has two filters with the name \"{name}\": give one another name"));
        }
    }
    if problems.is_empty() { Ok(filters) } else { Err(Error::Metadata { problems }) }
}

impl fmt::Debug for Orm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entities: Vec<&str> = self.inner.metadata.entities.iter().map(|entity| entity.meta.name).collect();
        f.debug_struct("Orm").field("entities", &entities).finish_non_exhaustive()
    }
}
