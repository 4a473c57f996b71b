//! The way from the entity of a query to a field: a chain of relations, without types.

use std::fmt;

use crate::metadata::EntityMeta;

/// A chain of relations that starts at an entity.
#[derive(Clone)]
pub struct FieldPath {
    root: fn() -> &'static EntityMeta,
    /// Which of the things in the FROM list it starts at; 0 for the entity that the query is of.
    source: u32,
    hops: Vec<u16>,
}

impl FieldPath {
    /// The empty path at an entity.
    pub const fn root(root: fn() -> &'static EntityMeta) -> Self {
        Self::of_source(root, 0)
    }

    /// The empty path at an entity that was joined under a name of its own.
    pub(crate) const fn of_source(root: fn() -> &'static EntityMeta, source: u32) -> Self {
        Self { root, source, hops: Vec::new() }
    }

    /// The path that goes on over the relation with this index.
    #[must_use]
    pub fn then(&self, property: u16) -> Self {
        let mut hops = Vec::with_capacity(self.hops.len() + 1);
        hops.extend_from_slice(&self.hops);
        hops.push(property);
        Self { root: self.root, source: self.source, hops }
    }

    /// The empty path at the entity where this one starts.
    #[must_use]
    pub fn starting_over(&self) -> Self {
        Self::of_source(self.root, self.source)
    }

    /// The entity where the path starts.
    pub fn start(&self) -> &'static EntityMeta {
        (self.root)()
    }

    /// Which of the things in the FROM list it starts at; 0 for the entity that the query is of.
    pub(crate) const fn source(&self) -> u32 {
        self.source
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
