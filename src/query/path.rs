//! Typed paths: `User::fields().posts().title()`. `R` is the entity where the query starts.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use super::condition::{Condition, IntoCondition};
use super::expr::Expr;
use super::property_list::PropertyName;
use super::subquery::SubqueryOf;
use crate::entity::{Entity, FieldPath, FieldSet, Managed, Ref};
use crate::sql::{Aggregate, Expression, Operator, Quantifier, Term};
use crate::types::{DbEnum, EntityKey, Key, KeyFrom};

/// What a to-one relation can be compared with: a handle, a reference, or a key.
#[diagnostic::on_unimplemented(
    message = "a relation to `{T}` cannot be compared with `{Self}`",
    label = "expected a handle (&Managed<{T}>), a &Ref<{T}> or its key"
)]
pub trait RelationOperand<T: Entity> {
    /// The key; `None` if it is not known, so that no row can refer to it.
    fn into_key(self) -> Option<Key>;
}

impl<T: Entity> RelationOperand<T> for &Managed<T> {
    fn into_key(self) -> Option<Key> {
        self.key()
    }
}

impl<T: Entity> RelationOperand<T> for &Ref<T> {
    fn into_key(self) -> Option<Key> {
        self.try_id().ok().map(|id| id.to_key())
    }
}

macro_rules! key_operand {
    ($([$($generic:tt)*] $type:ty;)*) => {$(
        impl<$($generic)* T: Entity> RelationOperand<T> for $type
        where
            T::Id: KeyFrom<$type>,
        {
            fn into_key(self) -> Option<Key> {
                T::Id::key_from(self).map(|id| id.to_key())
            }
        }
    )*};
}

for_every_key_form!(key_operand);

#[diagnostic::do_not_recommend]
impl<T: Entity, E: DbEnum> RelationOperand<T> for E
where
    T::Id: KeyFrom<E>,
{
    fn into_key(self) -> Option<Key> {
        T::Id::key_from(self).map(|id| id.to_key())
    }
}

/// Several entities: anything that iterates over handles, references or keys, or a query of entities without a select,
/// `Subquery::of::<T>()`.
#[diagnostic::on_unimplemented(
    message = "a relation to `{T}` cannot be one of `{Self}`",
    label = "expected a list of handles, references or keys of `{T}`, or Subquery::of::<{T}>()"
)]
pub trait RelationList<T: Entity> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn contains_key_of(self, path: FieldPath) -> Expression;
}

impl<T: Entity, I> RelationList<T> for I
where
    I: IntoIterator,
    I::Item: RelationOperand<T>,
{
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn contains_key_of(self, path: FieldPath) -> Expression {
        Expression::Key { path, keys: self.into_iter().filter_map(RelationOperand::into_key).collect() }
    }
}

impl<T: Entity> RelationList<T> for SubqueryOf<T> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn contains_key_of(self, path: FieldPath) -> Expression {
        let keys = Term::Subquery(self.select_key());
        Expression::Compare { left: Term::Key(path), operator: Operator::In, right: keys }
    }
}

/// A to-one relation, and the way on to the fields of its target. `L` is what loading it answers with:
/// `Managed<T>`, or `Option<Managed<T>>` where the relation may be missing.
pub struct ToOne<R: Entity, T: Entity, L> {
    path: FieldPath,
    property: u16,
    target: T::Fields<R>,
    types: PhantomData<fn() -> L>,
}

impl<R: Entity, T: Entity, L> ToOne<R, T, L> {
    /// The relation with this property index at the end of a path.
    #[doc(hidden)]
    pub fn new(path: &FieldPath, property: u16) -> Self {
        Self { path: path.clone(), property, target: T::Fields::at(path.then(property)), types: PhantomData }
    }

    /// The fields of the target, also those that are called like a method of this type.
    pub fn fields(&self) -> T::Fields<R> {
        self.target.clone()
    }

    /// The relation without its type.
    pub(super) fn into_name(self) -> PropertyName {
        PropertyName { path: self.path, property: self.property }
    }

    fn null(self, is_null: bool) -> Condition<R> {
        Condition::new(Expression::Null { term: Term::Column { path: self.path, property: self.property }, is_null })
    }

    /// Refers to this entity.
    pub fn eq(self, other: impl RelationOperand<T>) -> Condition<R> {
        let keys = other.into_key().into_iter().collect();
        Condition::new(Expression::Key { path: self.target.path().clone(), keys })
    }

    /// Does not refer to this entity. A reference that is NULL neither does nor does not.
    pub fn ne(self, other: impl RelationOperand<T>) -> Condition<R> {
        self.eq(other).not()
    }

    /// Refers to one of these entities, or to one that a sub-query finds.
    pub fn is_in(self, others: impl RelationList<T>) -> Condition<R> {
        Condition::new(others.contains_key_of(self.target.path().clone()))
    }

    /// Refers to none of these entities. A reference that is NULL neither does nor does not.
    pub fn not_in(self, others: impl RelationList<T>) -> Condition<R> {
        self.is_in(others).not()
    }

    /// Refers to nothing.
    pub fn is_null(self) -> Condition<R> {
        self.null(true)
    }

    /// Refers to something.
    pub fn is_not_null(self) -> Condition<R> {
        self.null(false)
    }
}

impl<R: Entity, T: Entity, L> Clone for ToOne<R, T, L> {
    fn clone(&self) -> Self {
        Self { path: self.path.clone(), property: self.property, target: self.target.clone(), types: PhantomData }
    }
}

impl<R: Entity, T: Entity, L> Deref for ToOne<R, T, L> {
    type Target = T::Fields<R>;

    fn deref(&self) -> &T::Fields<R> {
        &self.target
    }
}

impl<R: Entity, T: Entity, L> fmt::Debug for ToOne<R, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToOne({:?})", self.target.path())
    }
}

/// A to-many relation, and the way on to the fields of its targets. A condition on a field behind it holds if some
/// related entity fulfils it; `some` puts several conditions on the same one.
pub struct ToMany<R: Entity, T: Entity> {
    path: FieldPath,
    property: u16,
    target: T::Fields<R>,
}

impl<R: Entity, T: Entity> ToMany<R, T> {
    /// The relation with this property index at the end of a path.
    #[doc(hidden)]
    pub fn new(path: &FieldPath, property: u16) -> Self {
        Self { path: path.clone(), property, target: T::Fields::at(path.then(property)) }
    }

    /// The fields of the target, also those that are called like a method of this type.
    pub fn fields(&self) -> T::Fields<R> {
        self.target.clone()
    }

    fn quantified(self, quantifier: Quantifier, inner: Expression) -> Condition<R> {
        let (path, property) = (self.path, self.property);
        Condition::new(Expression::Quantified { path, property, quantifier, inner: Box::new(inner) })
    }

    fn inner<C: IntoCondition<T>>(condition: impl FnOnce(T::Fields<T>) -> C) -> Expression {
        condition(T::Fields::at(FieldPath::root(T::meta))).into_condition().expression
    }

    /// At least one related entity fulfils the condition (`EXISTS`).
    pub fn some<C: IntoCondition<T>>(self, condition: impl FnOnce(T::Fields<T>) -> C) -> Condition<R> {
        self.quantified(Quantifier::Some, Self::inner(condition))
    }

    /// No related entity fulfils the condition (`NOT EXISTS`).
    pub fn none<C: IntoCondition<T>>(self, condition: impl FnOnce(T::Fields<T>) -> C) -> Condition<R> {
        self.quantified(Quantifier::None, Self::inner(condition))
    }

    /// Every related entity fulfils the condition; true where there are none.
    pub fn every<C: IntoCondition<T>>(self, condition: impl FnOnce(T::Fields<T>) -> C) -> Condition<R> {
        self.quantified(Quantifier::Every, Self::inner(condition))
    }

    /// How many related entities there are, over the whole path: `u.posts().count().gte(3)`, also to order by. In a query that
    /// [joins](crate::QueryBuilder::join) the relation: how many different ones there are in the group.
    pub fn count(&self) -> Expr<R, i64> {
        let mut count = Aggregate::new("count", Vec::new());
        count.rows = Some(self.target.path().clone());
        Expr::new(Term::Aggregate(Box::new(count)))
    }

    /// How many related entities fulfil the condition; of those that a query joins, as [`count`](Self::count).
    pub fn count_of<C: IntoCondition<T>>(&self, condition: impl FnOnce(T::Fields<T>) -> C) -> Expr<R, i64> {
        let mut count = Aggregate::new("count", Vec::new());
        count.rows = Some(self.target.path().clone());
        count.filter =
            Some(Expression::At { path: self.target.path().clone(), inner: Box::new(Self::inner(condition)) });
        Expr::new(Term::Aggregate(Box::new(count)))
    }

    /// This entity is one of the related ones.
    pub fn contains(&self, entity: impl RelationOperand<T>) -> Condition<R> {
        let keys = entity.into_key().into_iter().collect();
        Condition::new(Expression::Key { path: self.target.path().clone(), keys })
    }

    /// There are no related entities; also true behind a to-one relation that is missing.
    pub fn is_empty(self) -> Condition<R> {
        self.quantified(Quantifier::None, Expression::All(Vec::new()))
    }
}

impl<R: Entity, T: Entity> Clone for ToMany<R, T> {
    fn clone(&self) -> Self {
        Self { path: self.path.clone(), property: self.property, target: self.target.clone() }
    }
}

impl<R: Entity, T: Entity> Deref for ToMany<R, T> {
    type Target = T::Fields<R>;

    fn deref(&self) -> &T::Fields<R> {
        &self.target
    }
}

impl<R: Entity, T: Entity> fmt::Debug for ToMany<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToMany({:?})", self.target.path())
    }
}

/// Says whether filters let a row be seen.
pub(crate) type IsSeen<'a> = &'a dyn Fn(&'static crate::metadata::EntityMeta, &Key) -> bool;

/// A relation that `load` can follow, and what it answers with.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a relation of `{R}`",
    label = "load() takes a relation: `user.load(&em, |u| u.posts())`"
)]
pub trait LoadPath<R: Entity> {
    /// `Managed<T>`, `Option<Managed<T>>` or `Vec<Managed<T>>`.
    type Loaded: Send;

    /// The path to the target.
    fn target_path(&self) -> FieldPath;

    /// Whether the path leads to as many entities as [`Loaded`](Self::Loaded) holds.
    ///
    /// # Errors
    /// [`crate::Error::Validation`] if it leads to many, and `Loaded` is one.
    fn check(&self) -> Result<(), crate::Error> {
        Ok(())
    }

    /// What the relation of an entity refers to, after it was populated; rows that are not seen are not there.
    ///
    /// # Errors
    /// If the row that is referred to is not there.
    fn take(&self, handle: &Managed<R>, is_seen: IsSeen<'_>) -> Result<Self::Loaded, crate::Error>;
}
