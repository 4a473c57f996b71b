//! A large column that is left out when its entity is read.

use std::any::Any;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::metadata::{ColumnType, Property, PropertyMeta};
use crate::types::ConversionError;

/// The value of a column that is not read together with its entity: a text, a document, a picture that few need.
///
/// It is loaded when that is asked for: `article.load(&em, |a| a.body()).await?`, `em.populate(&articles, "body")`, or in a
/// query, `.populate(|a| a.body())`. Until then reading it is [`Error::NotLoaded`]. It can be written without being
/// loaded; a flush writes it if it was set. `Lazy<Option<T>>` is a nullable column.
///
/// A [`refresh`](crate::EntityManager::refresh) reads it again if it was loaded.
///
/// ```
/// # howdah::doctest::run(async |url| {
/// use howdah::prelude::*;
///
/// #[derive(Entity, Clone, Debug)]
/// pub struct Article {
///     #[primary_key]
///     pub id: i64,
///     pub title: String,
///     pub body: Lazy<String>,
/// }
///
/// # let orm = Orm::builder().url(&url).entities(entities![Article]).connect().await?;
/// # orm.schema().create().await?;
/// # let em = orm.em();
/// em.persist(NewArticle { title: "Engines".into(), body: "A very long text".into() });
/// em.flush().await?;
///
/// let em = orm.em();
/// let article = em.find_one_or_fail::<Article>(1, ()).await?;    // SELECT id, title FROM …
/// assert!(matches!(article.read().body.get(), Err(Error::NotLoaded { .. })));
/// assert_eq!(article.load(&em, |a| a.body()).await?, "A very long text");
/// assert_eq!(article.read().body.get()?, "A very long text");
/// # Ok(())
/// # });
/// ```
pub struct Lazy<C> {
    value: Option<C>,
    property: Option<&'static PropertyMeta>,
}

impl<C> Lazy<C> {
    /// A value, which counts as loaded.
    pub const fn new(value: C) -> Self {
        Self { value: Some(value), property: None }
    }

    /// The value of a row that was read without it.
    pub(crate) const fn unloaded(property: &'static PropertyMeta) -> Self {
        Self { value: None, property: Some(property) }
    }

    /// Whether [`get`](Self::get) would answer with the value.
    pub const fn is_loaded(&self) -> bool {
        self.value.is_some()
    }

    /// The value.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] if it was neither loaded nor set.
    pub fn get(&self) -> Result<&C, Error> {
        self.value.as_ref().ok_or_else(|| match self.property {
            Some(property) => Error::NotLoaded { entity: property.entity, relation: property.name },
            None => Error::NotLoaded { entity: "a lazy column", relation: "" },
        })
    }

    /// Replaces the value, loaded or not.
    pub fn set(&mut self, value: impl Into<C>) {
        self.value = Some(value.into());
    }
}

impl<C> From<C> for Lazy<C> {
    fn from(value: C) -> Self {
        Self::new(value)
    }
}

impl From<&str> for Lazy<String> {
    fn from(value: &str) -> Self {
        Self::new(value.to_owned())
    }
}

impl<C: Default> Default for Lazy<C> {
    fn default() -> Self {
        Self::new(C::default())
    }
}

impl<C: Clone> Clone for Lazy<C> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), property: self.property }
    }
}

impl<C: fmt::Debug> fmt::Debug for Lazy<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => value.fmt(f),
            None => f.write_str("Lazy(not loaded)"),
        }
    }
}

/// Serializes as the value, `null` if it is not loaded.
impl<C: Serialize> Serialize for Lazy<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<C: ColumnType> Property for Lazy<C> {
    /// What is not loaded differs from nothing: there is nothing to write.
    fn same(&self, other: &dyn Property, precision: Option<u8>) -> bool {
        let other = (other as &dyn Any).downcast_ref::<Self>().map(|other| &other.value);
        match (&self.value, other) {
            (None, Some(_)) => true,
            (Some(value), Some(Some(other))) => value.same(other, precision),
            (Some(_), Some(None)) | (_, None) => false,
        }
    }

    fn assign(&mut self, from: &dyn Property) {
        if let Some(from) = (from as &dyn Any).downcast_ref::<Self>() {
            self.value.clone_from(&from.value);
        }
    }

    fn boxed(&self) -> Box<dyn Property> {
        Box::new(self.clone())
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<bool, ConversionError> {
        match &self.value {
            Some(value) => value.encode(out),
            None => Err(ConversionError::new("a lazy column that is not loaded: load it or set it first")),
        }
    }

    fn decode(&mut self, raw: Option<&[u8]>) -> Result<(), ConversionError> {
        self.value = Some(C::from_raw(raw)?);
        Ok(())
    }

    fn text(&self) -> Option<String> {
        self.value.as_ref().and_then(Property::text)
    }

    fn is_unset(&self) -> bool {
        self.value.as_ref().is_some_and(Property::is_unset)
    }

    fn is_missing(&self) -> bool {
        self.value.is_none()
    }
}
