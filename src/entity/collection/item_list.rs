//! A list of items that is searched by identity: plainly while it is short, by an index that the first search of a long
//! one makes. So a small collection costs what a vector costs, and adding n items to a large one takes n steps.

use std::sync::{Arc, OnceLock, Weak};

use rustc_hash::FxHashMap;

use crate::metadata::{AnyCell, GraphLink, Member, RowLink, address};
use crate::types::Key;

/// Up to how many items a list is searched without an index.
const SHORT: usize = 16;

/// A link to an item: weak, for the graph owns its entities.
#[derive(Clone)]
pub(super) enum Item {
    Cell(Weak<dyn AnyCell>),
    /// A row that was put in by reference. `None` is the gap that an item has left which was taken out of a long list
    /// (here, because it makes the type no larger).
    Row(Option<Box<RowLink>>),
}

const _: () = assert!(size_of::<Item>() == size_of::<Weak<dyn AnyCell>>());

impl Item {
    /// A link to this cell.
    pub(super) fn cell(cell: &Arc<dyn AnyCell>) -> Self {
        Self::Cell(Arc::downgrade(cell))
    }

    /// A link to this row.
    pub(super) fn row(row: RowLink) -> Self {
        Self::Row(Some(Box::new(row)))
    }

    pub(super) fn of(member: &Member) -> Self {
        match member {
            Member::Entity(cell) => Self::cell(cell),
            Member::Row(row) => Self::row(row.clone()),
        }
    }

    /// The entity, if it is loaded and still there.
    pub(super) fn entity(&self) -> Option<Arc<dyn AnyCell>> {
        match self {
            Self::Cell(cell) => cell.upgrade(),
            Self::Row(row) => row.as_ref()?.resolve(),
        }
    }

    /// What the item is; `None` if it is gone together with its graph.
    pub(super) fn member(&self) -> Option<Member> {
        match (self.entity(), self) {
            (Some(cell), _) => Some(Member::Entity(cell)),
            (None, Self::Row(row)) => row.as_ref().map(|row| Member::Row((**row).clone())),
            (None, Self::Cell(_)) => None,
        }
    }

    /// What was put in: a row stays one, whether it is loaded or not.
    pub(super) fn named(&self) -> Option<Member> {
        match self {
            Self::Cell(cell) => cell.upgrade().map(Member::Entity),
            Self::Row(row) => row.as_ref().map(|row| Member::Row((**row).clone())),
        }
    }

    /// Whether the item is a row that is not loaded.
    pub(super) fn is_unloaded(&self) -> bool {
        matches!(self, Self::Row(Some(row)) if row.resolve().is_none())
    }

    /// Whether [`member`](Self::member) would answer with something.
    pub(super) fn is_there(&self) -> bool {
        match self {
            Self::Cell(cell) => cell.strong_count() > 0,
            Self::Row(row) => row.is_some(),
        }
    }

    pub(super) fn key(&self) -> Option<Key> {
        match self {
            Self::Cell(cell) => cell.upgrade()?.key(),
            Self::Row(row) => row.as_ref().map(|row| row.key.clone()),
        }
    }

    /// What tells the item from others: where its entity is.
    fn address(&self) -> Option<usize> {
        match self {
            Self::Cell(cell) => Some(cell.as_ptr().cast::<()>().addr()),
            Self::Row(row) => row.as_ref()?.resolve().map(|cell| address(&cell)),
        }
    }

    const fn is_gap(&self) -> bool {
        matches!(self, Self::Row(None))
    }
}

/// Where the items of a long list are.
#[derive(Default)]
struct Index {
    cells: FxHashMap<usize, usize>,
    rows: FxHashMap<Key, usize>,
}

impl Index {
    fn insert(&mut self, item: &Item, position: usize) {
        match item {
            Item::Cell(cell) => {
                self.cells.insert(cell.as_ptr().cast::<()>().addr(), position);
            }
            Item::Row(Some(row)) => {
                self.rows.insert(row.key.clone(), position);
            }
            Item::Row(None) => {}
        }
    }

    fn remove(&mut self, item: &Item) {
        match item {
            Item::Cell(cell) => {
                self.cells.remove(&cell.as_ptr().cast::<()>().addr());
            }
            Item::Row(Some(row)) => {
                self.rows.remove(&row.key);
            }
            Item::Row(None) => {}
        }
    }
}

/// Items in order, none twice.
#[derive(Default)]
pub(super) struct ItemList {
    items: Vec<Item>,
    gaps: usize,
    /// How many items are rows: only then keys have to be compared.
    rows: usize,
    index: OnceLock<Box<Index>>,
}

impl Clone for ItemList {
    /// The index is made again if the copy is searched.
    fn clone(&self) -> Self {
        self.iter().cloned().collect()
    }
}

impl FromIterator<Item> for ItemList {
    fn from_iter<I: IntoIterator<Item = Item>>(items: I) -> Self {
        let items: Vec<Item> = items.into_iter().collect();
        let rows = items.iter().filter(|item| matches!(item, Item::Row(_))).count();
        Self { items, gaps: 0, rows, index: OnceLock::new() }
    }
}

impl ItemList {
    pub(super) const fn new() -> Self {
        Self { items: Vec::new(), gaps: 0, rows: 0, index: OnceLock::new() }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Item> + Clone {
        self.items.iter().filter(|item| !item.is_gap())
    }

    pub(super) const fn len(&self) -> usize {
        self.items.len() - self.gaps
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether these are the items, in this order: entities as entities, rows as rows.
    pub(super) fn is(&self, members: &[Member]) -> bool {
        self.len() == members.len()
            && self.iter().zip(members).all(|(item, member)| match (item, member) {
                (Item::Cell(cell), Member::Entity(other)) => std::ptr::addr_eq(cell.as_ptr(), Arc::as_ptr(other)),
                (Item::Row(Some(row)), Member::Row(other)) => row.key == other.key,
                _ => false,
            })
    }

    /// Whether some item is a row that is not loaded.
    pub(super) fn has_unloaded(&self) -> bool {
        self.rows > 0 && self.iter().any(Item::is_unloaded)
    }

    /// Whether some item is a row.
    pub(super) const fn names_rows(&self) -> bool {
        self.rows > 0
    }

    /// Rows that are loaded are their entities from now on.
    pub(super) fn pin(&mut self) {
        if self.rows > 0 {
            for item in &mut self.items {
                if let (Item::Row(Some(_)), Some(cell)) = (&*item, item.entity()) {
                    *item = Item::cell(&cell);
                }
            }
            self.retain(|_| true);
        }
    }

    /// Rows are looked for in this graph from now on.
    pub(super) fn relink(&mut self, graph: &GraphLink) {
        if self.rows > 0 {
            for item in &mut self.items {
                if let Item::Row(Some(row)) = item
                    && !row.graph.is_same(graph)
                {
                    row.graph = graph.clone();
                }
            }
        }
    }

    fn index(&self) -> Option<&Index> {
        if self.items.len() <= SHORT {
            return None;
        }
        Some(self.index.get_or_init(|| {
            let mut index = Box::<Index>::default();
            for (position, item) in self.items.iter().enumerate() {
                index.insert(item, position);
            }
            index
        }))
    }

    /// Where an item is. Positions grow in the list's order; they have gaps.
    pub(super) fn position(&self, item: &Item) -> Option<usize> {
        // Where the entity of a row is has to be looked for, and only matters where there are entities.
        let address = if self.items.len() > self.rows { item.address() } else { None };
        let key = if self.rows > 0 { item.key() } else { None };
        if let Some(index) = self.index() {
            let cell = address.and_then(|address| index.cells.get(&address));
            return cell.or_else(|| index.rows.get(key.as_ref()?)).copied();
        }
        self.items.iter().position(|other| match other {
            Item::Cell(_) => address.is_some() && other.address() == address,
            Item::Row(Some(row)) => key.as_ref() == Some(&row.key),
            Item::Row(None) => false,
        })
    }

    pub(super) fn contains(&self, item: &Item) -> bool {
        !self.items.is_empty() && self.position(item).is_some()
    }

    /// Appends an item; whether it was not there.
    pub(super) fn push(&mut self, item: Item) -> bool {
        if self.contains(&item) {
            return false;
        }
        self.append(item);
        true
    }

    /// Appends an item that is known not to be there.
    pub(super) fn append(&mut self, item: Item) {
        self.rows += usize::from(matches!(item, Item::Row(_)));
        if let Some(index) = self.index.get_mut() {
            index.insert(&item, self.items.len());
        }
        self.items.push(item);
    }

    /// Takes an item out; whether it was there.
    pub(super) fn remove(&mut self, item: &Item) -> bool {
        let Some(position) = (if self.items.is_empty() { None } else { self.position(item) }) else { return false };
        let removed = std::mem::replace(&mut self.items[position], Item::Row(None));
        self.rows -= usize::from(matches!(removed, Item::Row(_)));
        self.gaps += 1;
        if let Some(index) = self.index.get_mut() {
            index.remove(&removed);
        }
        // Closing every gap at once would move all that is behind it.
        if self.items.len() <= SHORT || self.gaps > self.items.len() / 2 {
            self.retain(|_| true);
        }
        true
    }

    /// Keeps what `keep` names.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Item) -> bool) {
        self.items.retain(|item| !item.is_gap() && keep(item));
        self.rows = self.items.iter().filter(|item| matches!(item, Item::Row(_))).count();
        self.gaps = 0;
        self.index.take();
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::KeyPart;

    fn row(key: i64) -> Item {
        let key = Key::One(KeyPart::Int(key));
        Item::row(RowLink { meta: <Leaf as crate::Entity>::meta(), key, graph: GraphLink::none() })
    }

    #[derive(crate::Entity, Clone)]
    struct Leaf {
        #[primary_key]
        id: i64,
    }

    fn keys(list: &ItemList) -> Vec<String> {
        list.iter().filter_map(Item::key).map(|key| key.to_string()).collect()
    }

    #[test]
    fn a_long_list_keeps_order_and_identity_through_gaps() {
        for size in [8, 200] {
            let mut list = ItemList::new();
            for key in 0..size {
                assert!(list.push(row(key)));
                assert!(!list.push(row(key)), "none twice");
            }
            for key in (0..size).filter(|key| key % 3 != 0) {
                assert!(list.remove(&row(key)));
                assert!(!list.remove(&row(key)) && !list.contains(&row(key)));
            }
            assert!(list.push(row(1)), "what was taken out can be put in again, at the end");
            let expected: Vec<String> =
                (0..size).filter(|key| key % 3 == 0).chain([1]).map(|key| key.to_string()).collect();
            assert_eq!(keys(&list), expected);
            assert_eq!((list.len(), keys(&list.clone())), (expected.len(), expected));
            assert!(list.position(&row(0)) < list.position(&row(6)) && list.position(&row(6)) < list.position(&row(1)));
        }
    }
}
