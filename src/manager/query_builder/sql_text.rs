//! The statement of a query, to be looked at.

use std::fmt;

use super::QueryBuilder;
use crate::entity::Entity;
use crate::error::Error;
use crate::sql;

/// The statement that a query sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlText {
    /// The text, with `$1`, `$2`, … for the values.
    pub text: String,
    /// The values, in the order of their numbers.
    pub parameters: Vec<SqlParameter>,
}

/// A value that is bound to a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlParameter {
    /// The PostgreSQL type, as in `int8[]`.
    pub type_name: &'static str,
    /// The value as PostgreSQL would write it (of a type that has no text here, its bytes in hexadecimal); `None` is NULL.
    pub value: Option<String>,
}

impl fmt::Display for SqlParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.value.as_deref().unwrap_or("NULL"))
    }
}

impl<T: Entity, O> QueryBuilder<T, O> {
    /// The statement and its values. Sends nothing.
    ///
    /// # Errors
    /// [`Error::Validation`] for what cannot be asked, [`Error::Conversion`] for a value that PostgreSQL cannot hold.
    pub fn to_sql(&self) -> Result<SqlText, Error> {
        let statement = sql::query(&self.em.view_of(self.query.selection.meta, &self.options)?, &self.query)?;
        let parameters = statement.params.iter().map(|param| {
            let (type_name, value) = param.describe();
            SqlParameter { type_name, value }
        });
        Ok(SqlText { parameters: parameters.collect(), text: statement.text.to_string() })
    }
}
