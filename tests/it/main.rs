//! The integration tests: one binary, a module per capability, a real PostgreSQL, a database per test.
//!
//! Numbers like A1 or C5 in test names and comments are those of the rules of the unit of work (docs, "The rules").
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    clippy::missing_const_for_fn,
    clippy::needless_pass_by_value,
    clippy::cloned_ref_to_slice_refs,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "a test that fails panics; what it defines is seen by nobody else; `[x.clone()]` reads as what is expected"
)]

mod agreement;
mod borrowing;
mod by_reference;
mod cached_writes;
mod cancellation;
mod cascades;
mod change_tracking;
mod chinook;
mod collections;
mod compile_fail;
mod composite_keys;
mod connecting;
mod copy_in;
mod cursors;
mod deletion_rules;
mod derived_types;
mod documentation;
mod domains;
mod entity_sets;
mod enums;
mod ephemeral_database;
mod errors;
mod filters;
mod find_options;
mod flush;
mod flush_concurrency;
mod flush_failures;
mod flush_modes;
mod found_by_model;
mod guards;
mod identity;
mod insert_many;
mod isolation;
mod joined_queries;
mod key_allocation;
mod key_change_rules;
mod key_changes;
mod keys;
mod lazy_columns;
mod library;
mod loading;
mod lost_connections;
mod manual_savepoints;
mod many_to_many;
mod memory;
mod merging;
mod metadata;
mod model;
mod naming;
mod native_writes;
mod on_commit;
mod operators;
mod optimistic_locks;
mod ordered_many_to_many;
mod ordering;
mod pagila;
mod pessimistic_locks;
mod pgbouncer;
mod plain_sql;
mod populate;
mod projections;
mod propagation;
mod proxy;
mod query_builder;
mod query_inserts;
mod query_parts;
mod query_returning;
mod query_writes;
mod relation_filters;
mod repositories;
mod result_cache;
mod retries;
mod rollback_memory;
mod round_trips;
mod row_cycles;
mod row_filters;
mod savepoints;
mod schema;
mod selecting;
mod send_futures;
mod shuffled_rows;
mod smoke;
mod statement_cache;
mod support;
mod timeouts;
mod transactions;
mod type_overrides;
mod types;
mod unique_slots;
mod upsert;
