//! What a relation refers to once it is populated.

use std::sync::Arc;

use super::path::{IsSeen, LoadPath, ToMany, ToOne};
use crate::entity::{Entity, FieldPath, FieldSet, Managed};
use crate::error::Error;
use crate::metadata::{AnyCell, EntityMeta, PropertyMeta, ReferenceTarget};

impl<R: Entity, T: Entity> LoadPath<R> for ToOne<R, T, Managed<T>> {
    type Loaded = Managed<T>;

    fn target_path(&self) -> FieldPath {
        self.fields().path().clone()
    }

    fn check(&self) -> Result<(), Error> {
        leads_to_one(&self.target_path())
    }

    fn take(&self, handle: &Managed<R>, is_seen: IsSeen<'_>) -> Result<Managed<T>, Error> {
        let path = self.target_path();
        let missing = Error::NotFound { entity: T::meta().name, criteria: format!("{path:?} of {handle:?}") };
        follow(handle, &path, is_seen)?.into_iter().next().ok_or(missing)
    }
}

impl<R: Entity, T: Entity> LoadPath<R> for ToOne<R, T, Option<Managed<T>>> {
    type Loaded = Option<Managed<T>>;

    fn target_path(&self) -> FieldPath {
        self.fields().path().clone()
    }

    fn check(&self) -> Result<(), Error> {
        leads_to_one(&self.target_path())
    }

    fn take(&self, handle: &Managed<R>, is_seen: IsSeen<'_>) -> Result<Option<Managed<T>>, Error> {
        Ok(follow(handle, &self.target_path(), is_seen)?.into_iter().next())
    }
}

impl<R: Entity, T: Entity> LoadPath<R> for ToMany<R, T> {
    type Loaded = Vec<Managed<T>>;

    fn target_path(&self) -> FieldPath {
        self.fields().path().clone()
    }

    fn take(&self, handle: &Managed<R>, is_seen: IsSeen<'_>) -> Result<Vec<Managed<T>>, Error> {
        follow(handle, &self.target_path(), is_seen)
    }
}

/// A to-one relation behind a to-many one leads to many entities; answering with one of them would hide the others.
fn leads_to_one(path: &FieldPath) -> Result<(), Error> {
    let mut meta = path.start();
    for hop in path.hops() {
        let Some(relation) = meta.properties.get(usize::from(*hop)).and_then(PropertyMeta::as_relation) else { break };
        if relation.kind.is_to_many() {
            let message =
                format!("cannot load {path:?}: it leads to many entities; load the collection, or populate it");
            return Err(Error::validation(path.start().name, message));
        }
        meta = (relation.target)();
    }
    Ok(())
}

/// The entities at the end of a path of loaded relations, each once.
fn follow<R: Entity, T: Entity>(
    handle: &Managed<R>,
    path: &FieldPath,
    is_seen: IsSeen<'_>,
) -> Result<Vec<Managed<T>>, Error> {
    let mut meta: &'static EntityMeta = path.start();
    let mut cells: Vec<Arc<dyn AnyCell>> = vec![handle.any()];
    for hop in path.hops() {
        let index = usize::from(*hop);
        let Some(relation) = meta.properties.get(index).and_then(PropertyMeta::as_relation) else { break };
        let target = (relation.target)();
        let mut next: Vec<Arc<dyn AnyCell>> = Vec::new();
        for cell in &cells {
            let mut reached = Vec::new();
            let mut is_missing = false;
            cell.read(&mut |view| {
                let value = view.value.property(index);
                if let Some(collection) = value.as_collection() {
                    match collection.cells() {
                        Some(cells) if !collection.is_partial() => reached.extend(cells),
                        _ => is_missing = true,
                    }
                } else if let Some(reference) = value.as_reference() {
                    match reference.target() {
                        ReferenceTarget::Key(key) if !is_seen(target, &key) => {}
                        ReferenceTarget::Key(key) => reached.extend(handle.graph.lookup(target, &key)),
                        ReferenceTarget::Cell(cell) => reached.push(cell),
                        ReferenceTarget::Nothing | ReferenceTarget::Lost => {}
                    }
                }
            })?;
            // Another task may have changed what was loaded: what is not known is no empty list (rule E4).
            if is_missing {
                let relation = meta.properties.get(index).map_or("", |property| property.name);
                return Err(Error::NotLoaded { entity: meta.name, relation });
            }
            for cell in reached {
                if !next.iter().any(|other| Arc::ptr_eq(other, &cell)) {
                    next.push(cell);
                }
            }
        }
        cells = next;
        meta = target;
    }
    let graph = &handle.graph;
    Ok(cells.into_iter().filter_map(|cell| Managed::from_cell(cell, Arc::clone(graph))).collect())
}
