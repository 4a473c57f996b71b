//! Entities whose rows were written past the unit of work: what they show may not be what the database has. They are read again when
//! they are found.

use rustc_hash::FxHashSet;

use super::UnitOfWork;
use crate::types::Key;

impl UnitOfWork {
    /// Notes that the rows of loaded entities were written: those with these keys, or all of the type.
    pub(crate) fn mark_stale(&self, entity: usize, keys: Option<&[Key]>) {
        let cells = match keys {
            Some(keys) => keys.iter().filter_map(|key| self.find(entity, key)).collect(),
            None => self.map.lock().all(entity),
        };
        for cell in cells {
            cell.set_stale(true);
        }
    }

    /// Notes that rows were deleted: those that refer to them may be gone, too, or refer to nothing.
    pub(crate) fn mark_dependents_stale(&self, deleted: usize) {
        let mut seen = FxHashSet::default();
        let mut queue = vec![deleted];
        while let Some(target) = queue.pop() {
            for entity in &self.metadata.entities {
                let actions = entity.relations().filter(|(_, relation)| relation.target == target);
                for action in actions.filter_map(|(_, relation)| relation.meta.on_delete) {
                    if !matches!(action, "cascade" | "set null" | "set default") {
                        continue;
                    }
                    if seen.insert((entity.index, action)) {
                        self.mark_stale(entity.index, None);
                        if action == "cascade" {
                            queue.push(entity.index);
                        }
                    }
                }
            }
        }
    }
}
