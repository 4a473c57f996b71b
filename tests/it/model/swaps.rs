//! Which flushes the library may refuse though they would end well: rows that exchange values of a unique column that must
//! not be NULL, so that none of them can let go first (rule C8).

use std::collections::{BTreeMap, BTreeSet};

use super::reference::{Flushed, Model, Repair};
use super::tables::{Id, Table, Value};

/// What would make the flush one that must not be refused, if it is not.
pub fn swap(before: &Model, flushed: &Flushed) -> Option<Repair> {
    let handovers = handovers(before, flushed);
    let mut behind: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
    for (giver, taker, _) in &handovers {
        behind.entry(*giver).or_default().insert(*taker);
    }
    let written =
        |id: &Id| [&flushed.inserted, &flushed.updated, &flushed.deleted].into_iter().any(|rows| rows.contains(id));
    // What is referred to is inserted before; what refers to something is gone before that is deleted.
    for (id, row) in flushed.model.rows.iter().filter(|(id, _)| written(id)) {
        for target in targets(row.table, &row.fields).filter(|target| flushed.inserted.contains(target)) {
            behind.entry(target).or_default().insert(*id);
        }
    }
    for (id, row) in before.rows.iter().filter(|(id, _)| written(id)) {
        for target in targets(row.table, &row.fields).filter(|target| flushed.deleted.contains(target)) {
            behind.entry(*id).or_default().insert(target);
        }
    }
    let in_circle = handovers.into_iter().find(|(giver, taker, _)| reaches(&behind, *taker, *giver));
    in_circle.map(|(_, taker, column)| Repair::Assign(taker, column))
}

/// Who takes a unique value of whom, in which column; where none of the columns can be NULL.
fn handovers(before: &Model, flushed: &Flushed) -> Vec<(Id, Id, usize)> {
    let mut handovers = Vec::new();
    for (taker, row) in &flushed.model.rows {
        let definition = row.table.definition();
        let fixed = definition
            .unique
            .iter()
            .filter(|columns| columns.iter().all(|column| !definition.columns[*column].nullable));
        for columns in fixed {
            let givers = before.rows.iter().filter(|(giver, old)| {
                *giver != taker
                    && old.table == row.table
                    && columns.iter().all(|column| old.fields[*column] == row.fields[*column])
            });
            handovers.extend(givers.map(|(giver, _)| (*giver, *taker, columns[columns.len() - 1])));
        }
    }
    handovers
}

fn targets(table: Table, fields: &[Value]) -> impl Iterator<Item = Id> {
    table.references().filter_map(|(column, _)| match fields[column] {
        Value::Row(target) => Some(target),
        _ => None,
    })
}

fn reaches(behind: &BTreeMap<Id, BTreeSet<Id>>, from: Id, to: Id) -> bool {
    let mut seen = BTreeSet::new();
    let mut queue = vec![from];
    while let Some(id) = queue.pop() {
        if id == to {
            return true;
        }
        if seen.insert(id) {
            queue.extend(behind.get(&id).into_iter().flatten());
        }
    }
    false
}
