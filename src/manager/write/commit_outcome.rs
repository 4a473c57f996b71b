//! What has become of a transaction whose COMMIT was sent.

use crate::driver::{Answer, CommitFailure};
use crate::error::Error;
use crate::manager::Shared;

/// Finds out whether a transaction was committed whose connection was lost (rule C11).
pub(super) async fn resolve(
    orm: &Shared,
    answers: Result<Vec<Answer>, CommitFailure>,
) -> Result<Vec<Answer>, (Error, Option<usize>)> {
    match answers {
        Ok(answers) => Ok(answers),
        Err(CommitFailure::RolledBack { error, statement }) => Err((error, statement)),
        Err(CommitFailure::Unknown { source, number, answers }) => {
            let is_committed = match &number {
                // In a box, like everything that is rare: what every flush holds stays small.
                Some(number) => Box::pin(orm.pool.is_committed(number)).await,
                None => None,
            };
            match (is_committed, answers) {
                (Some(true), Some(answers)) => Ok(answers),
                (Some(false), _) => {
                    let message =
                        "the connection to the server was lost, and the transaction is rolled back".to_owned();
                    Err((Error::Connection { message, sqlstate: None, source: Some(source) }, None))
                }
                (Some(true) | None, _) => Err((Error::CommitOutcomeUnknown { source }, None)),
            }
        }
    }
}
