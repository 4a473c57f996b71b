//! What a program that uses entities imports: `use howdah::prelude::*;`.

pub use crate::functions::raw;
pub use crate::{
    Collection, Condition, DbEnum, Entity, EntityManager, EntityState, Error, Filter, Find, FlushMode, FlushSummary,
    IsolationLevel, Json, Lazy, LoadStrategy, LockMode, Managed, Orm, Projection, Propagation, Ref, Subquery,
    TransactionOptions, TupleOperators, entities,
};
pub use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
pub use serde::{Deserialize, Serialize};
pub use uuid::Uuid;
