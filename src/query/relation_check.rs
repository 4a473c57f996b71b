//! Compile-time checks of `mapped_by` and `inversed_by`.
//!
//! Generated code passes the typed path of the field that is named to one of two functions, which are never called.
//! The traits exist for their error messages.

use super::{ToMany, ToOne};
use crate::entity::Entity;

/// A path over a to-one relation to `T`.
#[diagnostic::on_unimplemented(
    message = "the field that is named here does not refer back to `{T}`",
    label = "not a `Ref<{T}>`",
    note = "name the field of the other entity that has the foreign key: a `Ref<{T}>` or `Option<Ref<{T}>>`"
)]
pub trait RefersTo<T> {}

#[diagnostic::do_not_recommend]
impl<R: Entity, T: Entity, L> RefersTo<T> for ToOne<R, T, L> {}

/// A path over a collection of `T`.
#[diagnostic::on_unimplemented(
    message = "the field that is named here does not collect `{T}`",
    label = "not a `Collection<{T}>`",
    note = "name the field of the other entity that has the other end of the relation: a `Collection<{T}>`"
)]
pub trait Collects<T> {}

#[diagnostic::do_not_recommend]
impl<R: Entity, T: Entity> Collects<T> for ToMany<R, T> {}

/// Accepts the path of a `Ref<T>`.
pub fn refers_to<T, P: RefersTo<T>>(_: P) {}

/// Accepts the path of a `Collection<T>`.
pub fn collects<T, P: Collects<T>>(_: P) {}
