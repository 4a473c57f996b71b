//! Short forms of finds that are often asked for, and the verbs of those who come from active records.

use super::find::{Find, fields};
use super::loading::{LoadOptions, Loading};
use super::{EntityManager, IntoKey, Persist, Remove};
use crate::entity::{Entity, IntoEntity, Managed};
use crate::error::Error;
use crate::metadata::ColumnType;
use crate::query::{Column, Criteria, EqualTo, creation_order, key_order};
use crate::sql::OrderTerm;
use crate::types::OrderedType;

type Found<T> = Loading<Result<Option<Managed<T>>, Error>>;

/// The first entity of a find.
fn one<T: Entity>(find: Find<T>) -> Found<T> {
    Loading::new(async move |LoadOptions { strategy, filters }| {
        let mut find = find;
        find.plan.strategy = strategy;
        find.plan.options.filters = filters;
        find.one().await
    })
}

impl<T: Entity> Find<T> {
    fn ordered(mut self, order: Vec<OrderTerm>) -> Self {
        self.plan.selection.order.extend(order);
        self
    }
}

impl EntityManager {
    /// The entity with the lowest key.
    pub fn first<T: Entity>(&self) -> Found<T> {
        one(self.find::<T>().ordered(key_order(T::meta, false)))
    }

    /// The entity with the greatest key.
    pub fn last<T: Entity>(&self) -> Found<T> {
        one(self.find::<T>().ordered(key_order(T::meta, true)))
    }

    /// The entity that was created first. When a row was created says its first column of type `DateTime<Utc>`, `NaiveDateTime`
    /// or `NaiveDate` with an `on_create` and without an `on_update`; if there is none, and of rows of the same time, the key.
    pub fn oldest<T: Entity>(&self) -> Found<T> {
        one(self.find::<T>().ordered(creation_order(T::meta, false)))
    }

    /// The entity that was created last: see [`oldest`](Self::oldest).
    pub fn latest<T: Entity>(&self) -> Found<T> {
        one(self.find::<T>().ordered(creation_order(T::meta, true)))
    }

    /// The entity with the lowest value in a column: `em.lowest::<User, _>(|u| u.age())`. Rows without a value are left out; of
    /// several with the same, it is the one with the lowest key.
    pub fn lowest<T: Entity, V>(&self, column: impl FnOnce(T::Fields<T>) -> Column<T, V>) -> Found<T>
    where
        V: ColumnType<Operand: OrderedType>,
    {
        let column = column(fields::<T>());
        let find = self.find::<T>().filter(|_| column.is_not_null()).order_by(|_| column.asc());
        one(find.ordered(key_order(T::meta, false)))
    }

    /// The entity with the greatest value in a column: as [`lowest`](Self::lowest).
    pub fn greatest<T: Entity, V>(&self, column: impl FnOnce(T::Fields<T>) -> Column<T, V>) -> Found<T>
    where
        V: ColumnType<Operand: OrderedType>,
    {
        let column = column(fields::<T>());
        let find = self.find::<T>().filter(|_| column.is_not_null()).order_by(|_| column.desc());
        one(find.ordered(key_order(T::meta, false)))
    }

    /// The entity with this key, if there is one: as [`find_one`](Self::find_one), without a query if it is loaded.
    pub fn find_by_id<T: Entity>(&self, id: impl IntoKey<T::Id>) -> Found<T> {
        self.find_one::<T>(crate::query::ById(id.into_key()), ())
    }

    /// A find of the entities whose field equals a value: `em.find_by::<User, _>(|u| u.age(), 25).await?`. A to-one
    /// relation is compared with a handle, a reference or a key.
    pub fn find_by<T: Entity, P>(&self, field: impl FnOnce(T::Fields<T>) -> P, value: impl EqualTo<T, P>) -> Find<T> {
        self.find::<T>().filter(|fields| value.equal_to(field(fields)))
    }

    /// Of the entities whose field equals a value, the one with the lowest key.
    pub fn find_first_by<T: Entity, P>(
        &self,
        field: impl FnOnce(T::Fields<T>) -> P,
        value: impl EqualTo<T, P>,
    ) -> Found<T> {
        one(self.find_by::<T, P>(field, value).ordered(key_order(T::meta, false)))
    }

    /// Of the entities whose field equals a value, the one with the greatest key.
    pub fn find_last_by<T: Entity, P>(
        &self,
        field: impl FnOnce(T::Fields<T>) -> P,
        value: impl EqualTo<T, P>,
    ) -> Found<T> {
        one(self.find_by::<T, P>(field, value).ordered(key_order(T::meta, true)))
    }

    /// The entity that matches, or an error: [`find_one_or_fail`](Self::find_one_or_fail) without relations.
    pub fn get<T: Entity>(&self, criteria: impl Criteria<T>) -> Loading<Result<Managed<T>, Error>> {
        self.find_one_or_fail::<T>(criteria, ())
    }

    /// All entities: another name of [`find_all`](Self::find_all).
    ///
    /// # Errors
    /// What the server answered.
    pub fn all<T: Entity>(&self) -> Find<T> {
        self.find::<T>()
    }

    /// Persists entities, and flushes: what [`persist`](Self::persist) takes, and everything else that is pending in this
    /// manager.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); the entities are scheduled then, so that what is wrong can be mended and flushed again.
    pub async fn save<P: Persist>(&self, entities: P) -> Result<P::Persisted, Error> {
        let persisted = self.persist(entities);
        self.flush().await?;
        Ok(persisted)
    }

    /// Removes entities, and flushes: what [`remove`](Self::remove) takes, and everything else that is pending in this manager.
    ///
    /// # Errors
    /// As [`flush`](Self::flush); the entities are scheduled then.
    pub async fn delete<R: Remove>(&self, entities: R) -> Result<(), Error> {
        self.remove(entities);
        self.flush().await.map(|_| ())
    }

    /// Persists new entities of one type, and flushes: they are inserted by one statement for each set of columns, and managed.
    /// Where nobody needs them managed, [`insert_many`](Self::insert_many) costs less.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub async fn bulk_create<N: IntoEntity>(
        &self,
        entities: impl IntoIterator<Item = N>,
    ) -> Result<Vec<Managed<N::Entity>>, Error> {
        let created = self.persist(entities.into_iter().collect::<Vec<_>>());
        self.flush().await?;
        Ok(created)
    }
}
