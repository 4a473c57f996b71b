//! What the managers of one [`Orm`](crate::Orm) share.

use std::sync::Arc;

use super::cache::Results;
use super::keys::KeySource;
use crate::driver::Pool;
use crate::metadata::Metadata;
use crate::query::{Filter, FlushMode, LoadStrategy};
use crate::sql::StatementTexts;
use crate::unit_of_work::CommitOrder;

/// What the managers of an Orm share.
pub(crate) struct Shared {
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) pool: Pool,
    pub(crate) texts: StatementTexts,
    pub(crate) order: CommitOrder,
    pub(crate) keys: KeySource,
    /// How relations are loaded where a query does not say.
    pub(crate) strategy: LoadStrategy,
    /// The filters of all managers.
    pub(crate) filters: Vec<Filter>,
    /// Results that are kept for a while.
    pub(crate) results: Arc<Results>,
    /// What managers begin with.
    pub(crate) flush_mode: FlushMode,
}
