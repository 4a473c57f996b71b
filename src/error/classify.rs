//! SQLSTATE → [`Error`]: the server's answer in the terms of the entities.

use tokio_postgres::error::{DbError, Severity, SqlState};

use super::Error;

/// Finds the entity and the fields that a constraint or column belongs to.
pub(crate) trait ConstraintNames {
    /// Entity, fields and columns of the constraint with this name of this table.
    fn constraint(
        &self,
        schema: &str,
        table: &str,
        constraint: &str,
    ) -> Option<(&'static str, Vec<&'static str>, Vec<String>)>;

    /// The entity of this table.
    fn table(&self, schema: &str, table: &str) -> Option<&'static str>;

    /// Entity and field of this column.
    fn column(&self, schema: &str, table: &str, column: &str) -> Option<(&'static str, &'static str)>;
}

impl Error {
    /// The error for what the driver has reported.
    pub(crate) fn from_driver(error: tokio_postgres::Error, names: &dyn ConstraintNames) -> Self {
        match error.as_db_error() {
            Some(answer) => {
                let answer = answer.clone();
                Self::from_server(&answer, Box::new(error), names)
            }
            None if error.is_closed() => Self::Connection {
                message: "the connection to the server was lost".to_owned(),
                sqlstate: None,
                source: Some(Box::new(error)),
            },
            None => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                Self::Connection { message: format!("{error}{cause}"), sqlstate: None, source: Some(Box::new(error)) }
            }
        }
    }

    fn from_server(answer: &DbError, source: Box<tokio_postgres::Error>, names: &dyn ConstraintNames) -> Self {
        let table = answer.table().unwrap_or_default().to_owned();
        let constraint = answer.constraint().unwrap_or_default().to_owned();
        let schema = answer.schema().unwrap_or_default();
        let owner = || names.constraint(schema, &table, &constraint);
        // A constraint that the entities do not declare still belongs to an entity's table.
        let entity_of = |owner: &Option<(&'static str, Vec<&'static str>, Vec<String>)>| {
            owner.as_ref().map(|o| o.0).or_else(|| names.table(schema, &table))
        };
        match answer.code() {
            &SqlState::UNIQUE_VIOLATION => {
                let owner = owner();
                let entity = entity_of(&owner);
                let (properties, columns) = owner.map(|o| (o.1, o.2.into())).unwrap_or_default();
                Self::UniqueViolation { entity, properties, constraint, table, columns, source }
            }
            &SqlState::FOREIGN_KEY_VIOLATION => {
                let owner = owner();
                let entity = entity_of(&owner);
                let (properties, columns) = owner.map(|o| (o.1, o.2.into())).unwrap_or_default();
                Self::ForeignKeyViolation { entity, properties, constraint, table, columns, source }
            }
            &SqlState::NOT_NULL_VIOLATION => {
                let column = answer.column().unwrap_or_default().to_owned();
                let owner = names.column(schema, &table, &column);
                Self::NotNullViolation {
                    entity: owner.map(|owner| owner.0),
                    properties: owner.map(|owner| vec![owner.1]).unwrap_or_default(),
                    table,
                    column,
                    source,
                }
            }
            &SqlState::CHECK_VIOLATION => {
                let owner = owner();
                let entity = entity_of(&owner);
                let properties = owner.map(|o| o.1).unwrap_or_default();
                Self::CheckViolation { entity, properties, constraint, table, source }
            }
            &SqlState::EXCLUSION_VIOLATION => {
                let entity = entity_of(&owner());
                Self::ExclusionViolation { entity, constraint, table, source }
            }
            _ if is_outdated(answer) => Self::PlanOutdated { source },
            &SqlState::T_R_SERIALIZATION_FAILURE => Self::SerializationFailure { source },
            &SqlState::T_R_DEADLOCK_DETECTED => Self::Deadlock { source },
            &SqlState::LOCK_NOT_AVAILABLE => Self::LockNotAvailable { entity: None, source: Some(source) },
            &SqlState::QUERY_CANCELED => Self::QueryCanceled { source },
            &SqlState::READ_ONLY_SQL_TRANSACTION => Self::ReadOnlyTransaction { source },
            &SqlState::IN_FAILED_SQL_TRANSACTION => Self::TransactionAborted,
            code if ends_connection(answer) => Self::Connection {
                message: format!("the server ended the connection: {}", answer.message()),
                sqlstate: Some(code.code().to_owned()),
                source: Some(source),
            },
            code => Self::Database { sqlstate: code.code().to_owned(), message: answer.message().to_owned(), source },
        }
    }
}

/// Whether a prepared statement was refused because its result would have other types than when it was prepared.
pub(crate) fn is_plan_outdated(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(is_outdated)
}

/// The name of the server's function tells it in any language.
fn is_outdated(answer: &DbError) -> bool {
    answer.code() == &SqlState::FEATURE_NOT_SUPPORTED && answer.routine() == Some("RevalidateCachedQuery")
}

/// Whether the server has closed the connection behind this answer.
fn ends_connection(answer: &DbError) -> bool {
    let code = answer.code().code();
    let fatal = matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    fatal || code.starts_with("08") || code.starts_with("57P")
}
