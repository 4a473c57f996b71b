//! How relations are loaded along.

/// How the relations that are populated are loaded. What is found is the same whatever the strategy is; statements and
/// round trips differ, for a tree of relations of depth d:
///
/// | strategy | statements | round trips |
/// |---|---|---|
/// | [`Balanced`](Self::Balanced) | one, and one or two for each to-many relation | one, and one for each depth with a to-many relation |
/// | [`SelectIn`](Self::SelectIn) | one, and one or two for each relation | at most d + 1 |
/// | [`Joined`](Self::Joined) | one | one |
/// | [`Pipelined`](Self::Pipelined) | one, and one or two for each relation | one |
///
/// A many-to-many relation takes two statements in one flight: its links, and the rows that they lead to, each once. The
/// default is that of the [`OrmBuilder`](crate::OrmBuilder::load_strategy).
///
/// `Balanced` and `SelectIn` ask for what is missing only: a row that is loaded already is not read again by a to-one
/// relation that leads to it, except where that is joined. With a pessimistic lock every strategy is `SelectIn`, so that
/// relations are read behind the lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoadStrategy {
    /// To-one relations are joined, to-many relations are queries with the keys of all owners: `… = ANY($1)`. The default.
    #[default]
    Balanced,
    /// Every relation is a query with keys, `… = ANY($1)`; all relations of one depth share a flight.
    SelectIn,
    /// One statement: to-one relations are joined, to-many relations are selected beside each other, so that siblings are
    /// not multiplied. All rows are as of one moment.
    Joined,
    /// A statement a relation, in which the condition of its parent is repeated, all in one flight: in a `REPEATABLE READ
    /// READ ONLY` transaction, as of one moment, or in the transaction that is open.
    Pipelined,
}

impl LoadStrategy {
    /// Whether to-one relations are part of their owner's statement.
    pub(crate) const fn joins(self) -> bool {
        matches!(self, Self::Balanced | Self::Joined)
    }

    /// Whether a tree is asked for as a whole, and not depth by depth.
    pub(crate) const fn is_whole(self) -> bool {
        matches!(self, Self::Joined | Self::Pipelined)
    }
}
