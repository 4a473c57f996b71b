//! A collection as the unit of work sees it: what was done to it, and what the database has by now.

use std::sync::Arc;

use super::item_list::{Item, ItemList};
use super::items::{Items, Known, Pending};
use crate::metadata::{
    AnyCell, AnyCollection, CollectionChanges, GraphLink, Lifecycle, Member, PropertyMeta, Sequence,
};

fn list(members: &[Member]) -> ItemList {
    members.iter().map(Item::of).collect()
}

fn cells(cells: &[Arc<dyn AnyCell>]) -> ItemList {
    cells.iter().map(Item::cell).collect()
}

/// The items that are there, and how many are not.
fn members<'a>(items: impl Iterator<Item = &'a Item>) -> (Vec<Member>, usize) {
    let mut lost = 0;
    let there = items.filter_map(|item| {
        let member = item.named();
        lost += usize::from(member.is_none());
        member
    });
    (there.collect(), lost)
}

/// How many of the wanted items, from the first on, come in this order in what is stored. Those behind them have to be
/// written again: a row that is written comes last.
fn kept(wanted: &ItemList, stored: &ItemList) -> usize {
    let mut last = None;
    let positions = wanted.iter().map_while(|item| {
        let position = stored.position(item).filter(|position| last.is_none_or(|last| *position > last))?;
        last = Some(position);
        last
    });
    positions.count()
}

impl Items {
    /// The order that the items are to have, where there is a fixed one and all items are known.
    fn sequence(&self) -> Option<Sequence> {
        if !self.is_ordered() || !self.is_known() || self.is_part() {
            return None;
        }
        let stored = self.stored().filter(|_| !self.is_cleared());
        let wanted: ItemList = self.current().cloned().collect();
        let kept = stored.map_or(0, |stored| kept(&wanted, stored));
        Some(Sequence { items: wanted.iter().filter_map(Item::named).collect(), kept })
    }

    /// The user's order, unless it is the one that the database has.
    fn keep_arrangement(&mut self, wanted: ItemList) {
        let same =
            self.stored().is_some_and(|stored| stored.len() == wanted.len() && kept(&wanted, stored) == wanted.len());
        self.pending = (!same).then(|| Box::new(Pending { arranged: Some(wanted), ..Pending::default() }));
    }

    fn take_in(&mut self, item: Item, present: bool) {
        if let (Known::Part(shown), false) = (&mut self.known, present) {
            Arc::make_mut(shown).remove(&item);
        }
        let Known::Items(items) = &mut self.known else {
            if present && matches!(self.known, Known::Nothing) {
                self.known = Known::Items(Arc::new([item].into_iter().collect()));
            }
            return;
        };
        if items.contains(&item) == present {
            return;
        }
        let items = Arc::make_mut(items);
        let arranged = self.pending.as_mut().and_then(|pending| pending.arranged.as_mut());
        if present {
            if let Some(arranged) = arranged {
                arranged.push(item.clone());
            }
            items.append(item);
        } else {
            if let Some(arranged) = arranged {
                arranged.remove(&item);
            }
            items.remove(&item);
        }
    }
}

impl AnyCollection for Items {
    fn relation(&self) -> Option<&'static PropertyMeta> {
        self.relation
    }

    fn belong_to(&mut self, relation: &'static PropertyMeta) {
        self.relation = Some(relation);
    }

    fn is_filled(&self) -> bool {
        self.stored().is_some() && !self.has_unloaded()
    }

    fn is_changed(&self) -> bool {
        let Some(pending) = self.pending.as_deref() else { return false };
        match (&pending.arranged, self.stored()) {
            (Some(wanted), Some(stored)) => wanted.len() != stored.len() || kept(wanted, stored) != wanted.len(),
            _ => true,
        }
    }

    fn changes(&self) -> CollectionChanges {
        let Some(pending) = self.pending.as_deref() else { return CollectionChanges::default() };
        let sequence = self.sequence();
        if let (Some(wanted), Some(stored)) = (&pending.arranged, self.stored()) {
            let (added, lost) = members(wanted.iter().filter(|item| !stored.contains(item)));
            let (removed, _) = members(stored.iter().filter(|item| !wanted.contains(item)));
            return CollectionChanges { added, removed, cleared: false, lost, sequence };
        }
        let (added, lost_added) = members(pending.added.iter());
        let (removed, lost_removed) = members(pending.removed.iter());
        CollectionChanges { added, removed, cleared: pending.cleared, lost: lost_added + lost_removed, sequence }
    }

    fn changes_anew(&self) -> CollectionChanges {
        let mut changes = self.changes();
        let Some(stored) = self.stored().filter(|_| !self.is_cleared()) else { return changes };
        for item in self.current().filter(|item| stored.contains(item)) {
            match item.named() {
                Some(Member::Entity(cell)) if cell.lifecycle() == Lifecycle::Removed => {}
                Some(member) => changes.added.push(member),
                None => {}
            }
        }
        changes.cleared = true;
        if let Some(sequence) = &mut changes.sequence {
            sequence.kept = 0;
            let is_there =
                |item: &Member| !matches!(item, Member::Entity(cell) if cell.lifecycle() == Lifecycle::Removed);
            sequence.items.retain(is_there);
        }
        changes
    }

    fn has_stored(&self) -> bool {
        self.stored().is_some_and(|stored| !stored.is_empty())
    }

    fn cells(&self) -> Option<Vec<Arc<dyn AnyCell>>> {
        self.is_known().then(|| self.current().filter_map(Item::entity).collect())
    }

    fn fill(&mut self, found: &[Arc<dyn AnyCell>]) {
        let found = cells(found);
        if self.pending.is_none() {
            self.known = Known::Items(Arc::new(found));
            return;
        }
        let pending = self.pending.take().map(|pending| *pending).unwrap_or_default();
        let Pending { mut added, mut removed, cleared, arranged } = pending;
        if self.is_ordered() && !found.is_empty() {
            let wanted = match arranged {
                Some(arranged) => arranged,
                None if cleared => added,
                None => {
                    let mut wanted: ItemList = found.iter().filter(|item| !removed.contains(item)).cloned().collect();
                    added.iter().for_each(|item| {
                        wanted.push(item.clone());
                    });
                    wanted
                }
            };
            self.known = Known::Items(Arc::new(found));
            return self.keep_arrangement(wanted);
        }
        if cleared {
            // Now it is known what was to be removed.
            removed = found.iter().filter(|item| !added.contains(item)).cloned().collect();
        }
        added.retain(|item| !found.contains(item));
        removed.retain(|item| found.contains(item));
        self.known = Known::Items(Arc::new(found));
        self.pending = Some(Box::new(Pending { added, removed, ..Pending::default() }));
        self.tidy();
    }

    fn is_partial(&self) -> bool {
        self.is_part()
    }

    fn fill_part(&mut self, found: &[Arc<dyn AnyCell>]) {
        // An order that is to be written names all items.
        if self.arranged().is_some() || self.is_cleared() {
            return;
        }
        let found = cells(found);
        // With a fixed order, adding what is there already moves it to the end.
        let is_ordered = self.is_ordered();
        if let (Some(pending), false) = (&mut self.pending, is_ordered) {
            pending.added.retain(|item| !found.contains(item));
        }
        self.known = Known::Part(Arc::new(found));
        self.tidy();
    }

    fn settle(&mut self, sent: &CollectionChanges, graph: &GraphLink) {
        if let Some(pending) = &mut self.pending {
            let arranged = pending.arranged.iter_mut();
            arranged.chain([&mut pending.added, &mut pending.removed]).for_each(|items| items.relink(graph));
        }
        if let Some(sequence) = &sent.sequence {
            let wanted: ItemList = self.current().cloned().collect();
            self.known = Known::Items(Arc::new(list(&sequence.items)));
            return self.keep_arrangement(wanted);
        }
        // Mostly nothing was done since, and nothing was there before.
        if self.stored().is_some_and(ItemList::is_empty)
            && let Some(pending) = self.pending.take_if(|pending| pending.only_adds(sent))
        {
            self.known = Known::Items(Arc::new(pending.added));
            return;
        }
        let (added, removed) = (list(&sent.added), list(&sent.removed));
        let mut pending = self.pending.take().map(|pending| *pending).unwrap_or_default();
        let wanted = |item: &&Item| {
            let stored = self.stored().is_some_and(|stored| stored.contains(item));
            pending.added.contains(item) || (stored && !pending.removed.contains(item))
        };
        // What the user has taken back since is the next change.
        let removed_since: Vec<Item> = added.iter().filter(|item| !wanted(item)).cloned().collect();
        let added_since: Vec<Item> = removed.iter().filter(wanted).cloned().collect();
        pending.added.retain(|item| !added.contains(item));
        pending.removed.retain(|item| !removed.contains(item));
        added_since.into_iter().for_each(|item| {
            pending.added.push(item);
        });
        removed_since.into_iter().for_each(|item| {
            pending.removed.push(item);
        });
        let known = if sent.cleared { Some(ItemList::new()) } else { self.stored().cloned() };
        if let Some(mut known) = known {
            known.retain(|item| !removed.contains(item) && !added.contains(item));
            added.iter().for_each(|item| {
                known.push(item.clone());
            });
            self.known = Known::Items(Arc::new(known));
        } else if let Known::Part(shown) = &mut self.known {
            let shown = Arc::make_mut(shown);
            shown.retain(|item| !removed.contains(item) && !added.contains(item));
            added.iter().for_each(|item| {
                shown.push(item.clone());
            });
        }
        pending.cleared &= !sent.cleared;
        self.pending = Some(Box::new(pending));
        self.tidy();
    }

    fn discard(&mut self) {
        self.pending = None;
    }

    fn names_rows(&self) -> bool {
        let pending = self.pending.iter().flat_map(|pending| {
            [Some(&pending.added), Some(&pending.removed), pending.arranged.as_ref()].into_iter().flatten()
        });
        self.stored().into_iter().chain(pending).any(ItemList::names_rows)
    }

    fn pin(&mut self) {
        if let Known::Items(items) = &mut self.known
            && items.names_rows()
        {
            Arc::make_mut(items).pin();
        }
        if let Some(pending) = &mut self.pending {
            let arranged = pending.arranged.iter_mut();
            arranged.chain([&mut pending.added, &mut pending.removed]).for_each(ItemList::pin);
        }
    }

    fn stored_members(&self) -> Option<Vec<Member>> {
        self.stored().map(|stored| stored.iter().filter_map(Item::member).collect())
    }

    fn absorb(&mut self, item: &Member, present: bool) {
        let item = Item::of(item);
        // What was pending has happened.
        if let Some(pending) = &mut self.pending {
            let settled = if present { &mut pending.added } else { &mut pending.removed };
            settled.remove(&item);
        }
        self.take_in(item, present);
        self.tidy();
    }
}
