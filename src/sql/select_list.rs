//! What a query selects: columns and terms, each cast to the type that it is read as.

use super::condition::Writer;
use super::identifier::push_cast;
use super::output::Kept;
use super::placed::placed;
use super::projection::push_travel_cast;
use super::query::{SelectList, SelectQuery, SelectedTerm};
use super::scope::Scope;
use super::select::ROOT;
use super::shape::Shape;
use super::term::Term;
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::EntityDef;
use crate::types::PgType;

/// Which of the columns that are selected are cast.
#[derive(Clone, Debug)]
pub(super) struct Casts<'a> {
    /// Of a query whose columns others speak of: those that have the type of a column, and not the one its values travel as.
    pub(super) kept: Vec<Kept<'a>>,
    pub(super) rest: Rest,
}

/// Which of the other columns are cast to the type of their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Those that are read as another type.
    WhereRead,
    /// All: the parts of a recursive query must have the same types, lengths included.
    Always,
    /// None: what is selected is compared with columns as they are.
    Never,
}

impl<'a> Casts<'a> {
    /// Of rows that are read.
    pub(super) const fn where_read() -> Self {
        Self { kept: Vec::new(), rest: Rest::WhereRead }
    }

    /// The type that a column is to have, where it is not that of its values.
    fn target(&self, column: usize) -> Kept<'a> {
        self.kept.get(column).copied().flatten()
    }

    /// Whether a column is cast to the type of its values, which it does not have itself.
    pub(super) fn change(&self, column: usize) -> bool {
        self.target(column).is_none() && self.rest != Rest::Never
    }
}

impl Writer<'_> {
    pub(super) fn select_list(
        &mut self,
        scope: &mut Scope,
        query: &SelectQuery,
        entity: &EntityDef,
        alias: &str,
        joins: &mut String,
    ) -> Result<Vec<String>, Error> {
        let mut list = Vec::new();
        match &query.list {
            SelectList::Entity if alias == ROOT && query.from.is_none() => {
                let mut columns = String::new();
                Shape::of(entity).push(self, &mut columns, joins)?;
                list.push(columns);
            }
            SelectList::Entity => {
                let message = "a query inside of another one has no entities: select columns of it";
                return Err(Error::validation(entity.meta.name, message));
            }
            SelectList::Keys => list.extend(placed(alias, &entity.key).into_iter().map(|column| column.text)),
            SelectList::Projection(meta) => {
                self.projection(scope, &FieldPath::root(query.root), meta, &mut Vec::new(), &mut list)?;
            }
            SelectList::Terms(terms) => {
                for selected in terms {
                    self.push_selected(scope, selected, &mut list)?;
                }
            }
        }
        Ok(list)
    }

    /// One column of the result, cast to the type that it is read as, or to the one that the rows of other queries have.
    fn push_selected(
        &mut self,
        scope: &mut Scope,
        selected: &SelectedTerm,
        list: &mut Vec<String>,
    ) -> Result<(), Error> {
        let columns = match &selected.term {
            Term::Column { path, property } => Some(self.locate(scope, path, *property)?.columns),
            Term::Key(path) => Some(self.key_columns(scope, path)?),
            _ => None,
        };
        if let Some(columns) = columns {
            for column in columns {
                let mut text = column.text;
                let is_other = match self.casts.rest {
                    Rest::WhereRead => column.sql_type.is_some(),
                    Rest::Always => true,
                    Rest::Never => false,
                };
                match self.casts.target(list.len()) {
                    Some(target) if column.sql_type.is_some_and(|own| target.is(own)) => {}
                    Some(target) => push_cast(&mut text, target.sql_type),
                    None => push_travel_cast(&mut text, is_other, column.pg),
                }
                list.push(text);
            }
            return Ok(());
        }
        let own = self.kept_term(selected);
        let target = self.casts.target(list.len());
        let text = self.term(scope, &selected.term)?;
        list.push(match (target, own) {
            (Some(target), Some(own)) if own.sql_type.is_some_and(|own| target.is(own)) => text,
            (Some(target), _) => {
                let mut text = format!("({text})");
                push_cast(&mut text, target.sql_type);
                text
            }
            (None, own) => {
                let may_be_other = |pg| own.is_some() || may_be_other(&selected.term, pg);
                match selected.pg.filter(|pg| self.casts.rest != Rest::Never && may_be_other(*pg)) {
                    Some(pg) => format!("({text})::{}", pg.name),
                    None => text,
                }
            }
        });
        Ok(())
    }

    /// Terms to group or partition by, separated by commas.
    pub(super) fn grouping(&mut self, scope: &mut Scope, terms: &[Term]) -> Result<String, Error> {
        let mut list = Vec::new();
        for term in terms {
            match term {
                Term::Column { path, property } => {
                    let columns = self.locate(scope, path, *property)?.columns;
                    list.extend(columns.into_iter().map(|column| column.text));
                }
                Term::Key(path) => {
                    list.extend(self.key_columns(scope, path)?.into_iter().map(|column| column.text));
                }
                term => list.push(self.term(scope, term)?),
            }
        }
        Ok(list.join(", "))
    }
}

/// Whether the server may answer with another type than the one that is read.
fn may_be_other(term: &Term, pg: PgType) -> bool {
    match term {
        Term::Output { .. } | Term::Bound(_) => false,
        Term::Cast { to, .. } => *to != pg.name,
        Term::Aggregate(aggregate) => aggregate.function != "count",
        _ => true,
    }
}
