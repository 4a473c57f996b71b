//! INSERT of many rows without making managed entities of them.

use std::future::Future;

use crate::entity::{Entity, IntoEntity};
use crate::error::Error;
use crate::manager::EntityManager;
use crate::types::{EntityKey, Key};
use crate::unit_of_work::insertion;

impl EntityManager {
    /// Inserts a row at once; answers with its key. As [`insert_many`](Self::insert_many) for one.
    ///
    /// # Errors
    /// As [`insert_many`](Self::insert_many).
    pub fn insert<N: IntoEntity>(
        &self,
        entity: N,
    ) -> impl Future<Output = Result<<N::Entity as Entity>::Id, Error>> + Send + use<N> {
        let inserting = self.insert_many([entity]);
        async move {
            let missing = || Error::validation(<N::Entity as Entity>::meta().name, "the row was not inserted");
            inserting.await?.pop().ok_or_else(missing)
        }
    }

    /// Inserts rows at once, past the unit of work: entities or their `New…` structs, of one type. Answers with their keys, in
    /// the order of the rows. Nothing becomes managed, and the entities that are loaded are left as they are.
    ///
    /// Rows that have values for the same columns are one statement, whatever their number, as in a flush:
    /// `INSERT … SELECT … FROM unnest($1, $2, …) RETURNING …`. UUID keys, versions, `default` and `on_create` are made here, the
    /// keys and defaults of the database there. Outside of a transaction the statements commit together; inside of one they are
    /// a part of it, and a failure undoes no more than them. One round trip, as a rule.
    ///
    /// To-one relations are written by the keys that they refer to. Nothing is cascaded.
    ///
    /// # Errors
    /// Before anything is sent, [`Error::Validation`] for an entity that refers to one without a row, or has items in a
    /// collection, and [`Error::Conversion`] for a value that PostgreSQL cannot hold. What the server answered, with entity and
    /// fields as from a flush; then no row is inserted.
    ///
    /// # Cancel safety
    /// Dropping the future leaves all rows inserted, or none. Inside a transaction it is none.
    pub fn insert_many<N: IntoEntity, I: IntoIterator<Item = N>>(
        &self,
        entities: I,
    ) -> impl Future<Output = Result<Vec<<N::Entity as Entity>::Id>, Error>> + Send + use<N, I> {
        let collected = insertion(&self.session.orm.metadata, entities);
        let em = self.clone();
        async move {
            let (graph, changes) = collected?;
            let keys = em.session.insert_rows(changes).await?;
            drop(graph);
            keys.iter().map(|key| typed::<N::Entity>(key.as_ref())).collect()
        }
    }
}

/// The key that the server has answered with.
fn typed<T: Entity>(key: Option<&Key>) -> Result<T::Id, Error> {
    let missing = || Error::validation(T::meta().name, "the server answered without the key of a row");
    key.and_then(T::Id::from_key).ok_or_else(missing)
}
