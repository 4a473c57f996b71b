//! The path to a lazy column: an expression like every column, and something to load.

use std::any::Any;
use std::fmt;
use std::ops::Deref;

use super::column::Column;
use super::path::{IsSeen, LoadPath};
use super::populate::{Populate, PopulatePath, PopulateRequest};
use crate::entity::{Entity, FieldPath, Lazy, Managed};
use crate::error::Error;
use crate::metadata::ColumnType;

/// A [`Lazy`] column. Conditions and orders are those of every [`Column`]; `load` and `populate` read it.
pub struct LazyColumn<R: Entity, C> {
    column: Column<R, C>,
}

impl<R: Entity, C> LazyColumn<R, C> {
    /// The column with this property index at the end of a path.
    #[doc(hidden)]
    pub fn new(path: &FieldPath, property: u16) -> Self {
        Self { column: Column::new(path, property) }
    }

    /// The column as one that is like every other.
    pub fn column(&self) -> Column<R, C> {
        self.column.clone()
    }

    fn path(&self) -> FieldPath {
        self.column.path().then(self.column.property())
    }
}

impl<R: Entity, C> Deref for LazyColumn<R, C> {
    type Target = Column<R, C>;

    fn deref(&self) -> &Column<R, C> {
        &self.column
    }
}

impl<R: Entity, C> Clone for LazyColumn<R, C> {
    fn clone(&self) -> Self {
        Self { column: self.column.clone() }
    }
}

impl<R: Entity, C> fmt::Debug for LazyColumn<R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt(f)
    }
}

impl<R: Entity, C: ColumnType> LoadPath<R> for LazyColumn<R, C> {
    type Loaded = C;

    fn target_path(&self) -> FieldPath {
        self.path()
    }

    fn check(&self) -> Result<(), Error> {
        if self.column.path().hops().is_empty() {
            return Ok(());
        }
        let message =
            format!("cannot load {:?} from here: load it from the entity that has it, or populate it", self.path());
        Err(Error::validation(R::meta().name, message))
    }

    fn take(&self, handle: &Managed<R>, _: IsSeen<'_>) -> Result<C, Error> {
        let fields = handle.try_read()?;
        let value = fields.property_at(usize::from(self.column.property()));
        let lazy = (value as &dyn Any).downcast_ref::<Lazy<C>>();
        // Of a row that is gone meanwhile nothing was read.
        lazy.map_or_else(|| Err(Error::Detached { entity: R::meta().name }), |lazy| lazy.get().cloned())
    }
}

impl<R: Entity, C: ColumnType> PopulatePath<R> for LazyColumn<R, C> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn request(self) -> PopulateRequest {
        PopulateRequest::Hops(self.path().hops().to_vec())
    }
}

impl<R: Entity, C: ColumnType> Populate<R> for LazyColumn<R, C> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_requests(self, requests: &mut Vec<PopulateRequest>) {
        requests.push(self.request());
    }
}
