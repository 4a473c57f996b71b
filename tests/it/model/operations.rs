//! Random stories: what is done, with whom by number modulo what there is when its turn comes, so that a story stays one
//! when parts of it are taken out.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::tables::{Relation, Table};

#[derive(Clone, Debug)]
pub enum Operation {
    /// `parents` choose what its relations refer to, where they must or happen to.
    Create {
        table: Table,
        persist: bool,
        parents: [u8; 2],
    },
    /// A country and its capital, at once.
    CreateCountry,
    Change {
        entity: u8,
        column: u8,
        choice: Choice,
    },
    /// Sets a to-one relation by its owning side.
    Point {
        entity: u8,
        column: u8,
        target: Option<u8>,
    },
    /// Adds to a to-many relation, or sets the inverse side of a one-to-one.
    Claim {
        relation: Relation,
        owner: u8,
        item: u8,
    },
    /// Takes out again.
    Release {
        relation: Relation,
        owner: u8,
        item: u8,
    },
    Remove {
        entity: u8,
    },
    Persist {
        entity: u8,
    },
    Flush,
    Clear,
    Refresh {
        entity: u8,
    },
    Find {
        table: Table,
    },
    Populate {
        relation: Relation,
        owner: u8,
    },
    /// An entity that `clear()` has left behind.
    PersistDetached {
        entity: u8,
    },
    Scope {
        work: Vec<Operation>,
        end: End,
    },
    FlushWith(Fault),
    CancelledFlush {
        polls: u8,
    },
    KillConnections,
    /// Somebody else changes or deletes the row.
    WrittenOutside {
        entity: u8,
        delete: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub enum Choice {
    Fresh,
    /// What the row has.
    Back,
    /// What another one has.
    Taken(u8),
    /// What the database refuses.
    Bad,
    Null,
}

/// What goes wrong on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Dies = 2,
    Conflict = 3,
    CommitConflict = 4,
    CommitDies = 5,
}

/// How a scope ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    Commit,
    CommitWith(Fault),
    Error,
    Panic,
    Dropped,
    /// Its future is polled so many times at most.
    DroppedAfter(u8),
}

fn fault() -> impl Strategy<Value = Fault> {
    select(vec![Fault::Conflict, Fault::Dies, Fault::CommitConflict, Fault::CommitDies])
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        6 => Just(End::Commit),
        4 => Just(End::Error),
        1 => Just(End::Panic),
        1 => Just(End::Dropped),
        1 => (0..24_u8).prop_map(End::DroppedAfter),
        1 => fault().prop_map(End::CommitWith),
    ]
}

/// What needs no transaction of its own.
fn step() -> impl Strategy<Value = Operation> {
    let tables = vec![
        Table::Folder,
        Table::Person,
        Table::Team,
        Table::Note,
        Table::Tag,
        Table::Badge,
        Table::Seat,
        Table::Cushion,
        Table::Folder,
        Table::Person,
        Table::Note,
    ];
    let choice = prop_oneof![
        4 => Just(Choice::Fresh),
        1 => Just(Choice::Back),
        3 => any::<u8>().prop_map(Choice::Taken),
        1 => Just(Choice::Bad),
        1 => Just(Choice::Null),
    ];
    let relation = || select(Relation::ALL.to_vec());
    prop_oneof![
        8 => (select(tables), prop::bool::weighted(0.7), any::<[u8; 2]>())
            .prop_map(|(table, persist, parents)| Operation::Create { table, persist, parents }),
        1 => Just(Operation::CreateCountry),
        6 => (any::<u8>(), any::<u8>(), choice)
            .prop_map(|(entity, column, choice)| Operation::Change { entity, column, choice }),
        6 => (any::<u8>(), any::<u8>(), prop::option::weighted(0.8, any::<u8>()))
            .prop_map(|(entity, column, target)| Operation::Point { entity, column, target }),
        6 => (relation(), any::<u8>(), any::<u8>())
            .prop_map(|(relation, owner, item)| Operation::Claim { relation, owner, item }),
        3 => (relation(), any::<u8>(), any::<u8>())
            .prop_map(|(relation, owner, item)| Operation::Release { relation, owner, item }),
        4 => any::<u8>().prop_map(|entity| Operation::Remove { entity }),
        2 => any::<u8>().prop_map(|entity| Operation::Persist { entity }),
        8 => Just(Operation::Flush),
        1 => Just(Operation::Clear),
        1 => any::<u8>().prop_map(|entity| Operation::Refresh { entity }),
        2 => select(Table::ALL.to_vec()).prop_map(|table| Operation::Find { table }),
        2 => (relation(), any::<u8>()).prop_map(|(relation, owner)| Operation::Populate { relation, owner }),
        1 => any::<u8>().prop_map(|entity| Operation::PersistDetached { entity }),
        1 => fault().prop_map(Operation::FlushWith),
        1 => (0..8_u8).prop_map(|polls| Operation::CancelledFlush { polls }),
    ]
}

fn scope(inner: BoxedStrategy<Operation>) -> BoxedStrategy<Operation> {
    (vec(inner, 0..8), end()).prop_map(|(work, end)| Operation::Scope { work, end }).boxed()
}

/// A story of twenty to forty operations.
pub fn story() -> impl Strategy<Value = Vec<Operation>> {
    let killed = || Just(Operation::KillConnections);
    let innermost = prop_oneof![60 => step(), 1 => killed()].boxed();
    let inner = prop_oneof![20 => step(), 3 => scope(innermost)].boxed();
    let outside = (any::<u8>(), prop::bool::weighted(0.3))
        .prop_map(|(entity, delete)| Operation::WrittenOutside { entity, delete });
    let outermost = prop_oneof![40 => step(), 5 => scope(inner), 1 => killed(), 1 => outside];
    vec(outermost, 20..40)
}
