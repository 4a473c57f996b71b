//! Which tables a flush writes: by itself, or by what the server does along with it.

use super::*;
use crate::metadata::{KeyRule, Metadata};

/// A table: its schema and its name.
pub(crate) type TableName<'m> = (Option<&'m str>, &'m str);

impl ChangeSet {
    /// The tables that are written, those included whose rows are deleted or changed by the actions of foreign keys.
    pub(crate) fn tables<'m>(&self, metadata: &'m Metadata) -> FxHashSet<TableName<'m>> {
        let mut written: FxHashSet<usize> = self.rows.iter().map(|row| row.entity).collect();
        written.extend(self.removals.iter().map(|removal| removal.entity));
        let mut tables = FxHashSet::default();
        let mut add_pivot = |entity: usize, property: usize| {
            let pivot = metadata.entities[entity].relation(property).and_then(|relation| relation.pivot.as_ref());
            tables.extend(pivot.map(|pivot| (pivot.schema.as_deref(), pivot.table.as_str())));
        };
        for link in &self.links {
            if !(link.linked.is_empty() && link.placed.is_empty() && link.unlinked.is_empty()) {
                add_pivot(link.entity, link.property);
            }
        }
        self.clears.iter().for_each(|clear| add_pivot(clear.entity, clear.property));
        let deleted = self.rows.iter().filter(|row| row.kind == ChangeKind::Delete).map(|row| row.entity);
        let mut deleted: FxHashSet<usize> = deleted.chain(self.removals.iter().map(|row| row.entity)).collect();
        let mut rekeyed = self.keys.entities(metadata);
        // What the server deletes or changes may be what others refer to.
        loop {
            let before = (written.len(), deleted.len(), rekeyed.len());
            for entity in &metadata.entities {
                for (property, relation) in entity.relations() {
                    let (is_deleted, is_rekeyed) =
                        (deleted.contains(&relation.target), rekeyed.contains(&relation.target));
                    if relation.pivot.is_some() && (deleted.contains(&entity.index) || rekeyed.contains(&entity.index))
                    {
                        add_pivot(entity.index, property);
                    }
                    if !relation.is_owning_to_one() {
                        continue;
                    }
                    let action = relation.meta.on_delete.unwrap_or_default().to_ascii_lowercase();
                    if is_deleted && action.starts_with("cascade") {
                        deleted.insert(entity.index);
                        written.insert(entity.index);
                    } else if is_deleted && action.starts_with("set") {
                        written.insert(entity.index);
                    }
                    if is_rekeyed && relation.key_rule() != KeyRule::Check {
                        written.insert(entity.index);
                        if entity.key_properties.contains(&property) {
                            rekeyed.insert(entity.index);
                        }
                    }
                }
            }
            if before == (written.len(), deleted.len(), rekeyed.len()) {
                break;
            }
        }
        tables.extend(written.into_iter().map(|entity| {
            let entity = &metadata.entities[entity];
            (entity.schema.as_deref(), entity.table.as_str())
        }));
        tables
    }
}
