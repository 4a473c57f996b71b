//! Flushes, and what becomes of them: success, an error that can be repaired, faults.

use std::collections::BTreeSet;

use crate::cancellation::cancelled_after;
use howdah::prelude::*;

use super::database::Way;
use super::operations::Fault;
use super::reference::{Flushed, Problem, REFUSALS, Repair, State};
use super::swaps;
use super::tables::{AGE, Id, Kind, STARS, Value};
use super::world::{Stop, World, wrong};

/// How many times a flush waits at most, at any depth: for keys, and for everything else with COMMIT (rule C2), if keys can be
/// taken beforehand.
const ROUND_TRIPS: u64 = 2;

/// What a flush is going to do.
pub type Planned = Result<Flushed, Vec<Problem>>;

/// The variant of an error.
pub fn kind(error: &Error) -> String {
    let text = format!("{error:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

impl World<'_> {
    /// What the next flush is going to do, and what it may be refused for all the same.
    pub fn plan(&self) -> (Planned, Option<Repair>) {
        let planned = self.model.flush(&self.loaded());
        let swap = planned.as_ref().ok().and_then(|flushed| swaps::swap(&self.model, flushed));
        (planned, swap)
    }

    /// Flushes until it succeeds: after every error the database and the memory are as before, and once the offending value
    /// is repaired, the same flush works (rule C3).
    pub async fn flush(&mut self) -> Result<(), Stop> {
        for _ in 0..20 {
            let Some(problems) = self.flush_once(None).await? else { return Ok(()) };
            for problem in problems {
                if let Repair::Refresh(id) = problem.repair {
                    self.refresh_stale(id).await?;
                } else if !self.repair(problem.repair) {
                    wrong!("nothing helps against {problem:?}");
                }
            }
        }
        wrong!("the flush does not succeed, whatever is repaired")
    }

    /// One flush, perhaps with a fault; the problems, if there are some.
    pub async fn flush_once(&mut self, fault: Option<Fault>) -> Result<Option<Vec<Problem>>, Stop> {
        let (mut planned, swap) = self.plan();
        let before = self.look();
        match fault {
            Some(fault) => self.tell(format!("em.flush().await; // with {fault:?}")),
            None => self.tell("em.flush().await"),
        }
        if fault.is_some() {
            self.database.set_fault(fault).await;
        }
        self.database.begin_counting();
        // If this is dropped, nobody will know whether the connection is still there.
        let may_die = fault == Some(Fault::Dies) && !self.frames.is_empty();
        self.killed |= may_die;
        self.conflict.1 |= fault == Some(Fault::Conflict);
        let outcome = self.em.flush().await;
        let waited = self.database.round_trips();
        let sent = self.database.log().statements();
        if fault.is_some() {
            self.database.set_fault(None).await;
            if self.frames.is_empty() {
                self.database.settled().await;
            }
        }
        let summary = match outcome {
            Ok(summary) => summary,
            Err(error) => {
                let line = format!("// -> {}", kind(&error));
                self.tell(line);
                if let (Error::UnresolvableUniqueSwap { .. }, Some(repair)) = (&error, swap) {
                    planned = Err(vec![Problem { kinds: &["UnresolvableUniqueSwap"], repair }]);
                }
                self.check_failure(&error, planned.as_ref().err(), fault, &sent)?;
                if may_die && kind(&error) == "Connection" {
                    return Err(error.into());
                }
                self.killed &= !may_die;
                self.conflict.0 |= matches!(error, Error::SerializationFailure { .. });
                self.check_unchanged(&before)?;
                self.check_database().await?;
                return Ok(Some(planned.err().unwrap_or_default()));
            }
        };
        self.killed &= !may_die;
        let flushed = match planned {
            Ok(flushed) => flushed,
            Err(problems) => wrong!("the flush has succeeded, expected {problems:?}"),
        };
        let at_once = matches!(fault, Some(Fault::Dies | Fault::Conflict));
        if fault.is_some() && flushed.writes() && (at_once || self.frames.is_empty()) {
            wrong!("the flush has succeeded in spite of {fault:?}");
        }
        self.check_summary(summary, &flushed, &sent, waited)?;
        self.published(flushed)?;
        self.check_memory()?;
        self.check_database().await?;
        Ok(None)
    }

    fn check_summary(
        &self,
        summary: FlushSummary,
        flushed: &Flushed,
        sent: &[String],
        waited: u64,
    ) -> Result<(), Stop> {
        let counts = (summary.inserted, summary.updated, summary.deleted);
        let expected = [&flushed.inserted, &flushed.updated, &flushed.deleted].map(|rows| rows.len() as u64);
        if [counts.0, counts.1, counts.2] != expected {
            wrong!("{summary:?}, expected {expected:?}");
        }
        let is_bounded = self.database.way != Way::WithoutSequences;
        let is_too_much = is_bounded && summary.round_trips > ROUND_TRIPS;
        if is_too_much || (self.frames.is_empty() && waited != summary.round_trips) {
            wrong!("{summary:?}, and the log has counted {waited} round trips");
        }
        // Nothing to write: nothing is sent (rule C2). Pivot rows that are there already may be sent.
        let collections = self.model.memory.values().any(|entity| !entity.claims.is_empty());
        if !flushed.writes() && !collections && !sent.is_empty() {
            wrong!("there was nothing to write, and this was sent: {sent:?}");
        }
        Ok(())
    }

    fn check_failure(
        &self,
        error: &Error,
        problems: Option<&Vec<Problem>>,
        fault: Option<Fault>,
        sent: &[String],
    ) -> Result<(), Stop> {
        let kind = kind(error);
        let mut allowed: BTreeSet<&str> = problems.into_iter().flatten().flat_map(|p| p.kinds).copied().collect();
        allowed.extend(match fault {
            None => &[][..],
            Some(Fault::Conflict) => &["SerializationFailure"],
            Some(Fault::CommitConflict) if self.frames.is_empty() => &["SerializationFailure"],
            Some(Fault::CommitDies) if self.frames.is_empty() => &["Connection", "CommitOutcomeUnknown"],
            Some(Fault::CommitConflict | Fault::CommitDies) => &[],
            Some(Fault::Dies) => &["Connection"],
        });
        if !allowed.contains(kind.as_str()) {
            wrong!("the flush has failed with {error}\n  {error:?}\n  expected {allowed:?}");
        }
        if REFUSALS.contains(&kind.as_str()) && !sent.is_empty() {
            wrong!("a plan that is refused has sent {sent:?}");
        }
        if let Error::OptimisticLock { entities } = error {
            let stale = problems.into_iter().flatten().filter_map(|problem| match problem.repair {
                Repair::Refresh(id) => Some(id),
                _ => None,
            });
            let name = |id: Id| {
                let table = self.model.memory[&id].table;
                format!("{table:?}#{}", self.handles[&id].id())
            };
            let expected: BTreeSet<String> = stale.map(name).collect();
            if entities.iter().cloned().collect::<BTreeSet<_>>() != expected {
                wrong!("{error}, expected {expected:?} (C9)");
            }
        }
        Ok(())
    }

    /// The flush has succeeded: the model goes on with its rows, and gets to know the new keys.
    pub fn published(&mut self, flushed: Flushed) -> Result<(), Stop> {
        if flushed.writes()
            && let Some(frame) = self.frames.last_mut()
        {
            frame.has_written = true;
        }
        self.model = flushed.model;
        for id in flushed.inserted {
            let Some(key) = self.handles[&id].key() else { wrong!("{} was inserted, and has no key", self.name(id)) };
            self.model.rows.get_mut(&id).unwrap().key = key;
        }
        self.model.rename();
        Ok(())
    }

    /// A flush whose future is dropped. The memory is as before; the next one brings everything to its end, once.
    pub async fn cancelled_flush(&mut self, polls: u8) -> Result<(), Stop> {
        let (mut planned, swap) = self.plan();
        let before = self.look();
        self.tell(format!("cancelled_after({polls}, em.flush()).await"));
        self.database.begin_counting();
        let done = cancelled_after(polls.into(), self.em.flush()).await;
        let sent = self.database.log().statements();
        if let (Some(Err(Error::UnresolvableUniqueSwap { .. })), Some(repair)) = (&done, swap) {
            planned = Err(vec![Problem { kinds: &["UnresolvableUniqueSwap"], repair }]);
        }
        match (done, planned) {
            (None, planned) => {
                self.tell("// -> dropped");
                self.check_unchanged(&before)?;
                let Ok(flushed) = planned else { return self.flush().await };
                if swap.is_none() && self.frames.is_empty() {
                    // Whether the server had it all already or has nothing of it: in the end it is written, once.
                    self.em.flush().await?;
                    self.published(flushed)?;
                    self.check_memory()?;
                    self.check_database().await?;
                }
                self.flush().await?;
                self.check_no_transaction().await
            }
            (Some(Ok(_)), Ok(flushed)) => {
                self.published(flushed)?;
                self.check_database().await
            }
            (Some(Err(error)), Err(problems)) => {
                self.check_failure(&error, Some(&problems), None, &sent)?;
                self.check_unchanged(&before)?;
                self.check_database().await
            }
            (Some(outcome), planned) => wrong!("the flush has answered {outcome:?}, expected {:?}", planned.err()),
        }
    }

    /// Without keys that are known: the numbers of rows are those that were expected.
    pub async fn check_counts(&self, flushed: &Flushed) -> Result<(), Stop> {
        let stored = self.database.stored().await;
        for table in super::tables::Table::ALL {
            let rows = stored.rows.keys().filter(|(other, _)| *other == table).count();
            let expected = flushed.model.rows.values().filter(|row| row.table == table).count();
            if rows != expected {
                wrong!("{rows} rows of {table:?} were written, expected {expected}");
            }
        }
        Ok(())
    }

    /// Does something against a problem; whether there was something to do.
    pub fn repair(&mut self, repair: Repair) -> bool {
        match repair {
            Repair::Assign(id, column) => self.assign_something(id, column),
            Repair::Keep(id) => {
                // Gone with everything else, to repair something before.
                let Some(entity) = self.model.memory.get(&id) else { return true };
                if matches!(entity.state, State::Removing | State::Removed) {
                    self.persist(id);
                }
                true
            }
            Repair::Unclaim(owner, relation, item) => {
                self.set_claim(owner, relation, item, false);
                true
            }
            Repair::Refresh(_) => false,
        }
    }

    fn assign_something(&mut self, id: Id, column: usize) -> bool {
        let Some(entity) = self.model.memory.get(&id) else { return true };
        if !matches!(entity.state, State::New | State::Scheduled | State::Managed) {
            return false;
        }
        let definition = entity.table.definition();
        // If a collection says otherwise, it is the collection that has the last word.
        let owners = self.model.memory.iter().flat_map(|(owner, entity)| {
            entity.claims.iter().map(move |((relation, item), added)| (*owner, *relation, *item, *added))
        });
        let claim =
            owners.filter(|(_, relation, item, added)| *item == id && relation.column() == Some(column) && *added);
        let claim = claim.map(|(owner, relation, item, _)| (owner, relation, item)).next();
        if let Some((owner, relation, item)) = claim {
            self.set_claim(owner, relation, item, false);
            return true;
        }
        let kind = definition.columns[column].kind;
        let value = match kind {
            Kind::To(_) if !definition.columns[column].nullable => return false,
            _ => self.fresh(kind),
        };
        debug_assert!(value != Value::Null || (column != AGE && column != STARS) || matches!(kind, Kind::To(_)));
        self.assign(id, column, value);
        true
    }
}

impl Flushed {
    /// Whether something is written.
    pub fn writes(&self) -> bool {
        self.links_changed || [&self.inserted, &self.updated, &self.deleted].into_iter().any(|rows| !rows.is_empty())
    }
}
