//! The constraints of the reference model: what the database looks at when a flush is done.

use std::collections::{BTreeMap, BTreeSet};

use super::reference::{Model, Problem, Repair};
use super::tables::{AGE, Id, Table, Value};

impl Model {
    /// The constraints that the rows violate. `inserted` and `before` tell which of two rows is the newcomer.
    pub fn violations(&self, inserted: &BTreeSet<Id>, before: &Self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut taken: BTreeMap<(Table, &[usize], Vec<&Value>), Id> = BTreeMap::new();
        for (id, row) in &self.rows {
            let definition = row.table.definition();
            for (index, column) in definition.columns.iter().enumerate() {
                if row.fields[index] == Value::Null && !column.nullable {
                    problems.push(Problem { kinds: &["NotNullViolation"], repair: Repair::Assign(*id, index) });
                }
            }
            for (index, _) in row.table.references() {
                if let Value::Row(target) = row.fields[index]
                    && !self.rows.contains_key(&target)
                {
                    problems.push(Problem { kinds: &["ForeignKeyViolation"], repair: Repair::Keep(target) });
                }
            }
            if row.table == Table::Person && matches!(row.fields[AGE], Value::Int(age) if age < 0) {
                problems.push(Problem { kinds: &["CheckViolation"], repair: Repair::Assign(*id, AGE) });
            }
            for columns in definition.unique {
                let values: Vec<&Value> = columns.iter().map(|column| &row.fields[*column]).collect();
                if values.contains(&&Value::Null) {
                    continue;
                }
                let Some(other) = taken.insert((row.table, columns, values), *id) else { continue };
                // Somebody has come to where the other one is: a new row, or one that had other values.
                let moved = |id: &Id| {
                    let was = before.rows.get(id).map(|row| &row.fields);
                    inserted.contains(id)
                        || columns
                            .iter()
                            .any(|column| was.map(|was| &was[*column]) != Some(&self.rows[id].fields[*column]))
                };
                let who = if moved(id) { *id } else { other };
                let last = columns[columns.len() - 1];
                // Whose key is changed to that of a row which is loaded is told before anything is sent.
                let is_key = definition.key_columns == *columns;
                let kinds: &[&str] = if is_key { &["UniqueViolation", "Validation"] } else { &["UniqueViolation"] };
                problems.push(Problem { kinds, repair: Repair::Assign(who, last) });
            }
        }
        problems
    }
}
