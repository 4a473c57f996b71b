//! A unit-of-work ORM for PostgreSQL: you change objects, and `flush()` writes the difference.
//!
//! An [`EntityManager`] knows the entities that it has loaded (one row is one entity), notices what you change, and writes
//! it as few statements in one transaction. Relations are loaded along when you ask for it, and nested transactions are
//! savepoints that restore the memory, too.
//!
//! ```standalone_crate
//! # howdah::doctest::run(async |url| {
//! use howdah::prelude::*;
//!
//! #[derive(Entity, Clone, Debug)]
//! #[entity(table = "users")]
//! pub struct User {
//!     #[primary_key]
//!     pub id: i64,
//!     #[property(unique, length = 50)]
//!     pub username: String,
//!     #[one_to_many(mapped_by = author)]
//!     pub posts: Collection<Post>,
//! }
//!
//! #[derive(Entity, Clone, Debug)]
//! pub struct Post {
//!     #[primary_key]
//!     pub id: i64,
//!     pub title: String,
//!     #[many_to_one(inversed_by = posts)]
//!     pub author: Ref<User>,
//! }
//!
//! let orm = Orm::connect(&url).await?;
//! orm.schema().create().await?;
//!
//! let em = orm.em();
//! let ada = em.persist(NewUser { username: "ada".into() });
//! em.persist(NewPost { title: "On the Analytical Engine".into(), author: ada.to_ref() });
//! em.flush().await?; // two INSERTs, one transaction
//!
//! let em = orm.em();
//! let ada = em.find_one_or_fail::<User>(ada.id(), User::fields().posts()).await?;
//! assert_eq!(ada.read().posts.len()?, 1);
//! ada.write().username = "ada.lovelace".into();
//! em.flush().await?; // UPDATE "users" SET "username" = …
//! # Ok(())
//! # });
//! ```
//!
//! # Where to find things
//!
//! * [`Entity`]: the derive macro and what it generates; [`DbEnum`]: enums as columns; [`Projection`]: structs of some columns.
//! * [`Orm`]: connecting; [`OrmBuilder`]: options; [`Schema`]: creating the tables.
//! * [`EntityManager`]: every verb; [`Find`]: queries; [`Condition`]: filters; [`QueryBuilder`]: everything else that a SELECT can
//!   say; [`Sql`]: plain SQL.
//! * [`Expr`]: operators; [`functions`]: SQL functions, and SQL by hand; [`Subquery`]: queries as operands.
//! * [`Managed`], [`Ref`], [`Collection`]: handles and relations.
//! * [`Error`]: what can go wrong.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `testing` | [`testing`]: a PostgreSQL that starts itself and a database per test, for your own tests |
// Of the library only: examples and tests define public things that nobody reads the documentation of.
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc)]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// What the derive macro generates names the crate from outside.
#[cfg(test)]
extern crate self as howdah;

mod config;
mod driver;
mod entity;
mod error;
mod integration;
mod loader;
mod manager;
mod metadata;
mod orm;
pub mod prelude;
mod query;
mod schema;
mod sql;
mod types;
mod unit_of_work;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod doctest;

#[cfg(feature = "testing")]
pub use integration::testing;

pub use async_trait::async_trait;
pub use config::OrmBuilder;
pub use driver::StatementLog;
pub use entity::{
    Change, Collection, CollectionItem, Entity, EntityState, FieldPath, FieldSet, IntoEntity, Lazy, Managed, ReadGuard,
    Ref, Relation, WriteGuard,
};
pub use error::Error;
pub use howdah_derive::{DbEnum, Entity, Projection};
pub use manager::{
    Asynchronous, CacheEntry, CacheError, CommitCallback, CopyItem, CursorFind, EntityManager, EntitySql, Find,
    FindStream, FlushSummary, HasRepository, IdAllocation, InsertFrom, IntoCursor, IntoKey, Loading, MappedSql,
    MemoryCache, NativeDelete, NativeUpdate, Once, Page, Persist, Plain, Propagation, QueryBuilder, Remove, Repeatedly,
    Repository, RepositoryOf, ResultCache, Returning, Row, Savepoint, Sql, SqlParameter, SqlText, Transaction, Upsert,
};
pub use metadata::{
    CheckMeta, ColumnMeta, ColumnType, EntityCaseNamingStrategy, EntityMeta, IndexMeta, NamingStrategy, Property,
    PropertyKind, PropertyMeta, RelationKind, RelationMeta, UnderscoreNamingStrategy,
};
pub use orm::Orm;
pub use query::functions;
pub use query::{
    Aggregated, Alias, Assign, Column, ColumnValue, Condition, ContainsOperand, Criteria, DerivedTable, EqualTo,
    ExistsOperand, Expr, Filter, FlushMode, FrameBound, FullText, InsertColumns, IntoArray, IntoCondition, IntoExpr,
    IntoJsonPath, IntoList, IntoOrder, Items, JoinPath, JoinSource, LazyColumn, LoadPath, LoadStrategy, LockMode,
    Order, OutputRow, Populate, PopulatePath, PropertyList, RelationList, RelationOperand, Selectable, SomeItems,
    Subquery, SubqueryColumns, SubqueryOf, Summable, ToMany, ToOne, TupleList, TupleOperand, TupleOperators, TypedExpr,
    WindowFunction, WindowSpec,
};
pub use schema::Schema;
pub use sql::transaction::{IsolationLevel, TransactionOptions};
pub use types::{
    ArrayElement, ArrayType, ColumnReader, ConversionError, DbEnum, EntityKey, EnumMeta, EnumStorage, FromRow, Json,
    JsonScalar, JsonType, Key, KeyFrom, KeyPart, MeasuredType, MinMaxType, NumericType, Operand, OrderedType, PgType,
    Projection, RowReader, RowValue, ScalarType, SqlValue, TemporalType, TextType, Version, VersionType,
};

/// The list of entities for [`OrmBuilder::entities`]: `entities![User, Post]`.
#[macro_export]
macro_rules! entities {
    ($($entity:ty),* $(,)?) => {
        [$(<$entity as $crate::Entity>::meta()),*]
    };
}
