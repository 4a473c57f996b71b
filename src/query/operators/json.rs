//! JSON documents: paths into them, read as Rust types, and keys.

use super::super::condition::Condition;
use super::super::expr::Expr;
use crate::entity::Entity;
use crate::metadata::ColumnType;
use crate::sql::{Bound, Operator, Term};
use crate::types::{JsonScalar, JsonType, Operand};

/// A path into a JSON document: `"address.city"`, `"lines.0.price"` (numbers count into arrays, negative ones from the
/// end), or `["a.b", "c"]` where keys have dots.
pub trait IntoJsonPath {
    /// The keys.
    fn into_keys(self) -> Vec<String>;
}

impl IntoJsonPath for &str {
    fn into_keys(self) -> Vec<String> {
        if self.is_empty() { Vec::new() } else { self.split('.').map(str::to_owned).collect() }
    }
}

impl IntoJsonPath for String {
    fn into_keys(self) -> Vec<String> {
        self.as_str().into_keys()
    }
}

impl<K: Into<String>, const N: usize> IntoJsonPath for [K; N] {
    fn into_keys(self) -> Vec<String> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<K: Into<String>> IntoJsonPath for Vec<K> {
    fn into_keys(self) -> Vec<String> {
        self.into_iter().map(Into::into).collect()
    }
}

/// JSON documents.
impl<R: Entity, V: ColumnType> Expr<R, V>
where
    V::Operand: JsonType,
{
    /// The document, as `jsonb`.
    fn document(&self) -> Term {
        match &self.term {
            // A part of a document is `jsonb` already.
            part @ Term::Infix { .. } => part.clone(),
            term => term.clone().cast("jsonb"),
        }
    }

    fn key(&self, operator: Operator, keys: Bound) -> Condition<R> {
        Expr::<R, V>::new(self.document()).compare(operator, Term::Bound(keys))
    }

    /// The part of the document at a path. It is NULL where nothing is at the path, so that `is_not_null()` asks whether there
    /// is something; JSON's `null` is something: `.json("a").eq(Value::Null)`.
    pub fn json(&self, path: impl IntoJsonPath) -> Expr<R, Option<serde_json::Value>> {
        let keys = Term::Bound(Bound::one(&path.into_keys()));
        Expr::new(Term::infix(self.document(), "#>", keys))
    }

    /// The document (or the part of it that a path leads to) as a Rust type: `.json("a.b").as_::<i32>()`.
    ///
    /// It is NULL where nothing is at the path, where JSON's `null` is, and, of numbers and `bool`, where a value of another
    /// JSON type is. A `String` is the text of any value (`#>>`). Dates, times and `Uuid`s are read from strings; one that
    /// is malformed is an error of the server.
    pub fn as_<T: JsonScalar>(&self) -> Expr<R, Option<T>> {
        let terms = T::READ.iter().skip(1).map(|_| self.document());
        Expr::new(Term::template(T::READ, terms))
    }

    /// `?`: the object has this key, or the array this string. Other values have none.
    pub fn has_key(&self, key: impl Operand<String>) -> Condition<R> {
        self.key(Operator::HasKey, Bound::one(&key.into_operand()))
    }

    /// `?|`: it has one of these keys at least.
    pub fn has_any_key(&self, keys: impl IntoIterator<Item = impl Operand<String>>) -> Condition<R> {
        let keys: Vec<String> = keys.into_iter().map(Operand::into_operand).collect();
        self.key(Operator::HasAnyKey, Bound::one(&keys))
    }

    /// `?&`: it has all of these keys.
    pub fn has_all_keys(&self, keys: impl IntoIterator<Item = impl Operand<String>>) -> Condition<R> {
        let keys: Vec<String> = keys.into_iter().map(Operand::into_operand).collect();
        self.key(Operator::HasAllKeys, Bound::one(&keys))
    }
}
