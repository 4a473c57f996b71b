//! The rules that a definition must keep, one function each, with the reason.
//!
//! What only the whole model can tell (a missing inverse side, two entities of one table) is checked when an `Orm` is
//! made; what only types can tell, by the compiler through the generated code.

use syn::LitStr;
use syn::ext::IdentExt;

use crate::errors::Errors;
use crate::field_type::{is_named, is_timestamp, plain_name};
use crate::model::{Column, Entity, Field, FieldKind, Index, Relation, RelationKind};

/// Reports every rule that the entity breaks.
pub fn entity(entity: &Entity, errors: &Errors) {
    check_key(entity, errors);
    check_versions(entity, errors);
    for field in &entity.fields {
        match &field.kind {
            FieldKind::Column(column) => {
                check_key_column(field, column, errors);
                check_version_column(field, column, errors);
                check_defaults(field, column, errors);
                check_digits(field, column, errors);
            }
            FieldKind::Relation(relation) => {
                check_key_relation(field, relation, errors);
                check_sides(relation, errors);
                check_inverse_options(field, relation, errors);
                check_set_null(relation, errors);
            }
            FieldKind::Transient | FieldKind::Invalid => {}
        }
    }
    for index in &entity.indexes {
        check_index(entity, index, errors);
    }
}

/// An entity is found in the identity map by its key; and tuples have a longest form.
fn check_key(entity: &Entity, errors: &Errors) {
    let mut key = entity.key();
    match key.nth(6).and_then(|field| field.primary_key) {
        Some(span) => errors.push(span, "a key has at most six fields"),
        None if entity.key().next().is_none() => {
            let name = &entity.ident;
            errors.push(name.span(), format!("`{name}` has no key: mark a field with #[primary_key]"));
        }
        None => {}
    }
}

/// Two versions would be two answers to whether a row is stale.
fn check_versions(entity: &Entity, errors: &Errors) {
    let versions = entity.fields.iter().filter_map(Field::as_column).filter_map(|column| column.version);
    for span in versions.skip(1) {
        errors.push(span, "an entity has one #[version]");
    }
}

/// A key is never NULL, and is made in one way.
fn check_key_column(field: &Field, column: &Column, errors: &Errors) {
    if field.primary_key.is_none() {
        return;
    }
    if column.nullable {
        errors.push_on(&field.ty, "a key cannot be NULL: take the `Option` away");
    }
    if let (Some(span), Some(_)) = (column.assigned, &column.default_sql) {
        errors.push(span, "`assigned` and `default` exclude each other: who makes the key?");
    }
    let unusable = [("default", &column.default), ("on_create", &column.on_create), ("on_update", &column.on_update)];
    for (option, value) in unusable {
        if let Some(value) = value {
            let instead = "set an `assigned` key, or write #[primary_key(default = \"sql\")]";
            errors.push_on(value, format!("`{option}` cannot make a key: {instead}"));
        }
    }
}

/// The database makes versions: it counts them up, or sets them to the time.
fn check_version_column(field: &Field, column: &Column, errors: &Errors) {
    let Some(version) = column.version else { return };
    let is_number = plain_name(&field.ty).is_some_and(|name| ["i16", "i32", "i64"].contains(&name.as_str()));
    if !is_number && !is_timestamp(&field.ty) {
        errors.push_on(&field.ty, "a #[version] is an i16, i32, i64, DateTime<Utc> or NaiveDateTime");
    }
    if column.default.is_some() || column.default_sql.is_some() || has_hook(column) {
        errors.push(version, "a #[version] is made by the database: it has no default, on_create or on_update");
    }
    // Two versions of one second would be the same in a `timestamptz(0)`, and an update be lost.
    let is_coarse = |sql_type: &LitStr| sql_type.value().contains('(') && !sql_type.value().contains("(6)");
    if is_timestamp(&field.ty)
        && (column.precision.is_some_and(|digits| digits < 6) || column.sql_type.as_ref().is_some_and(is_coarse))
    {
        errors.push(version, "a #[version] tells microseconds apart: its column has 6 digits behind the second");
    }
}

const fn has_hook(column: &Column) -> bool {
    column.on_create.is_some() || column.on_update.is_some()
}

/// A value is made in one way; and a new entity must show that the database is to make it.
fn check_defaults(field: &Field, column: &Column, errors: &Errors) {
    let Some(default_sql) = &column.default_sql else { return };
    if let Some(value) = column.default.as_ref().or(column.on_create.as_ref()) {
        errors.push_on(value, "give one of `default_sql`, and `default` or `on_create`: who makes the value?");
    }
    if is_named(&field.ty, "bool") && default_sql.value() != "false" {
        let instead = "write `default = true`, or make the field an `Option<bool>`";
        errors.push(default_sql.span(), format!("`false` would mean \"the database makes it\": {instead}"));
    }
}

/// `numeric(precision, scale)`: a scale alone says nothing.
fn check_digits(field: &Field, column: &Column, errors: &Errors) {
    match (column.precision, column.scale) {
        (None, Some(_)) => errors.push(field.ident.span(), "`scale` needs `precision`, too"),
        (Some(precision), Some(scale)) if scale > precision => {
            errors.push(field.ident.span(), format!("a scale of {scale} does not fit into a precision of {precision}"));
        }
        _ => {}
    }
}

/// Only a foreign key of the entity's own table can be part of its key, and no part of a key is NULL.
fn check_key_relation(field: &Field, relation: &Relation, errors: &Errors) {
    let Some(span) = field.primary_key else { return };
    if !relation.has_columns() {
        errors.push(span, "a key is made of columns, and this side of the relation has none in the table");
    } else if relation.nullable {
        errors.push_on(&field.ty, "a key cannot be NULL: write `Ref<…>` without `Option`");
    }
}

/// A relation has one owning side; the other one names it.
fn check_sides(relation: &Relation, errors: &Errors) {
    if let (Some(_), Some(inversed_by)) = (&relation.mapped_by, &relation.inversed_by) {
        let reason = "`mapped_by` is for the inverse side, `inversed_by` for the owning side";
        errors.push(inversed_by.span(), format!("keep one: {reason}"));
    }
    if relation.kind == RelationKind::OneToMany && relation.mapped_by.is_none() {
        errors.push(
            relation.span,
            "#[one_to_many] needs `mapped_by`: the field of the other entity that refers back here",
        );
    }
}

/// The inverse side has no columns that options could be about, and no row that must be there.
fn check_inverse_options(field: &Field, relation: &Relation, errors: &Errors) {
    if !relation.is_inverse() {
        return;
    }
    if relation.kind == RelationKind::OneToOne && !relation.nullable {
        errors.push_on(&field.ty, "the inverse side of a one-to-one may be missing: write `Option<Ref<…>>`");
    }
    let owning_side = [
        ("column", !relation.columns.is_empty()),
        ("on_delete", relation.on_delete.is_some()),
        ("on_update", relation.on_update.is_some()),
        ("deferrable", relation.deferrable.is_some()),
        ("index", relation.index),
        ("comment", relation.comment.is_some()),
        ("pivot_table", relation.pivot_table.is_some()),
        ("join_column", !relation.join_columns.is_empty()),
        ("inverse_join_column", !relation.inverse_join_columns.is_empty()),
        ("fixed_order", relation.fixed_order),
    ];
    for (option, given) in owning_side {
        if given {
            let message = format!("`{option}` belongs on the owning side: this one is `mapped_by` the other");
            errors.push(relation.span, message);
        }
    }
}

/// `SET NULL` on a NOT NULL column fails only when a row is deleted.
fn check_set_null(relation: &Relation, errors: &Errors) {
    for action in [&relation.on_delete, &relation.on_update].into_iter().flatten() {
        if action.sql == "set null" && !relation.nullable {
            errors.push(action.span, "\"set null\" needs a relation that may be missing: `Option<Ref<…>>`");
        }
    }
}

/// An index is over columns of the table.
fn check_index(entity: &Entity, index: &Index, errors: &Errors) {
    let attribute = if index.unique { "unique" } else { "index" };
    if index.fields.is_empty() && index.expressions.as_ref().is_some_and(Vec::is_empty) {
        errors.push(
            index.span,
            format!(
                "#[{attribute}] needs the names of fields, or an expression: #[{attribute}(one, two)], \
                 #[{attribute}(expression = \"lower(one)\")]"
            ),
        );
    }
    for name in &index.fields {
        match entity.fields.iter().find(|field| name.unraw() == field.name()) {
            None => errors.push(name.span(), format!("`{}` has no field `{name}`", entity.ident)),
            Some(field) if !has_columns(field) => {
                errors.push(name.span(), format!("`{name}` has no column in the table of `{}`", entity.ident));
            }
            Some(_) => {}
        }
    }
}

fn has_columns(field: &Field) -> bool {
    match &field.kind {
        FieldKind::Column(_) | FieldKind::Invalid => true,
        FieldKind::Relation(relation) => relation.has_columns(),
        FieldKind::Transient => false,
    }
}
