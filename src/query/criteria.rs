//! What the short finds (`find_one`, `count`, …) select by: a key, a condition, or everything.

use super::condition::Condition;
use super::raw::Raw;
use crate::entity::{Entity, Managed, Ref};
use crate::sql::Expression;
use crate::types::{DbEnum, EntityKey, Key, KeyFrom};

/// Criteria without their type.
#[derive(Clone, Debug)]
pub(crate) enum CriteriaKind {
    /// The row with this key.
    Key(Key),
    /// A condition; `All([])` for everything.
    Condition(Box<Expression>),
    /// A key that no row of this entity can have.
    Nothing,
}

/// A key (`1`, a `Uuid`, a tuple), a [`Condition`], or `()` for everything.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be found by `{Self}`",
    label = "expected the key of `{T}`, a Condition<{T}>, or `()` for everything"
)]
pub trait Criteria<T: Entity> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_kind(self) -> CriteriaKind;
}

impl<T: Entity> Criteria<T> for () {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_kind(self) -> CriteriaKind {
        CriteriaKind::Condition(Box::new(Expression::All(Vec::new())))
    }
}

impl<T: Entity> Criteria<T> for Condition<T> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_kind(self) -> CriteriaKind {
        CriteriaKind::Condition(Box::new(self.expression))
    }
}

impl<T: Entity> Criteria<T> for &Managed<T> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_kind(self) -> CriteriaKind {
        self.key().map_or(CriteriaKind::Nothing, CriteriaKind::Key)
    }
}

impl<T: Entity> Criteria<T> for &Ref<T> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_kind(self) -> CriteriaKind {
        self.try_id().map_or(CriteriaKind::Nothing, |id| CriteriaKind::Key(id.to_key()))
    }
}

/// The key itself.
pub(crate) struct ById<K>(pub(crate) K);

impl<T: Entity> Criteria<T> for ById<T::Id> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_kind(self) -> CriteriaKind {
        CriteriaKind::Key(self.0.to_key())
    }
}

impl<T: Entity> Criteria<T> for Raw<T> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_kind(self) -> CriteriaKind {
        self.condition().into_kind()
    }
}

macro_rules! key_criteria {
    ($([$($generic:tt)*] $type:ty;)*) => {$(
        impl<$($generic)* T: Entity> Criteria<T> for $type
        where
            T::Id: KeyFrom<$type>,
        {
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn into_kind(self) -> CriteriaKind {
                T::Id::key_from(self).map_or(CriteriaKind::Nothing, |id| CriteriaKind::Key(id.to_key()))
            }
        }
    )*};
}

for_every_key_form!(key_criteria);

#[diagnostic::do_not_recommend]
impl<T: Entity, E: DbEnum> Criteria<T> for E
where
    T::Id: KeyFrom<E>,
{
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn into_kind(self) -> CriteriaKind {
        T::Id::key_from(self).map_or(CriteriaKind::Nothing, |id| CriteriaKind::Key(id.to_key()))
    }
}
