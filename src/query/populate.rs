//! Which relations a query loads along.

use super::path::{ToMany, ToOne};
use crate::entity::{Entity, FieldSet};
use crate::error::Error;
use crate::metadata::{EntityMeta, PropertyMeta};
use crate::sql::Selection;

/// Relations to populate, as the user gave them.
#[derive(Clone, Debug)]
pub(crate) enum PopulateRequest {
    /// `"posts.tags"`
    Name(String),
    /// Property indexes.
    Hops(Vec<u16>),
    /// Property indexes of a to-many relation, which of its items, and what of these.
    Items { hops: Vec<u16>, selection: Box<Selection>, nested: Vec<Self> },
}

/// A relation to populate, and what to populate behind it.
#[derive(Clone, Debug)]
pub(crate) struct PopulateNode {
    /// The property index of the relation.
    pub(crate) relation: usize,
    /// Which items of a to-many relation, and in which order.
    pub(crate) options: Option<Selection>,
    pub(crate) children: Vec<Self>,
}

impl PopulateNode {
    /// The tree of all requested relations, each once.
    ///
    /// # Errors
    /// [`Error::Validation`] for a name that is no relation; the message lists the relations there are.
    pub(crate) fn tree(root: &'static EntityMeta, requests: &[PopulateRequest]) -> Result<Vec<Self>, Error> {
        let mut tree = Vec::new();
        Self::add(&mut tree, root, requests)?;
        Ok(tree)
    }

    fn add(tree: &mut Vec<Self>, root: &'static EntityMeta, requests: &[PopulateRequest]) -> Result<(), Error> {
        for request in requests {
            let hops = match request {
                PopulateRequest::Hops(hops) | PopulateRequest::Items { hops, .. } => {
                    hops.iter().map(|hop| usize::from(*hop)).collect()
                }
                PopulateRequest::Name(name) => hops_of(root, name)?,
            };
            let mut meta = root;
            let mut level = &mut *tree;
            for (index, hop) in hops.iter().enumerate() {
                let position = level.iter().position(|node: &Self| node.relation == *hop);
                let position = position.unwrap_or_else(|| {
                    level.push(Self { relation: *hop, options: None, children: Vec::new() });
                    level.len() - 1
                });
                let Some(relation) = meta.properties.get(*hop).and_then(PropertyMeta::as_relation) else { break };
                meta = (relation.target)();
                let node = &mut level[position];
                if let (true, PropertyItems { selection, nested }) = (index + 1 == hops.len(), request.items()) {
                    if let Some(selection) = selection {
                        node.options = Some(selection.clone());
                    }
                    Self::add(&mut node.children, meta, nested)?;
                }
                level = &mut node.children;
            }
        }
        Ok(())
    }
}

/// What a request says of the items of its relation.
struct PropertyItems<'a> {
    selection: Option<&'a Selection>,
    nested: &'a [PopulateRequest],
}

impl PopulateRequest {
    fn items(&self) -> PropertyItems<'_> {
        match self {
            Self::Items { selection, nested, .. } => {
                let says = !selection.filter.is_empty()
                    || !selection.order.is_empty()
                    || selection.limit.is_some()
                    || selection.offset.is_some();
                PropertyItems { selection: says.then_some(&**selection), nested }
            }
            Self::Name(_) | Self::Hops(_) => PropertyItems { selection: None, nested: &[] },
        }
    }
}

/// The property indexes of `"posts.tags"`.
fn hops_of(root: &'static EntityMeta, path: &str) -> Result<Vec<usize>, Error> {
    let mut meta = root;
    let mut hops = Vec::new();
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let found = meta.properties.iter().position(|property| property.name == name);
        let relation = found.and_then(|index| meta.properties[index].as_relation());
        // The last one may be a lazy column.
        if let (Some(index), None) = (found, names.peek())
            && meta.properties[index].is_lazy()
        {
            hops.push(index);
            return Ok(hops);
        }
        let (Some(index), Some(relation)) = (found, relation) else {
            let relations: Vec<&str> = meta
                .properties
                .iter()
                .filter(|property| property.as_relation().is_some())
                .map(|property| property.name)
                .collect();
            let known = if relations.is_empty() { "it has none".to_owned() } else { relations.join(", ") };
            let message =
                format!("cannot populate \"{path}\": {} has no relation \"{name}\" (relations: {known})", meta.name);
            return Err(Error::validation(meta.name, message));
        };
        hops.push(index);
        meta = (relation.target)();
    }
    Ok(hops)
}

/// One typed path of relations.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a relation of `{T}`",
    label = "cannot be populated",
    note = "populate takes relations: `User::fields().posts().tags()`"
)]
pub trait PopulatePath<T: Entity> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn request(self) -> PopulateRequest;
}

impl<T: Entity, X: Entity, L> PopulatePath<T> for ToOne<T, X, L> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn request(self) -> PopulateRequest {
        PopulateRequest::Hops(self.fields().path().hops().to_vec())
    }
}

impl<T: Entity, X: Entity> PopulatePath<T> for ToMany<T, X> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn request(self) -> PopulateRequest {
        PopulateRequest::Hops(self.fields().path().hops().to_vec())
    }
}

/// What to populate: `()`, a name or an array of names (`["posts", "posts.tags"]`), or one or a tuple of typed paths
/// (`User::fields().posts().tags()`). A path populates every relation on its way.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what to populate of `{T}`",
    label = "expected `()`, names, or relations of `{T}`",
    note = "for example `()`, `[\"posts\", \"posts.tags\"]`, or `User::fields().posts().tags()`"
)]
pub trait Populate<T: Entity> {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_requests(self, requests: &mut Vec<PopulateRequest>);
}

macro_rules! populate_names {
    ($([$($generics:tt)*] $type:ty;)*) => {$(
        impl<T: Entity, $($generics)*> Populate<T> for $type {
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn push_requests(self, requests: &mut Vec<PopulateRequest>) {
                for name in self {
                    requests.push(PopulateRequest::Name(name.to_string()));
                }
            }
        }
    )*};
}

populate_names! {
    [const N: usize] [&str; N];
    [] &[&str];
    [] Vec<&str>;
    [] Vec<String>;
    [] &[String];
}

impl<T: Entity> Populate<T> for &str {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_requests(self, requests: &mut Vec<PopulateRequest>) {
        requests.push(PopulateRequest::Name(self.to_owned()));
    }
}

impl<T: Entity> Populate<T> for () {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_requests(self, _: &mut Vec<PopulateRequest>) {}
}

impl<T: Entity, X: Entity, L> Populate<T> for ToOne<T, X, L> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_requests(self, requests: &mut Vec<PopulateRequest>) {
        requests.push(self.request());
    }
}

impl<T: Entity, X: Entity> Populate<T> for ToMany<T, X> {
    #[allow(private_interfaces, reason = "only this crate calls it")]
    fn push_requests(self, requests: &mut Vec<PopulateRequest>) {
        requests.push(self.request());
    }
}

macro_rules! populate_tuple {
    ($($name:ident),*) => {
        impl<T: Entity, $($name: PopulatePath<T>),*> Populate<T> for ($($name,)*) {
            #[allow(non_snake_case, reason = "the type parameters name the tuple's fields")]
            #[allow(private_interfaces, reason = "only this crate calls it")]
            fn push_requests(self, requests: &mut Vec<PopulateRequest>) {
                let ($($name,)*) = self;
                $(requests.push($name.request());)*
            }
        }
    };
}

populate_tuple!(A);
populate_tuple!(A, B);
populate_tuple!(A, B, C);
populate_tuple!(A, B, C, D);
populate_tuple!(A, B, C, D, E);
populate_tuple!(A, B, C, D, E, F);
populate_tuple!(A, B, C, D, E, F, G);
populate_tuple!(A, B, C, D, E, F, G, H);
