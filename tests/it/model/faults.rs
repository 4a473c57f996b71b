//! Faults from outside: futures that are dropped, connections that end, other people's writing.

use howdah::prelude::*;

use super::flushing::kind;
use super::handles;
use super::tables::{Id, Kind, Table, Value};
use super::world::{Stop, World, wrong};

impl World<'_> {
    /// The server ends the library's connections. Outside of a scope that may be noticed or not; inside it fails all scopes.
    pub async fn kill_connections(&mut self) -> Result<(), Stop> {
        self.tell("// the server ends the connections");
        self.killed = !self.frames.is_empty();
        self.database.kill_connections().await;
        if self.killed {
            return match handles::find_all(&self.em, Table::City).await {
                Ok(_) => wrong!("something was read over a connection that had ended"),
                Err(error) => Err(error.into()),
            };
        }
        let (planned, swap) = self.plan();
        let before = self.look();
        self.tell("em.flush().await");
        let outcome = self.em.flush().await;
        self.database.settled().await;
        match (outcome, planned) {
            (Ok(_), Ok(flushed)) => {
                self.published(flushed)?;
                self.check_database().await
            }
            (Err(error), planned) => {
                let line = format!("// -> {}", kind(&error));
                self.tell(line);
                let expected = planned.err().unwrap_or_default();
                let mut allowed = vec!["Connection", "CommitOutcomeUnknown"];
                allowed.extend(expected.iter().flat_map(|problem| problem.kinds));
                allowed.extend(swap.map(|_| "UnresolvableUniqueSwap"));
                if !allowed.contains(&kind(&error).as_str()) {
                    wrong!("the flush has failed with {error}");
                }
                self.check_unchanged(&before)?;
                self.check_database().await?;
                self.flush().await
            }
            (Ok(_), Err(problems)) => wrong!("the flush has succeeded, expected {problems:?}"),
        }
    }

    /// Somebody else changes or deletes a row, and the next flush sees it if it has to do with it (rule C9).
    pub async fn written_outside(&mut self, entity: u8, delete: bool) -> Result<(), Stop> {
        let Some(id) = self.pick(entity, |_, entity| entity.known.is_some()) else { return Ok(()) };
        let table = self.model.memory[&id].table;
        let definition = table.definition();
        let place = format!("{} WHERE {} = '{}'", definition.name, definition.key, self.model.rows[&id].key);
        if delete {
            let is_referred_to = self.model.rows.values().any(|row| row.fields.contains(&Value::Row(id)))
                || self.model.links.iter().any(|(one, two)| *one == id || *two == id);
            if is_referred_to {
                return Ok(());
            }
            self.tell(format!("// somebody deletes {}", self.name(id)));
            self.database.execute(&format!("DELETE FROM {place}")).await;
            self.model.rows.remove(&id);
            // Whoever has it in a collection keeps it there: what is flushed once more begins anew.
            let planned = self.model.flush(&self.loaded());
            if planned.is_err() {
                self.flush_once(None).await?;
            }
            self.clear();
            return self.check_database().await;
        }
        let plain = |column: &usize| {
            definition.columns[*column].kind == Kind::Text
                && !definition.unique.iter().any(|unique| unique.contains(column))
        };
        let Some(column) = (0..definition.columns.len()).find(plain) else { return Ok(()) };
        let value = self.fresh(Kind::Text);
        let Value::Text(text) = &value else { return Ok(()) };
        let (table, target) = place.split_once(' ').unwrap_or_default();
        let version = definition.version.map_or("", |_| ", version = version + 1");
        let name = definition.columns[column].name;
        self.tell(format!("// somebody writes {}.{name} = {text}", self.name(id)));
        self.database.execute(&format!("UPDATE {table} SET {name} = '{text}'{version} {target}")).await;
        let row = self.model.rows.get_mut(&id).map(|row| &mut row.fields);
        let Some(row) = row else { return Ok(()) };
        row[column] = value;
        if let Some(version) = definition.version
            && let Value::Int(number) = &mut row[version]
        {
            *number += 1;
        }
        self.flush().await?;
        if self.model.memory.get(&id).is_some_and(|entity| entity.known.is_some()) {
            self.refresh(id).await?;
        }
        Ok(())
    }

    /// Reads again what somebody else has changed; what somebody else has deleted is not there.
    pub async fn refresh_stale(&mut self, id: Id) -> Result<(), Stop> {
        if self.model.rows.contains_key(&id) {
            return self.refresh(id).await;
        }
        match self.handles[&id].clone().refresh(&self.em).await {
            Err(Error::NotFound { .. }) => {}
            outcome => wrong!("{} was refreshed though its row is gone: {outcome:?}", self.name(id)),
        }
        self.clear();
        Ok(())
    }

    /// What `clear()` has left behind is refused, and forgotten.
    pub async fn persist_detached(&mut self, entity: u8) -> Result<(), Stop> {
        if self.detached.is_empty() {
            return Ok(());
        }
        let handle = self.detached[usize::from(entity) % self.detached.len()].clone();
        if handle.state() != EntityState::Detached {
            wrong!("{handle:?} was left behind by clear(), and is {:?}", handle.state());
        }
        self.tell("em.persist(&detached); em.flush().await");
        handle.persist(&self.em);
        let before = self.look();
        self.database.begin_counting();
        match self.em.flush().await {
            Err(Error::Detached { .. }) => {}
            Err(error) if super::reference::REFUSALS.contains(&kind(&error).as_str()) => {}
            outcome => wrong!("a detached entity was flushed: {outcome:?}"),
        }
        let sent = self.database.log().statements();
        if !sent.is_empty() {
            wrong!("a plan that is refused has sent {sent:?}");
        }
        self.check_unchanged(&before)
    }
}
