//! The value of a to-one relation: a key, or an entity that has none yet.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Weak};

use serde::{Serialize, Serializer};

use super::{Cell, CellLink, Entity, Managed};
use crate::error::Error;
use crate::metadata::{AnyCell, AnyReference, GraphLink, Property, ReferenceTarget, RowLink};
use crate::types::{EntityKey, Key, KeyPart, RowReader};

/// A reference to an entity: what a to-one relation holds.
///
/// It knows the key, and finds the entity once that is loaded: [`get`](Self::get) never touches the database. Made by
/// [`Managed::to_ref`] and [`EntityManager::get_reference`](crate::EntityManager::get_reference).
pub struct Ref<T: Entity> {
    target: Target<T>,
}

enum Target<T: Entity> {
    /// A row, and the graph in which it is looked for.
    Row(T::Id, GraphLink),
    /// An entity of a graph, perhaps without a key.
    Cell(CellLink<T>),
}

impl<T: Entity> Clone for Target<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Row(id, graph) => Self::Row(id.clone(), graph.clone()),
            Self::Cell(cell) => Self::Cell(cell.clone()),
        }
    }
}

impl<T: Entity> Ref<T> {
    /// A reference to the row with this key, in this graph.
    pub(crate) fn to_row(id: T::Id, graph: GraphLink) -> Self {
        Self { target: Target::Row(id, graph) }
    }

    /// A reference to an entity.
    pub(crate) fn to_cell(cell: &Arc<Cell<T>>) -> Self {
        match cell.key().and_then(|key| T::Id::from_key(&key)) {
            Some(id) => Self::to_row(id, cell.graph().clone()),
            None => Self { target: Target::Cell(CellLink::new(cell)) },
        }
    }

    /// A reference to the row with this key; `None` if it is a key of another type.
    pub(super) fn from_key(key: &Key, graph: GraphLink) -> Option<Self> {
        T::Id::from_key(key).map(|id| Self::to_row(id, graph))
    }

    /// The row, or the entity that the reference was made to before it had a key.
    pub(crate) fn row(&self) -> Result<RowLink, Weak<dyn AnyCell>> {
        match &self.target {
            Target::Row(id, graph) => Ok(RowLink { meta: T::meta(), key: id.to_key(), graph: graph.clone() }),
            Target::Cell(cell) => Err(cell.to_weak()),
        }
    }

    /// The key of the entity. Never touches the database. Of a new entity whose key the database makes: what the
    /// entity's key field holds, 0.
    ///
    /// # Panics
    /// If the entity is new and this thread holds a write guard of it, or if it was dropped with its manager before it
    /// was flushed.
    #[track_caller]
    pub fn id(&self) -> T::Id {
        match self.try_id() {
            Ok(id) => id,
            Err(error) => lost(&error),
        }
    }

    /// Like [`id`](Self::id), with an error instead of the panic.
    ///
    /// # Errors
    /// [`Error::EntityBorrowed`], or [`Error::Detached`] if the entity is gone.
    pub fn try_id(&self) -> Result<T::Id, Error> {
        match &self.target {
            Target::Row(id, _) => Ok(id.clone()),
            Target::Cell(cell) => {
                let cell = cell.upgrade().ok_or(Error::Detached { entity: T::meta().name })?;
                if let Some(id) = cell.key().and_then(|key| T::Id::from_key(&key)) {
                    return Ok(id);
                }
                if cell.is_borrowed(false) {
                    return Err(Error::EntityBorrowed { entity: T::meta().name });
                }
                Ok(cell.slot.read().value.key_of())
            }
        }
    }

    /// The entity, if it is loaded. Never touches the database.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] if it is not: populate the relation, or `load` it.
    pub fn get(&self) -> Result<Managed<T>, Error> {
        self.find().ok_or(Error::NotLoaded { entity: T::meta().name, relation: "" })
    }

    /// Whether [`get`](Self::get) would answer with the entity.
    pub fn is_loaded(&self) -> bool {
        self.find().is_some()
    }

    fn find(&self) -> Option<Managed<T>> {
        match &self.target {
            Target::Row(id, graph) => {
                let graph = graph.upgrade()?;
                let cell = graph.lookup(T::meta(), &id.to_key())?;
                Managed::from_cell(cell, graph)
            }
            Target::Cell(cell) => Managed::attach(cell.upgrade()?),
        }
    }
}

#[track_caller]
#[cold]
#[allow(clippy::panic, reason = "the double borrow of api.md §3; try_id() answers with an error")]
fn lost(error: &Error) -> ! {
    panic!("the key of the entity is not known: {error}")
}

impl<T: Entity> Clone for Ref<T> {
    fn clone(&self) -> Self {
        Self { target: self.target.clone() }
    }
}

/// Equal if both refer to the same row, or to the same new entity.
impl<T: Entity> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        match (self.target(), other.target()) {
            (ReferenceTarget::Key(one), ReferenceTarget::Key(two)) => one == two,
            (ReferenceTarget::Cell(one), ReferenceTarget::Cell(two)) => Arc::ptr_eq(&one, &two),
            _ => false,
        }
    }
}

impl<T: Entity> From<&Managed<T>> for Ref<T> {
    fn from(handle: &Managed<T>) -> Self {
        handle.to_ref()
    }
}

impl<T: Entity> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.target() {
            ReferenceTarget::Key(key) => write!(f, "Ref<{}#{key}>", T::meta().name),
            ReferenceTarget::Cell(_) => write!(f, "Ref<{}(new)>", T::meta().name),
            ReferenceTarget::Nothing | ReferenceTarget::Lost => write!(f, "Ref<{}(lost)>", T::meta().name),
        }
    }
}

/// Serializes as the key: a number or a string, an array for a composite key, `null` for an entity without a key.
impl<T: Entity> Serialize for Ref<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.target() {
            ReferenceTarget::Key(key) => serialize_key(&key, serializer),
            _ => serializer.serialize_none(),
        }
    }
}

/// A key as plain data.
pub(super) fn serialize_key<S: Serializer>(key: &Key, serializer: S) -> Result<S::Ok, S::Error> {
    match key.parts() {
        [part] => serialize_part(part, serializer),
        parts => serializer.collect_seq(parts.iter().map(SerializedPart)),
    }
}

struct SerializedPart<'a>(&'a KeyPart);

impl Serialize for SerializedPart<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_part(self.0, serializer)
    }
}

fn serialize_part<S: Serializer>(part: &KeyPart, serializer: S) -> Result<S::Ok, S::Error> {
    match part {
        KeyPart::Int(value) => serializer.serialize_i64(*value),
        KeyPart::Uuid(value) => value.serialize(serializer),
        KeyPart::Text(value) => serializer.serialize_str(value),
        KeyPart::Binary(value) => value.serialize(serializer),
    }
}

impl<T: Entity> AnyReference for Ref<T> {
    fn target(&self) -> ReferenceTarget {
        match &self.target {
            Target::Row(id, _) => ReferenceTarget::Key(id.to_key()),
            Target::Cell(cell) => match cell.upgrade() {
                Some(cell) => match cell.key() {
                    Some(key) => ReferenceTarget::Key(key),
                    None => ReferenceTarget::Cell(cell),
                },
                None => ReferenceTarget::Lost,
            },
        }
    }

    fn set_key(&mut self, key: Option<&Key>, graph: &GraphLink) -> bool {
        match key.and_then(T::Id::from_key) {
            Some(id) => {
                self.target = Target::Row(id, graph.clone());
                true
            }
            None => false,
        }
    }

    fn set_cell(&mut self, cell: &Arc<dyn AnyCell>) -> bool {
        match Cell::<T>::downcast(Arc::clone(cell)) {
            Some(cell) => {
                *self = Self::to_cell(&cell);
                true
            }
            None => false,
        }
    }
}

impl<T: Entity> AnyReference for Option<Ref<T>> {
    fn target(&self) -> ReferenceTarget {
        self.as_ref().map_or(ReferenceTarget::Nothing, AnyReference::target)
    }

    fn set_key(&mut self, key: Option<&Key>, graph: &GraphLink) -> bool {
        match key {
            None => {
                *self = None;
                true
            }
            Some(key) => match T::Id::from_key(key) {
                Some(id) => {
                    *self = Some(Ref::to_row(id, graph.clone()));
                    true
                }
                None => false,
            },
        }
    }

    fn set_cell(&mut self, cell: &Arc<dyn AnyCell>) -> bool {
        match Cell::<T>::downcast(Arc::clone(cell)) {
            Some(cell) => {
                *self = Some(Ref::to_cell(&cell));
                true
            }
            None => false,
        }
    }
}

/// Whether two relations refer to the same.
fn same_target(one: ReferenceTarget, two: ReferenceTarget) -> bool {
    match (one, two) {
        (ReferenceTarget::Nothing, ReferenceTarget::Nothing) => true,
        (ReferenceTarget::Key(one), ReferenceTarget::Key(two)) => one == two,
        (ReferenceTarget::Cell(one), ReferenceTarget::Cell(two)) => Arc::ptr_eq(&one, &two),
        _ => false,
    }
}

macro_rules! reference_property {
    ($($type:ty),*) => {$(
        impl<T: Entity> Property for $type {
            fn same(&self, other: &dyn Property, _: Option<u8>) -> bool {
                other.as_reference().is_some_and(|other| same_target(self.target(), other.target()))
            }

            fn assign(&mut self, from: &dyn Property) {
                if let Some(from) = (from as &dyn Any).downcast_ref::<Self>() {
                    self.clone_from(from);
                }
            }

            fn boxed(&self) -> Box<dyn Property> {
                Box::new(self.clone())
            }

            fn text(&self) -> Option<String> {
                match self.target() {
                    ReferenceTarget::Key(key) => Some(key.to_string()),
                    _ => None,
                }
            }

            fn as_reference(&self) -> Option<&dyn AnyReference> {
                Some(self)
            }

            fn as_reference_mut(&mut self) -> Option<&mut dyn AnyReference> {
                Some(self)
            }
        }
    )*};
}

reference_property!(Ref<T>, Option<Ref<T>>);

/// A field type that is a to-one relation: `Ref<T>`, or `Option<Ref<T>>` where it is nullable.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot hold a to-one relation",
    label = "expected `Ref<…>` or `Option<Ref<…>>`",
    note = "#[many_to_one] and #[one_to_one] fields are Ref<T>, or Option<Ref<T>> where the relation may be missing"
)]
pub trait Relation: Property + Sized {
    /// The entity that is referred to.
    type Target: Entity;

    /// Reads the key columns of the relation.
    ///
    /// # Errors
    /// [`Error::Conversion`] if they hold something else.
    fn read(row: &mut RowReader<'_>, graph: &GraphLink) -> Result<Self, Error>;
}

impl<T: Entity> Relation for Ref<T> {
    type Target = T;

    fn read(row: &mut RowReader<'_>, graph: &GraphLink) -> Result<Self, Error> {
        match T::Id::read(row)? {
            Some(id) => Ok(Self::to_row(id, graph.clone())),
            None => Err(row.null_key()),
        }
    }
}

impl<T: Entity> Relation for Option<Ref<T>> {
    type Target = T;

    fn read(row: &mut RowReader<'_>, graph: &GraphLink) -> Result<Self, Error> {
        Ok(T::Id::read(row)?.map(|id| Ref::to_row(id, graph.clone())))
    }
}
