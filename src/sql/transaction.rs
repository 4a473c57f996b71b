//! The statements that begin and end transactions and savepoints.

/// Begins a transaction.
pub(crate) const BEGIN: &str = "BEGIN";

/// Ends a transaction. The empty SELECT fails if a statement of the transaction has failed; then COMMIT, which would
/// "succeed" as a ROLLBACK, is not reached (rule C10).
pub(crate) const COMMIT: &str = "SELECT; COMMIT";

/// Undoes a transaction.
pub(crate) const ROLLBACK: &str = "ROLLBACK";

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
