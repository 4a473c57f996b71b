//! The statements that begin and end transactions and savepoints.

use super::identifier::{push_list, push_table};

/// Begins a transaction.
pub(crate) const BEGIN: &str = "BEGIN";

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

/// Begins a savepoint.
pub(crate) fn savepoint(number: u64) -> String {
    format!("SAVEPOINT howdah_{number}")
}

/// Ends a savepoint.
pub(crate) fn release(number: u64) -> String {
    format!("RELEASE SAVEPOINT howdah_{number}")
}

/// Undoes a savepoint and ends it.
pub(crate) fn rollback_to(number: u64) -> String {
    format!("ROLLBACK TO SAVEPOINT howdah_{number}; RELEASE SAVEPOINT howdah_{number}")
}
