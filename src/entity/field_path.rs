//! The way from the entity of a query to a field: a chain of relations, without types.

use std::fmt;

use crate::metadata::EntityMeta;

/// A chain of relations that starts at an entity.
#[derive(Clone)]
pub struct FieldPath {
    root: fn() -> &'static EntityMeta,
    hops: Vec<u16>,
}

impl FieldPath {
    /// The empty path at an entity.
    pub const fn root(root: fn() -> &'static EntityMeta) -> Self {
        Self { root, hops: Vec::new() }
    }

    /// The path that goes on over the relation with this index.
    #[must_use]
    pub fn then(&self, property: u16) -> Self {
        let mut hops = Vec::with_capacity(self.hops.len() + 1);
        hops.extend_from_slice(&self.hops);
        hops.push(property);
        Self { root: self.root, hops }
    }

    /// The empty path at the entity where this one starts.
    #[must_use]
    pub fn starting_over(&self) -> Self {
        Self::root(self.root)
    }

    /// The entity where the path starts.
    pub fn start(&self) -> &'static EntityMeta {
        (self.root)()
    }

    /// The indexes of the relations.
    pub fn hops(&self) -> &[u16] {
        &self.hops
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut meta = self.start();
        f.write_str(meta.name)?;
        for hop in &self.hops {
            let Some(property) = meta.properties.get(usize::from(*hop)) else { break };
            write!(f, ".{}", property.name)?;
            if let Some(relation) = property.as_relation() {
                meta = (relation.target)();
            }
        }
        Ok(())
    }
}

/// The typed paths to an entity's fields (`UserFields<R>`), made at the end of a path.
pub trait FieldSet: Clone {
    /// The fields of the entity at the end of `path`.
    fn at(path: FieldPath) -> Self;

    /// The path to the entity whose fields these are.
    fn path(&self) -> &FieldPath;
}
