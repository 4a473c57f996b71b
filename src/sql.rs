//! The only folder that writes SQL text, one file per statement kind.
//!
//! Identifiers are always quoted, values are always bind parameters, and no statement's text depends on how many rows it
//! carries: rows travel as one array a column (rule C4), so prepared statements are found again.

mod common_table;
mod comparison;
mod condition;
mod copy_in;
mod cursor;
pub(crate) mod ddl;
mod delete;
mod entity_set;
mod expression;
mod filter_options;
mod guard;
mod identifier;
mod insert;
mod insert_rows;
mod key_condition;
mod keys;
mod lexer;
mod lock;
mod mentions;
mod native;
mod output;
mod page;
mod parameter;
mod parts;
mod pivot;
mod placed;
mod plain;
mod projection;
mod query;
mod related;
mod restriction;
mod returning;
mod root_rows;
mod row_filters;
mod scalar;
mod scope;
mod seen;
mod select;
mod select_list;
mod shape;
mod source;
mod subselect;
mod term;
mod texts;
mod together;
pub(crate) mod transaction;
mod update;
mod upsert;
mod view;
mod written_versions;

pub(crate) use copy_in::{CopyFormat, CopyRow, copy_in, row_in_context};
pub(crate) use cursor::{close, declare, fetch, is_of_a_cursor};
pub(crate) use delete::{delete, delete_by_keys};
pub(crate) use expression::{Expression, Operator, OrderTerm, Quantifier, Selection};
pub(crate) use filter_options::{FilterOptions, FilterParams, next_number as next_filter_number};
pub(crate) use guard::{GuardFailure, Intake, guard_failure, stale_rows};
pub(crate) use insert::insert;
pub(crate) use insert_rows::{Fill, Insert, InsertConflict, insert_select, insert_values};
pub(crate) use keys::{NEXT_KEYS, default_values, generated_key, table_name};
pub(crate) use lexer::{Token, ends_in_comment, token};
pub(crate) use lock::{LockStrength, LockWait, RowLock, row};
pub(crate) use mentions::Mentions;
pub(crate) use native::{Rows, SetProperty, SetValue, native_delete, native_update};
pub(crate) use page::{PageOrder, RowPlace, Side, Window, exists_beyond, page};
pub(crate) use parameter::{ColumnArray, Param, Statement, key_arrays};
pub(crate) use parts::{Form, Part, Source, separately, together as parts_together};
pub(crate) use pivot::{pivot_clear, pivot_delete, pivot_insert, pivot_place};
pub(crate) use plain::{PlainValue, missing_column, plain, plain_entities};
pub(crate) use query::{
    Combined, Distinct, SelectList, SelectQuery, SelectedTerm, SetOperator, count_query, exists_query, query,
};
pub(crate) use row_filters::{MakeCondition, RowFilters, Sight};
pub(crate) use select::{count, exists, select, select_by_key};
pub(crate) use shape::Shape;
pub(crate) use source::{Cte, FromItem, FromKind, Join, JoinKind, Joined};
pub(crate) use term::{Aggregate, Bound, OWN, Piece, SubSelect, Term, WindowCall};
pub(crate) use texts::{StatementTexts, Verb};
pub(crate) use together::{read_back, together, together_delete, together_insert};
pub(crate) use transaction::set_constraints;
pub(crate) use update::{advance, park, returns_version, update};
pub(crate) use upsert::{ConflictAction, ConflictTarget, conflicting, is_ambiguous, upsert};
pub(crate) use view::View;
pub(crate) use written_versions::with_versions;
