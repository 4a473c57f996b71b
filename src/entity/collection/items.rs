//! What is in a collection, without the type of the items: what the database has, if that is known, and what was done
//! since. Compiled once, not once an entity.

use std::sync::Arc;

use super::item_list::{Item, ItemList};
use crate::metadata::{CollectionChanges, Member, PropertyMeta};

/// The items of a collection, and what was done to them.
#[derive(Clone)]
pub(super) struct Items {
    pub(super) known: Known,
    /// What was done since; `None` in most collections.
    pub(super) pending: Option<Box<Pending>>,
    pub(super) relation: Option<&'static PropertyMeta>,
}

/// What the database has.
#[derive(Clone)]
pub(super) enum Known {
    Unknown,
    /// Nothing: the collection of a new entity.
    Nothing,
    /// Shared with the copies that change tracking makes.
    Items(Arc<ItemList>),
    /// Some of the items: what a populate with options has found. Nothing is concluded from what is not among them.
    Part(Arc<ItemList>),
}

/// What was done to a collection.
#[derive(Clone, Default)]
pub(super) struct Pending {
    pub(super) added: ItemList,
    pub(super) removed: ItemList,
    /// Whether everything that is not in `added` is to go, without knowing it.
    pub(super) cleared: bool,
    /// All items in their order, instead of `added` and `removed`: where the relation has a fixed order, and there are
    /// items that can stand in another order than the database has them.
    pub(super) arranged: Option<ItemList>,
}

impl Pending {
    const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && !self.cleared && self.arranged.is_none()
    }

    /// Whether nothing was done but to add what is among these changes, and nothing else is.
    pub(super) fn only_adds(&self, sent: &CollectionChanges) -> bool {
        let nothing_else = self.removed.is_empty() && !self.cleared && self.arranged.is_none();
        nothing_else && sent.removed.is_empty() && !sent.cleared && self.added.is(&sent.added)
    }
}

static NOTHING: ItemList = ItemList::new();

impl Items {
    pub(super) const fn new(known: Known, relation: Option<&'static PropertyMeta>) -> Self {
        Self { known, pending: None, relation }
    }

    /// What the database has, if that is known: all of it.
    pub(super) fn stored(&self) -> Option<&ItemList> {
        match &self.known {
            Known::Unknown | Known::Part(_) => None,
            Known::Nothing => Some(&NOTHING),
            Known::Items(items) => Some(items),
        }
    }

    /// What is known that the database has: all of it, or some.
    fn shown(&self) -> Option<&ItemList> {
        match &self.known {
            Known::Part(items) => Some(items),
            _ => self.stored(),
        }
    }

    /// Whether some of the items are known, and not the others.
    pub(super) const fn is_part(&self) -> bool {
        matches!(self.known, Known::Part(_))
    }

    pub(super) fn arranged(&self) -> Option<&ItemList> {
        self.pending.as_ref().and_then(|pending| pending.arranged.as_ref())
    }

    pub(super) fn is_cleared(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.cleared)
    }

    /// Whether there is something to show: what is in the collection is known, or some of it.
    pub(super) fn is_known(&self) -> bool {
        self.shown().is_some() || self.is_cleared()
    }

    /// Whether some item is known by its key only.
    pub(super) fn has_unloaded(&self) -> bool {
        let pending = self.pending.as_deref();
        self.shown().is_some_and(ItemList::has_unloaded)
            || pending.is_some_and(|pending| {
                pending.added.has_unloaded() || pending.arranged.as_ref().is_some_and(ItemList::has_unloaded)
            })
    }

    /// The items, as far as they are known.
    pub(super) fn current(&self) -> impl Iterator<Item = &Item> {
        let pending = self.pending.as_deref();
        let (arranged, is_part) = (self.arranged(), self.is_part());
        let stored = if arranged.is_some() || self.is_cleared() { None } else { self.shown() };
        let kept = stored.into_iter().flat_map(ItemList::iter).filter(move |item| {
            let is_shown_elsewhere = |pending: &Pending| is_part && pending.added.contains(item);
            pending.is_none_or(|pending| !(pending.removed.contains(item) || is_shown_elsewhere(pending)))
        });
        let added = pending.into_iter().flat_map(|pending| pending.added.iter());
        arranged.into_iter().flat_map(ItemList::iter).chain(kept).chain(added).filter(|item| item.is_there())
    }

    /// The items as entities and keys.
    pub(super) fn members(&self) -> impl Iterator<Item = Member> {
        self.current().filter_map(Item::member)
    }

    /// Whether something is in the collection; `None` if that is not known.
    pub(super) fn contains(&self, item: &Item) -> Option<bool> {
        if let Some(pending) = &self.pending {
            if let Some(arranged) = &pending.arranged {
                return Some(arranged.contains(item));
            }
            if pending.added.contains(item) {
                return Some(true);
            }
            if pending.cleared || pending.removed.contains(item) {
                return Some(false);
            }
        }
        match &self.known {
            Known::Part(shown) => shown.contains(item).then_some(true),
            _ => self.stored().map(|stored| stored.contains(item)),
        }
    }

    /// Whether the items have an order in the database.
    pub(super) fn is_ordered(&self) -> bool {
        self.relation.and_then(PropertyMeta::as_relation).is_some_and(|relation| relation.fixed_order)
    }

    /// The items in the order that the user wants, where they could stand in another one than the database has them.
    fn arrange(&mut self) -> Option<&mut ItemList> {
        if !self.is_ordered() || !matches!(&self.known, Known::Items(items) if !items.is_empty()) {
            return None;
        }
        if self.arranged().is_none() {
            let arranged = Some(self.current().cloned().collect());
            self.pending = Some(Box::new(Pending { arranged, ..Pending::default() }));
        }
        self.pending.as_mut().and_then(|pending| pending.arranged.as_mut())
    }

    pub(super) fn add(&mut self, item: Item) {
        if let Some(arranged) = self.arrange() {
            arranged.push(item);
            return;
        }
        let there = self.shown().is_some_and(|shown| shown.contains(&item));
        if there && self.pending.is_none() {
            return;
        }
        let pending = self.pending.get_or_insert_default();
        pending.removed.remove(&item);
        // Of a collection that is not loaded it is not known whether it was there: insert if absent.
        if !there {
            pending.added.push(item);
        }
        self.tidy();
    }

    pub(super) fn remove(&mut self, item: Item) {
        if let Some(arranged) = self.arrange() {
            arranged.remove(&item);
            return;
        }
        let may_be_there = self.stored().map_or(!self.is_cleared(), |stored| stored.contains(&item));
        if !may_be_there && self.pending.is_none() {
            return;
        }
        let pending = self.pending.get_or_insert_default();
        pending.added.remove(&item);
        if may_be_there {
            pending.removed.push(item);
        }
        self.tidy();
    }

    pub(super) fn remove_all(&mut self) {
        if let Some(arranged) = self.arrange() {
            arranged.clear();
            return;
        }
        // Of a part that is shown, the others stay: nobody has seen them.
        let removed = self.shown().map(|stored| stored.iter().filter(|item| item.is_there()).cloned().collect());
        let pending = self.pending.get_or_insert_default();
        pending.added.clear();
        pending.cleared = removed.is_none();
        pending.removed = removed.unwrap_or_default();
        self.tidy();
    }

    pub(super) fn set(&mut self, items: &mut dyn Iterator<Item = Item>) {
        self.remove_all();
        for item in items {
            self.add(item);
        }
    }

    /// Gives up the room for changes that there are none of.
    pub(super) fn tidy(&mut self) {
        if self.pending.as_ref().is_some_and(|pending| pending.is_empty()) {
            self.pending = None;
        }
    }
}
