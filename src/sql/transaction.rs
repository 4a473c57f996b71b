//! The statements that begin and end transactions and savepoints.

use super::identifier::{push_identifier, push_list, push_table};

/// What a transaction sees of others, and what it does when they conflict.
///
/// PostgreSQL's default is [`ReadCommitted`](Self::ReadCommitted), unless the server is configured otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IsolationLevel {
    /// In PostgreSQL the same as [`ReadCommitted`](Self::ReadCommitted): what is not committed is never seen.
    ReadUncommitted,
    /// Each statement sees what was committed before it began.
    ReadCommitted,
    /// All statements see what was committed before the first one began. Writing a row that somebody else has changed since is
    /// [`Error::SerializationFailure`](crate::Error::SerializationFailure).
    RepeatableRead,
    /// As if transactions ran one after the other; where that is impossible, one of them is answered
    /// [`Error::SerializationFailure`](crate::Error::SerializationFailure).
    Serializable,
}

impl IsolationLevel {
    const fn sql(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "READ UNCOMMITTED",
            Self::ReadCommitted => "READ COMMITTED",
            Self::RepeatableRead => "REPEATABLE READ",
            Self::Serializable => "SERIALIZABLE",
        }
    }
}

/// What a transaction is begun with: the default is whatever the server's settings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TransactionOptions {
    pub(crate) isolation: Option<IsolationLevel>,
    pub(crate) read_only: bool,
    pub(crate) deferrable: bool,
}

impl TransactionOptions {
    /// No options: a plain `BEGIN`.
    #[must_use]
    pub const fn new() -> Self {
        Self { isolation: None, read_only: false, deferrable: false }
    }

    /// The isolation level.
    #[must_use]
    pub const fn isolation(mut self, level: IsolationLevel) -> Self {
        self.isolation = Some(level);
        self
    }

    /// The server refuses to write: a flush that has something to write is
    /// [`Error::ReadOnlyTransaction`](crate::Error::ReadOnlyTransaction).
    #[must_use]
    pub const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Waits, at the first statement, until the transaction can run without conflicts. Only of effect together with
    /// [`IsolationLevel::Serializable`] and [`read_only`](Self::read_only).
    #[must_use]
    pub const fn deferrable(mut self) -> Self {
        self.deferrable = true;
        self
    }
}

/// Begins a transaction.
pub(crate) fn begin(options: TransactionOptions) -> String {
    let mut text = "BEGIN".to_owned();
    if let Some(level) = options.isolation {
        text.push_str(" ISOLATION LEVEL ");
        text.push_str(level.sql());
    }
    if options.read_only {
        text.push_str(" READ ONLY");
    }
    if options.deferrable {
        text.push_str(" DEFERRABLE");
    }
    text
}

/// Makes a savepoint read-only, until it ends.
pub(crate) const READ_ONLY: &str = "SET TRANSACTION READ ONLY";

/// Ends a transaction. If a statement of the transaction has failed, it "succeeds" as a ROLLBACK (rule C10).
pub(crate) const COMMIT: &str = "COMMIT";

/// The number of the transaction, NULL if it has not written: what [`STATUS`] is asked for if the answer to COMMIT is lost
/// (rule C11). A query of its own: its answer is on the wire before COMMIT is carried out. It fails if a statement of the
/// transaction has failed, which COMMIT would not tell (rule C10).
pub(crate) const NUMBER: &str = "SELECT pg_current_xact_id_if_assigned()";

/// What has become of the transaction with the number in `$1`.
pub(crate) const STATUS: &str = "SELECT pg_xact_status($1::text::xid8)";

/// Undoes a transaction.
pub(crate) const ROLLBACK: &str = "ROLLBACK";

/// Has deferrable constraints of this schema (of the search path, if there is none) checked at the end of the transaction,
/// or at the end of every statement again, and now.
pub(crate) fn set_constraints(schema: Option<&str>, names: &[String], deferred: bool) -> String {
    let mut text = "SET CONSTRAINTS ".to_owned();
    push_list(&mut text, names, |text, name| push_table(text, schema, name));
    text.push_str(if deferred { " DEFERRED" } else { " IMMEDIATE" });
    text
}

/// The identifier of a savepoint, quoted where it has a label: its number keeps it apart from others with the same label.
pub(crate) fn savepoint_name(number: u64, label: Option<&str>) -> String {
    let mut name = format!("howdah_{number}");
    let Some(label) = label else { return name };
    name.push(' ');
    for character in label.chars() {
        // The server would cut it off, with a notice, and does not take a NUL.
        if name.len() + character.len_utf8() > MAX_IDENTIFIER_BYTES {
            break;
        }
        name.push(if character == '\0' { ' ' } else { character });
    }
    let mut quoted = String::new();
    push_identifier(&mut quoted, &name);
    quoted
}

const MAX_IDENTIFIER_BYTES: usize = 63;

/// Begins a savepoint.
pub(crate) fn savepoint(name: &str) -> String {
    format!("SAVEPOINT {name}")
}

/// Ends a savepoint.
pub(crate) fn release(name: &str) -> String {
    format!("RELEASE SAVEPOINT {name}")
}

/// Undoes a savepoint and ends it.
pub(crate) fn rollback_to(name: &str) -> String {
    format!("ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_part_of_begin() {
        assert_eq!(begin(TransactionOptions::new()), "BEGIN");
        let all = TransactionOptions::new().isolation(IsolationLevel::Serializable).read_only().deferrable();
        assert_eq!(begin(all), "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE");
    }

    #[test]
    fn any_label_makes_a_name_of_its_own() {
        assert_eq!(savepoint_name(3, None), "howdah_3");
        assert_eq!(savepoint_name(3, Some("before-bulk")), "\"howdah_3 before-bulk\"");
        assert_eq!(savepoint_name(3, Some("a\"; DROP TABLE t; --\0")), "\"howdah_3 a\"\"; DROP TABLE t; -- \"");
        let long = savepoint_name(3, Some(&"ä".repeat(100)));
        assert_eq!(long.trim_matches('"').len(), 63);
        assert_eq!(savepoint_name(4, Some(&"ä".repeat(100))), format!("\"howdah_4 {}\"", "ä".repeat(27)));
    }
}
