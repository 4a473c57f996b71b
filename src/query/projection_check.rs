//! Whether a field of a projection fits the entity's: asked by the code of `#[projection(entity = …)]`.

use super::column::Column;
use super::lazy::LazyColumn;
use super::path::{ToMany, ToOne};
use crate::entity::{Entity, Managed};
use crate::metadata::ColumnType;
use crate::types::{AsColumn, AsMany, AsOne, AsOptional, Projection, ScalarType};

/// A field that may be NULL where the column cannot.
#[derive(Debug)]
pub struct AsWider;

/// The key of what a relation refers to.
#[derive(Debug)]
pub struct AsKey;

/// A path that a field of type `F` is read from.
#[diagnostic::on_unimplemented(
    message = "a field of type `{F}` cannot be read from this",
    label = "the entity's field is `{Self}`"
)]
pub trait Projects<F, Kind> {}

#[diagnostic::do_not_recommend]
impl<R: Entity, V: ColumnType> Projects<V, AsColumn> for Column<R, V> {}
#[diagnostic::do_not_recommend]
impl<R: Entity, V: ScalarType> Projects<Option<V>, AsWider> for Column<R, V> {}
#[diagnostic::do_not_recommend]
impl<R: Entity, V: ColumnType> Projects<V, AsColumn> for LazyColumn<R, V> {}
#[diagnostic::do_not_recommend]
impl<R: Entity, V: ScalarType> Projects<Option<V>, AsWider> for LazyColumn<R, V> {}
#[diagnostic::do_not_recommend]
impl<R: Entity, T: Entity, P: Projection> Projects<P, AsOne> for ToOne<R, T, Managed<T>> {}
#[diagnostic::do_not_recommend]
impl<R: Entity, T: Entity, L, P: Projection> Projects<Option<P>, AsOptional> for ToOne<R, T, L> {}
#[diagnostic::do_not_recommend]
impl<R: Entity, T: Entity> Projects<T::Id, AsKey> for ToOne<R, T, Managed<T>> {}
#[diagnostic::do_not_recommend]
impl<R: Entity, T: Entity, L> Projects<Option<T::Id>, AsWider> for ToOne<R, T, L> {}
#[diagnostic::do_not_recommend]
impl<R: Entity, T: Entity, P: Projection> Projects<Vec<P>, AsMany> for ToMany<R, T> {}

/// Compiles if a field of type `F` can be read from a path.
pub fn projects<S: Projects<F, Kind>, F, Kind>(_: S) {}
