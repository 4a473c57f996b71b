//! Transactions and savepoints: committed, they are as if nothing had been around the work; failed in whatever way, as if
//! there had been no work (rules D1, D2).

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;

use crate::cancellation::cancelled_after;
use futures_util::FutureExt;
use howdah::prelude::*;
use tokio::sync::oneshot;

use super::flushing::{Planned, kind};
use super::handles::{Cell, Handle};
use super::operations::{End, Fault, Operation};
use super::reference::{Entity, Model, Repair, State};
use super::tables::{Id, Relation, Value};
use super::world::{Frame, Stop, World, wrong};

/// What the flush at the end of a scope is going to do.
type Ending = (Planned, Option<Repair>);

/// How the future of a scope has come to its end.
enum Outcome {
    Answered(Result<(), Stop>),
    Panicked,
    Dropped,
}

impl World<'_> {
    pub async fn scope(&mut self, work: &[Operation], end: End) -> Result<(), Stop> {
        let saved = Saved {
            model: self.model.clone(),
            handles: self.handles.clone(),
            detached: self.detached.len(),
            frames: self.frames.len(),
        };
        let before = self.look();
        self.tell("em.transactional(async |em| {");
        if self.frames.is_empty() {
            self.conflict = (false, matches!(end, End::CommitWith(Fault::Conflict | Fault::CommitConflict)));
        }
        self.frames.push(Frame::default());
        self.ending = None;
        let outer = self.em.clone();
        let outcome = self.run_scope(work, end).await;
        // A flush with a fault may have been dropped with the scope.
        self.database.set_fault(None).await;
        self.em = outer;
        let ending = self.ending.take();
        let frames = self.frames.split_off(saved.frames);
        self.tell(match &outcome {
            Outcome::Answered(Ok(())) => "}).await?;".to_owned(),
            Outcome::Answered(Err(stop)) => format!("}}).await; // -> {stop:?}"),
            Outcome::Panicked => "}).await; // -> panics".to_owned(),
            Outcome::Dropped => "}); // dropped".to_owned(),
        });
        let fault = match end {
            End::CommitWith(fault) => Some(fault),
            _ => None,
        };
        let outermost = self.frames.is_empty();
        let handed_on = match outcome {
            Outcome::Answered(Err(Stop::Wrong(message))) => return Err(Stop::Wrong(message)),
            Outcome::Answered(Ok(())) => return self.committed(ending, frames, fault).await,
            Outcome::Answered(Err(Stop::Failed(error))) => {
                let problems = ending.iter().filter_map(|(planned, _)| planned.as_ref().err()).flatten();
                let mut allowed: Vec<&str> = problems.flat_map(|problem| problem.kinds).copied().collect();
                if matches!(ending, Some((_, Some(_)))) {
                    allowed.push("UnresolvableUniqueSwap");
                }
                let is_fault = self.killed || fault.is_some_and(|fault| told_by(fault, outermost, &kind(&error)));
                if !is_fault && !allowed.contains(&kind(&error).as_str()) {
                    wrong!("the scope has failed with {error}\n  {error:?}\n  expected {allowed:?}");
                }
                let dies = matches!(fault, Some(Fault::Dies)) && kind(&error) == "Connection";
                self.killed |= dies;
                self.conflict.0 |= matches!(error, Error::SerializationFailure { .. });
                self.killed.then_some(Stop::Failed(error))
            }
            Outcome::Answered(Err(Stop::OnPurpose)) | Outcome::Panicked => None,
            Outcome::Dropped if outermost && self.is_committed_nevertheless(&saved, &ending).await? => {
                self.begin_anew().await;
                return self.check_no_transaction().await;
            }
            Outcome::Dropped => None,
        };
        self.rolled_back(saved, frames)?;
        self.check_unchanged(&before)?;
        self.check_memory()?;
        self.check_database().await?;
        self.check_no_transaction().await?;
        if self.killed && !outermost {
            // All scopes around it fail, too: there is no connection for them.
            return Err(handed_on.unwrap_or(Stop::OnPurpose));
        }
        self.killed = false;
        Ok(())
    }

    async fn run_scope(&mut self, work: &[Operation], end: End) -> Outcome {
        let em = self.em.clone();
        let (reached, is_reached) = oneshot::channel::<()>();
        let scope = em.transactional(|inner| async move {
            self.em = inner;
            self.run(work).await?;
            match end {
                End::Error => return Err(Stop::OnPurpose),
                End::Panic => std::panic::resume_unwind(Box::new("on purpose")),
                End::Dropped => {
                    let _ = reached.send(());
                    std::future::pending::<()>().await;
                }
                End::CommitWith(fault) => self.database.set_fault(Some(fault)).await,
                End::Commit | End::DroppedAfter(_) => {}
            }
            self.ending = Some(self.plan());
            Ok(())
        });
        let caught = |answer: Result<Result<(), Stop>, _>| match answer {
            Ok(answer) => Outcome::Answered(answer),
            Err(_) => Outcome::Panicked,
        };
        match end {
            End::DroppedAfter(polls) => {
                cancelled_after(polls.into(), scope).await.map_or(Outcome::Dropped, Outcome::Answered)
            }
            End::Dropped => {
                tokio::select! {
                    answer = scope => Outcome::Answered(answer),
                    Ok(()) = is_reached => Outcome::Dropped,
                }
            }
            End::Panic => {
                let answer: Result<_, Box<dyn std::any::Any + Send>> = AssertUnwindSafe(scope).catch_unwind().await;
                caught(answer)
            }
            _ => Outcome::Answered(scope.await),
        }
    }

    async fn committed(
        &mut self,
        ending: Option<Ending>,
        frames: Vec<Frame>,
        fault: Option<Fault>,
    ) -> Result<(), Stop> {
        let flushed = match ending {
            Some((Ok(flushed), _)) => flushed,
            Some((Err(problems), _)) => wrong!("the scope was committed, expected {problems:?}"),
            None => wrong!("the scope was committed, and its work was not done"),
        };
        let outermost = self.frames.is_empty();
        let wrote = flushed.writes();
        let in_all = wrote || frames.iter().any(|frame| frame.has_written);
        match fault {
            Some(Fault::Dies | Fault::Conflict) if wrote => wrong!("the scope was committed in spite of {fault:?}"),
            Some(Fault::CommitDies | Fault::CommitConflict) if outermost && in_all => {
                wrong!("the scope was committed in spite of {fault:?}")
            }
            _ => {}
        }
        if let Some(below) = self.frames.last_mut() {
            for frame in frames {
                below.has_written |= frame.has_written;
                below.cleared |= frame.cleared;
                below.created.extend(frame.created);
                below.loaded_dirty.extend(frame.loaded_dirty);
            }
        }
        self.published(flushed)?;
        self.check_memory()?;
        self.check_database().await?;
        self.check_no_transaction().await
    }

    /// Whether a scope that was dropped had sent its COMMIT: the database tells.
    async fn is_committed_nevertheless(&mut self, saved: &Saved, ending: &Option<Ending>) -> Result<bool, Stop> {
        self.database.settled().await;
        let model = std::mem::replace(&mut self.model, saved.model.clone());
        let is_as_before = self.database.stored().await == self.expected();
        self.model = model;
        match ending {
            _ if is_as_before => Ok(false),
            Some((Ok(flushed), _)) => {
                self.check_counts(flushed).await?;
                self.model = saved.model.clone();
                Ok(true)
            }
            Some((Err(problems), _)) => wrong!("a scope that must fail has written something: {problems:?}"),
            None => wrong!("a scope that was dropped before its end has written something"),
        }
    }

    /// The model is as before, but for what was created: that is new again.
    fn rolled_back(&mut self, saved: Saved, frames: Vec<Frame>) -> Result<(), Stop> {
        let cleared = frames.iter().any(|frame| frame.cleared);
        let created: BTreeSet<Id> = frames.iter().flat_map(|frame| frame.created.iter().copied()).collect();
        let dirty: BTreeSet<Id> = frames.iter().flat_map(|frame| frame.loaded_dirty.iter().copied()).collect();
        let handles = std::mem::replace(&mut self.handles, saved.handles);
        self.model = saved.model;
        self.detached.truncate(saved.detached);
        if cleared {
            // What belongs to the graph that was put in place of the restored one is gone with it.
            return Ok(());
        }
        let mut new: BTreeMap<Id, Handle> = BTreeMap::new();
        for (id, handle) in handles {
            if self.model.memory.contains_key(&id) {
                continue;
            }
            if created.contains(&id) {
                if handle.state() != EntityState::New || handle.key().is_some() || handle.is_dirty() {
                    wrong!("{handle:?} was created in a scope that failed, and is {}", handle.shown());
                }
                new.insert(id, handle);
            } else if self.frames.is_empty() && self.conflict.1 && handle.state() == EntityState::Detached {
                // It may be outdated, and is read again by whoever tries again.
            } else if dirty.contains(&id) || (self.frames.is_empty() && self.conflict.0) {
                if handle.state() != EntityState::Detached {
                    wrong!("{handle:?} may show a row that never was, and is {:?}", handle.state());
                }
            } else {
                let Some(row) = self.model.rows.get(&id) else {
                    wrong!("{handle:?} was read before anything was written, and has no row")
                };
                let fields = row.fields.clone();
                let entity = Entity::with(row.table, fields, State::Managed);
                self.model.memory.insert(id, entity);
                self.handles.insert(id, handle);
            }
        }
        if let Some(below) = self.frames.last_mut() {
            // They did not exist when the scope around this one began, either.
            below.created.extend(new.keys());
        }
        self.take_over(new);
        Ok(())
    }

    /// New entities with what the user has put into them. Those that refer to something that is gone are given up.
    fn take_over(&mut self, mut new: BTreeMap<Id, Handle>) {
        loop {
            self.handles.extend(new.clone());
            let lost: Vec<Id> =
                new.iter().filter(|(_, handle)| self.new_entity(handle).is_none()).map(|(id, _)| *id).collect();
            if lost.is_empty() {
                break;
            }
            for id in lost {
                new.remove(&id);
                self.handles.remove(&id);
            }
        }
        for (id, handle) in new {
            let Some(entity) = self.new_entity(&handle) else { continue };
            for (relation, item) in entity.claims.keys() {
                if let (Some(column), Some(item)) = (relation.column(), self.model.memory.get_mut(item)) {
                    item.claimed.insert(column);
                }
            }
            let claims: Vec<(Relation, Id)> = entity.claims.keys().copied().collect();
            self.model.memory.insert(id, entity);
            // What it took from somebody who has it again belongs to two: it gives it back.
            for (relation, item) in claims.into_iter().filter(|(relation, _)| relation.column().is_some()) {
                let others = self.among(|other, entity| {
                    other != id
                        && entity.table == relation.owner()
                        && entity.state != State::Removed
                        && self.model.holds(other, relation, item)
                });
                if !others.is_empty() {
                    self.set_claim(id, relation, item, false);
                }
            }
        }
    }

    fn new_entity(&self, handle: &Handle) -> Option<Entity> {
        let table = handle.table();
        let fields: Option<Vec<Value>> = handle.cells().into_iter().map(|cell| self.value(cell)).collect();
        let mut claims = BTreeMap::new();
        for relation in Relation::ALL.into_iter().filter(|relation| relation.owner() == table) {
            for item in handle.items(relation)? {
                let Cell::To(item) = item else { return None };
                claims.insert((relation, self.id_of(&item)?), true);
            }
        }
        let own = table.references().map(|(column, _)| column).collect();
        Some(Entity { claims, own, ..Entity::with(table, fields?, State::New) })
    }
}

/// What a scope that fails goes back to.
struct Saved {
    model: Model,
    handles: BTreeMap<Id, Handle>,
    detached: usize,
    frames: usize,
}

/// Whether a fault while a scope is committed shows as this error.
fn told_by(fault: Fault, outermost: bool, kind: &str) -> bool {
    match fault {
        Fault::Dies => kind == "Connection",
        Fault::Conflict => kind == "SerializationFailure",
        Fault::CommitConflict => outermost && kind == "SerializationFailure",
        Fault::CommitDies => outermost && matches!(kind, "Connection" | "CommitOutcomeUnknown"),
    }
}
