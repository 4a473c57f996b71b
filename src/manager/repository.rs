//! Repositories: the verbs of the manager for one type of entities, and a place for a program's own queries.

use std::fmt;
use std::marker::PhantomData;

use futures_util::Stream;

use super::bulk::{CopyItem, NativeDelete, NativeUpdate, Upsert};
use super::find::Find;
use super::loading::Loading;
use super::{EntityManager, IntoKey, Persist, Remove};
use crate::entity::{Entity, IntoEntity, Managed, Ref};
use crate::error::Error;
use crate::metadata::ColumnType;
use crate::query::{Column, Criteria, EqualTo, Populate};
use crate::types::OrderedType;

type Found<T> = Loading<Result<Option<Managed<T>>, Error>>;

/// The verbs of an [`EntityManager`] for one type of entities: made by [`EntityManager::repository`].
///
/// It is a cheap handle to the manager: what it loads and persists is that manager's, and written by its flush.
pub struct Repository<T> {
    em: EntityManager,
    entity: PhantomData<fn() -> T>,
}

/// An entity with its repository: implemented by `#[derive(Entity)]`, with the type that `#[entity(repository = …)]` names.
// Without `Entity`: an entity that lacks something would be told so twice.
pub trait HasRepository: Sized {
    /// What [`EntityManager::repository`] answers with.
    type Repository: RepositoryOf<Self>;
}

/// A repository of the entity `T`: [`Repository<T>`](Repository) itself, and what is made `From` one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a repository of `{T}`",
    label = "cannot be made from a `Repository<{T}>`",
    note = "implement `From<howdah::Repository<{T}>>` for it, and `Deref<Target = howdah::Repository<{T}>>` to have its verbs"
)]
pub trait RepositoryOf<T>: Sized {
    /// Makes the repository.
    fn of(repository: Repository<T>) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T, R: From<Repository<T>>> RepositoryOf<T> for R {
    fn of(repository: Repository<T>) -> Self {
        repository.into()
    }
}

impl EntityManager {
    /// The repository of an entity: [`Repository<T>`](Repository), or the type that `#[entity(repository = …)]` names.
    ///
    /// ```
    /// # howdah::doctest::run(async |url| {
    /// use std::ops::Deref;
    ///
    /// use howdah::Repository;
    /// use howdah::prelude::*;
    ///
    /// #[derive(Entity, Clone, Debug)]
    /// #[entity(repository = TaskRepository)]
    /// pub struct Task {
    ///     #[primary_key]
    ///     pub id: i64,
    ///     pub title: String,
    ///     #[property(default = false)]
    ///     pub done: bool,
    /// }
    ///
    /// pub struct TaskRepository(Repository<Task>);
    ///
    /// impl TaskRepository {
    ///     pub async fn next(&self) -> Result<Option<Managed<Task>>, Error> {
    ///         self.find().filter(|t| t.done().eq(false)).order_by(|t| t.id().asc()).one().await
    ///     }
    /// }
    ///
    /// impl From<Repository<Task>> for TaskRepository {
    ///     fn from(repository: Repository<Task>) -> Self {
    ///         Self(repository)
    ///     }
    /// }
    ///
    /// impl Deref for TaskRepository {
    ///     type Target = Repository<Task>;
    ///
    ///     fn deref(&self) -> &Repository<Task> {
    ///         &self.0
    ///     }
    /// }
    ///
    /// # let orm = Orm::builder().url(&url).entities(entities![Task]).connect().await?;
    /// # orm.schema().create().await?;
    /// # let em = orm.em();
    /// let tasks = em.repository::<Task>();                          // a TaskRepository
    /// tasks.save(NewTask { title: "write".into() }).await?;         // persists and flushes
    /// let next = tasks.next().await?;
    /// assert_eq!(next.map(|task| task.read().title.clone()).as_deref(), Some("write"));
    /// # Ok(())
    /// # });
    /// ```
    pub fn repository<T: Entity + HasRepository>(&self) -> T::Repository {
        T::Repository::of(Repository { em: self.clone(), entity: PhantomData })
    }
}

impl<T> Clone for Repository<T> {
    fn clone(&self) -> Self {
        Self { em: self.em.clone(), entity: PhantomData }
    }
}

impl<T: Entity> fmt::Debug for Repository<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("entity", &T::meta().name).field("em", &self.em).finish()
    }
}

/// Reading.
impl<T: Entity> Repository<T> {
    /// The manager.
    pub const fn em(&self) -> &EntityManager {
        &self.em
    }

    /// As [`EntityManager::find`].
    pub fn find(&self) -> Find<T> {
        self.em.find()
    }

    /// As [`EntityManager::find_all`].
    pub fn find_all(&self) -> Find<T> {
        self.em.find()
    }

    /// As [`EntityManager::find_one`].
    pub fn find_one(&self, criteria: impl Criteria<T>, populate: impl Populate<T>) -> Found<T> {
        self.em.find_one(criteria, populate)
    }

    /// As [`EntityManager::find_one_or_fail`].
    pub fn find_one_or_fail(
        &self,
        criteria: impl Criteria<T>,
        populate: impl Populate<T>,
    ) -> Loading<Result<Managed<T>, Error>> {
        self.em.find_one_or_fail(criteria, populate)
    }

    /// As [`EntityManager::find_by_id`].
    pub fn find_by_id(&self, id: impl IntoKey<T::Id>) -> Found<T> {
        self.em.find_by_id(id)
    }

    /// As [`EntityManager::find_by`].
    pub fn find_by<P>(&self, field: impl FnOnce(T::Fields<T>) -> P, value: impl EqualTo<T, P>) -> Find<T> {
        self.em.find_by(field, value)
    }

    /// As [`EntityManager::find_first_by`].
    pub fn find_first_by<P>(&self, field: impl FnOnce(T::Fields<T>) -> P, value: impl EqualTo<T, P>) -> Found<T> {
        self.em.find_first_by(field, value)
    }

    /// As [`EntityManager::find_last_by`].
    pub fn find_last_by<P>(&self, field: impl FnOnce(T::Fields<T>) -> P, value: impl EqualTo<T, P>) -> Found<T> {
        self.em.find_last_by(field, value)
    }

    /// As [`EntityManager::first`].
    pub fn first(&self) -> Found<T> {
        self.em.first()
    }

    /// As [`EntityManager::last`].
    pub fn last(&self) -> Found<T> {
        self.em.last()
    }

    /// As [`EntityManager::oldest`].
    pub fn oldest(&self) -> Found<T> {
        self.em.oldest()
    }

    /// As [`EntityManager::latest`].
    pub fn latest(&self) -> Found<T> {
        self.em.latest()
    }

    /// As [`EntityManager::lowest`].
    pub fn lowest<V>(&self, column: impl FnOnce(T::Fields<T>) -> Column<T, V>) -> Found<T>
    where
        V: ColumnType<Operand: OrderedType>,
    {
        self.em.lowest(column)
    }

    /// As [`EntityManager::greatest`].
    pub fn greatest<V>(&self, column: impl FnOnce(T::Fields<T>) -> Column<T, V>) -> Found<T>
    where
        V: ColumnType<Operand: OrderedType>,
    {
        self.em.greatest(column)
    }

    /// As [`EntityManager::count`].
    ///
    /// # Errors
    /// What the server answered.
    pub fn count(&self, criteria: impl Criteria<T>) -> Loading<Result<u64, Error>> {
        self.em.count(criteria)
    }

    /// As [`EntityManager::exists`].
    ///
    /// # Errors
    /// What the server answered.
    pub fn exists(&self, criteria: impl Criteria<T>) -> Loading<Result<bool, Error>> {
        self.em.exists(criteria)
    }

    /// As [`EntityManager::get`].
    pub fn get(&self, criteria: impl Criteria<T>) -> Loading<Result<Managed<T>, Error>> {
        self.em.get(criteria)
    }

    /// As [`EntityManager::all`].
    pub fn all(&self) -> Find<T> {
        self.em.all()
    }

    /// As [`EntityManager::get_reference`].
    pub fn get_reference(&self, id: impl IntoKey<T::Id>) -> Ref<T> {
        self.em.get_reference(id)
    }

    /// As [`EntityManager::populate`].
    pub fn populate<'a>(
        &self,
        entities: impl IntoIterator<Item = &'a Managed<T>>,
        populate: impl Populate<T>,
    ) -> Loading<Result<(), Error>> {
        self.em.populate(entities, populate)
    }

    /// As [`EntityManager::refresh`].
    ///
    /// # Errors
    /// As there.
    pub async fn refresh(&self, entity: &Managed<T>) -> Result<(), Error> {
        self.em.refresh(entity).await
    }
}

/// Writing.
impl<T: Entity> Repository<T> {
    /// As [`EntityManager::create`].
    pub fn create(&self, entity: impl IntoEntity<Entity = T>) -> Managed<T> {
        self.em.create(entity)
    }

    /// As [`EntityManager::persist`].
    pub fn persist<P: Persist<Entity = T>>(&self, entities: P) -> P::Persisted {
        self.em.persist(entities)
    }

    /// As [`EntityManager::remove`].
    pub fn remove(&self, entities: impl Remove<Entity = T>) {
        self.em.remove(entities);
    }

    /// As [`EntityManager::save`].
    ///
    /// # Errors
    /// As there.
    pub async fn save<P: Persist<Entity = T>>(&self, entities: P) -> Result<P::Persisted, Error> {
        self.em.save(entities).await
    }

    /// As [`EntityManager::delete`].
    ///
    /// # Errors
    /// As there.
    pub async fn delete(&self, entities: impl Remove<Entity = T>) -> Result<(), Error> {
        self.em.delete(entities).await
    }

    /// As [`EntityManager::bulk_create`].
    ///
    /// # Errors
    /// As there.
    pub async fn bulk_create(
        &self,
        entities: impl IntoIterator<Item = impl IntoEntity<Entity = T>>,
    ) -> Result<Vec<Managed<T>>, Error> {
        self.em.bulk_create(entities).await
    }

    /// As [`EntityManager::insert`].
    ///
    /// # Errors
    /// As there.
    pub async fn insert(&self, entity: impl IntoEntity<Entity = T>) -> Result<T::Id, Error> {
        self.em.insert(entity).await
    }

    /// As [`EntityManager::insert_many`].
    ///
    /// # Errors
    /// As there.
    pub async fn insert_many(
        &self,
        entities: impl IntoIterator<Item = impl IntoEntity<Entity = T>>,
    ) -> Result<Vec<T::Id>, Error> {
        self.em.insert_many(entities).await
    }

    /// As [`EntityManager::upsert`].
    pub fn upsert(&self, entity: impl IntoEntity<Entity = T>) -> Upsert<T> {
        self.em.upsert(entity)
    }

    /// As [`EntityManager::upsert_many`].
    pub fn upsert_many(
        &self,
        entities: impl IntoIterator<Item = impl IntoEntity<Entity = T>>,
    ) -> Upsert<T, Vec<Managed<T>>> {
        self.em.upsert_many(entities)
    }

    /// As [`EntityManager::native_update`].
    pub fn native_update(&self) -> NativeUpdate<T> {
        self.em.native_update()
    }

    /// As [`EntityManager::native_delete`].
    pub fn native_delete(&self) -> NativeDelete<T> {
        self.em.native_delete()
    }

    /// As [`EntityManager::copy_in`].
    ///
    /// # Errors
    /// As there.
    pub async fn copy_in(
        &self,
        rows: impl IntoIterator<Item: CopyItem<T>, IntoIter: Send> + Send,
    ) -> Result<u64, Error> {
        self.em.copy_in(rows).await
    }

    /// As [`EntityManager::copy_in_stream`].
    ///
    /// # Errors
    /// As there.
    pub async fn copy_in_stream(&self, rows: impl Stream<Item: CopyItem<T>> + Send) -> Result<u64, Error> {
        self.em.copy_in_stream(rows).await
    }
}
