//! What is known of the entities: as the derive macro wrote it down ([`EntityMeta`], static data), and as one
//! [`Orm`](crate::Orm) resolved it ([`Metadata`]: table and column names by the naming strategy, inverse sides, foreign
//! keys, pivot tables). Everything below reads the resolved form only.

mod constraints;
mod definition;
mod describe;
mod discovery;
mod enums;
mod expressions;
pub(crate) mod lexer;
mod naming;
mod object;
mod property;
mod resolve;
mod resolved;
mod validate;

pub use definition::{
    CheckMeta, ColumnMeta, EntityMeta, EntityRegistration, FilterMeta, IndexMeta, PropertyKind, PropertyMeta,
    RelationKind, RelationMeta,
};
pub(crate) use definition::{HydrateFn, PropertyValue};
pub use naming::{EntityCaseNamingStrategy, NamingStrategy, UnderscoreNamingStrategy};
pub use object::GraphLink;
pub(crate) use object::{
    AnyCell, AnyCollection, AnyReference, CollectionChanges, EntityObject, EntityView, Graph, Lifecycle, Member,
    ReferenceTarget, RowLink, Sequence, Snapshot, address,
};
pub use property::{ColumnType, Property};
pub(crate) use resolve::Metadata;
pub(crate) use resolved::{
    CheckCondition, ColumnDef, EntityDef, IndexDef, KeyColumnDef, KeyRule, PivotDef, PropertyDef, RelationDef, SqlType,
};
