//! The types of the columns of queries that stand inside of others. They are the types of the columns that they come from: what
//! joins an enum, an address or a case-insensitive text finds one, in its order, and not the text that its values travel as.

use super::condition::{Writer, not_a_relation};
use super::expression::OrderTerm;
use super::query::{Distinct, SelectList, SelectQuery, SelectedTerm};
use super::scalar::Like;
use super::scope::Scope;
use super::select_list::{Casts, Rest};
use super::source::{FromItem, FromKind, Joined};
use super::term::{OWN, Term};
use crate::entity::FieldPath;
use crate::error::Error;
use crate::metadata::{EntityDef, KeyColumnDef, PropertyDef, SqlType};
use crate::types::ScalarType;

/// The column whose type a column of a query has; `None` if it has the type that its values travel as.
pub(super) type Kept<'a> = Option<Like<'a>>;

impl<'a> Writer<'a> {
    /// Writes with other casts.
    pub(super) fn casting<T>(
        &mut self,
        casts: Casts<'a>,
        write: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let before = std::mem::replace(&mut self.casts, casts);
        let outcome = write(self);
        self.casts = before;
        outcome
    }

    /// A query inside of another one, whose columns have these types.
    ///
    /// # Errors
    /// As [`nested`](Self::nested).
    pub(super) fn nested_keeping(
        &mut self,
        scope: &mut Scope,
        query: &SelectQuery,
        kept: Vec<Kept<'a>>,
    ) -> Result<(String, usize), Error> {
        self.casting(Casts { kept, rest: Rest::WhereRead }, |writer| writer.nested(scope, query))
    }

    /// The types of the columns of something in a FROM list that is known.
    pub(super) fn kept_of(&self, source: u32) -> Vec<Kept<'a>> {
        self.outputs.iter().find(|(number, _)| *number == source).map(|(_, kept)| kept.clone()).unwrap_or_default()
    }

    /// Finds out the types of everything in the FROM list of a query.
    ///
    /// # Errors
    /// As [`kept`](Self::kept).
    pub(super) fn note_sources(&mut self, query: &SelectQuery) -> Result<(), Error> {
        if let Some(source) = &query.from {
            self.note(source)?;
        }
        for join in &query.joins {
            if let Joined::Source(source) = &join.joined {
                self.note(source)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, source: &FromItem) -> Result<(), Error> {
        let number = source.number;
        if self.outputs.iter().any(|(known, _)| *known == number) {
            return Ok(());
        }
        let kept = match &source.kind {
            FromKind::Entity(_) | FromKind::Itself { .. } => return Ok(()),
            FromKind::Query(query) => self.kept(query)?,
            FromKind::Cte(cte) => match &cte.step {
                None => self.kept(&cte.query)?,
                Some((_, step)) => {
                    let first = enums(self.kept(&cte.query)?);
                    // The step speaks of the first rows.
                    self.outputs.push((number, first.clone()));
                    let kept = united(first, self.kept(step)?);
                    self.outputs.retain(|(known, _)| *known != number);
                    kept
                }
            },
        };
        self.outputs.push((number, kept));
        Ok(())
    }

    /// The types of the columns of a query.
    ///
    /// # Errors
    /// [`Error::Validation`] for a path that does not lead along relations.
    pub(super) fn kept(&mut self, query: &SelectQuery) -> Result<Vec<Kept<'a>>, Error> {
        if let Some(combined) = &query.combined {
            return Ok(united(self.kept(&combined.left)?, self.kept(&combined.right)?));
        }
        self.note_sources(query)?;
        let SelectList::Terms(terms) = &query.list else { return Ok(Vec::new()) };
        let mut kept = Vec::with_capacity(terms.len());
        for selected in terms {
            match &selected.term {
                Term::Column { path, property } => kept.extend(self.column_types(path, Some(*property))?),
                Term::Key(path) => kept.extend(self.column_types(path, None)?),
                _ => kept.push(self.kept_term(selected)),
            }
        }
        // A type need not have an equality: `json` has none, and `jsonb`, which its values travel as, has.
        Ok(if matches!(query.distinct, Distinct::Once) { enums(kept) } else { kept })
    }

    /// The type of a term that is no column.
    pub(super) fn kept_term(&self, selected: &SelectedTerm) -> Kept<'a> {
        self.like(&selected.term).filter(|like| like.sql_type.is_some() && Some(like.pg) == selected.pg)
    }

    /// The order of a query. Where only what is selected can be ordered by, columns that are read as another type of the same
    /// order are columns of the result: without the cast the server would take them for other expressions.
    ///
    /// # Errors
    /// As [`kept`](Self::kept).
    pub(super) fn order_by_result(&self, query: &SelectQuery) -> Result<Vec<OrderTerm>, Error> {
        let mut order = query.selection.order.clone();
        let (SelectList::Terms(terms), Distinct::Once) = (&query.list, &query.distinct) else { return Ok(order) };
        let mut number = 0;
        for selected in terms {
            let types = match &selected.term {
                Term::Column { path, property } => self.column_types(path, Some(*property))?,
                Term::Key(path) => self.column_types(path, None)?,
                _ => vec![None],
            };
            let width = types.len();
            if let [Some(like)] = types.as_slice()
                && like.is_ordered_as_it_travels()
            {
                for by in order.iter_mut().filter(|by| by.term.is_same_column(&selected.term)) {
                    by.term = Term::Output { source: OWN, column: number };
                }
            }
            number += width;
        }
        Ok(order)
    }

    /// The types of the columns of a property, or of the key, at the end of a path.
    fn column_types(&self, path: &FieldPath, property: Option<u16>) -> Result<Vec<Kept<'a>>, Error> {
        let entity = self.entity_at(path)?;
        let keys = |columns: &'a [KeyColumnDef]| {
            columns.iter().map(|column| column.sql_type.as_ref().map(|_| Like::of_key(entity, column))).collect()
        };
        Ok(match property.map(|property| entity.properties.get(usize::from(property))) {
            None => keys(&entity.key),
            Some(Some(PropertyDef::Column(column))) => vec![column.sql_type.as_ref().map(|_| Like::of(entity, column))],
            Some(Some(PropertyDef::Relation(relation))) if relation.is_owning_to_one() => keys(&relation.columns),
            Some(Some(PropertyDef::Relation(relation))) => keys(&self.metadata().target(relation).key),
            Some(None) => return Err(not_a_relation(entity)),
        })
    }

    /// The entity at the end of a path.
    pub(super) fn entity_at(&self, path: &FieldPath) -> Result<&'a EntityDef, Error> {
        let metadata = self.metadata();
        let mut entity = metadata.of(path.start())?;
        for hop in path.hops() {
            entity = metadata.target(entity.relation(usize::from(*hop)).ok_or_else(|| not_a_relation(entity))?);
        }
        Ok(entity)
    }
}

/// Only those that are enums.
fn enums(kept: Vec<Kept<'_>>) -> Vec<Kept<'_>> {
    kept.into_iter().map(|kept| kept.filter(Like::is_enum)).collect()
}

/// The types that rows of both queries have: an enum where one of them has it, for the values of the other are its variants; of
/// anything else the types may differ, or have no equality.
fn united<'a>(left: Vec<Kept<'a>>, right: Vec<Kept<'a>>) -> Vec<Kept<'a>> {
    enums(left).into_iter().zip(enums(right)).map(|(left, right)| left.or(right)).collect()
}

impl Like<'_> {
    /// Whether a type is that of the column.
    pub(super) fn is(&self, other: &SqlType) -> bool {
        match (self.sql_type, other) {
            (Some(SqlType::Given(own)), SqlType::Given(other)) => own == other,
            (
                Some(SqlType::Enum { definition: own, is_array }),
                SqlType::Enum { definition: other, is_array: other_is_array },
            ) => own.schema == other.schema && own.name == other.name && is_array == other_is_array,
            _ => false,
        }
    }

    /// Whether values have the same order as what they are read as. Enums have not, and are ordered as what they are.
    fn is_ordered_as_it_travels(&self) -> bool {
        self.is_enum() || (self.pg != String::TYPE && self.pg != String::TYPE.array())
    }

    fn is_enum(&self) -> bool {
        matches!(self.sql_type, Some(SqlType::Enum { .. }))
    }
}
