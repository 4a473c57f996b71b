//! `#[many_to_one(…)]`, `#[one_to_many(…)]`, `#[one_to_one(…)]` and `#[many_to_many(…)]`.

use super::Arguments;
use crate::model::{Action, Cascade, Relation, RelationKind};

const MANY_TO_ONE: [&str; 10] = [
    "inversed_by",
    "cascade",
    "column",
    "columns",
    "on_delete",
    "on_update",
    "deferrable",
    "unique",
    "index",
    "comment",
];

const ONE_TO_ONE: [&str; 11] = [
    "mapped_by",
    "inversed_by",
    "cascade",
    "orphan_removal",
    "column",
    "columns",
    "on_delete",
    "on_update",
    "deferrable",
    "index",
    "comment",
];

const ONE_TO_MANY: [&str; 3] = ["mapped_by", "cascade", "orphan_removal"];

const MANY_TO_MANY: [&str; 10] = [
    "mapped_by",
    "inversed_by",
    "cascade",
    "pivot_table",
    "join_column",
    "join_columns",
    "inverse_join_column",
    "inverse_join_columns",
    "fixed_order",
    "fixed_order_column",
];

/// Reads a relation attribute into the relation.
pub fn relation(mut arguments: Arguments<'_>, relation: &mut Relation) {
    let kind = relation.kind;
    if kind != RelationKind::ManyToOne {
        relation.mapped_by = arguments.field("mapped_by");
    }
    if kind != RelationKind::OneToMany {
        relation.inversed_by = arguments.field("inversed_by");
    }
    relation.cascade = cascade(&mut arguments);
    if matches!(kind, RelationKind::OneToMany | RelationKind::OneToOne) {
        relation.orphan_removal = arguments.flag("orphan_removal").is_some();
    }
    if !kind.is_to_many() {
        foreign_key(&mut arguments, relation);
    }
    if kind == RelationKind::ManyToOne {
        relation.unique = arguments.flag("unique").is_some();
    }
    if kind == RelationKind::ManyToMany {
        relation.pivot_table = arguments.string("pivot_table");
        relation.join_columns = arguments.strings("join_column", "join_columns");
        relation.inverse_join_columns = arguments.strings("inverse_join_column", "inverse_join_columns");
        relation.fixed_order_column = arguments.string("fixed_order_column");
        relation.fixed_order = arguments.flag("fixed_order").is_some() || relation.fixed_order_column.is_some();
    }
    arguments.finish(match kind {
        RelationKind::ManyToOne => &MANY_TO_ONE,
        RelationKind::OneToMany => &ONE_TO_MANY,
        RelationKind::OneToOne => &ONE_TO_ONE,
        RelationKind::ManyToMany => &MANY_TO_MANY,
    });
}

fn foreign_key(arguments: &mut Arguments<'_>, relation: &mut Relation) {
    relation.columns = arguments.strings("column", "columns");
    relation.on_delete = action(arguments, "on_delete");
    relation.on_update = action(arguments, "on_update");
    relation.deferrable = deferrable(arguments);
    relation.index = arguments.flag("index").is_some();
    relation.comment = arguments.string("comment");
}

fn cascade(arguments: &mut Arguments<'_>) -> Option<Cascade> {
    let words = arguments.words("cascade")?;
    let mut cascade = Cascade { persist: false, remove: false };
    for word in words {
        if word == "persist" {
            cascade.persist = true;
        } else if word == "remove" {
            cascade.remove = true;
        } else if word == "all" {
            cascade = Cascade { persist: true, remove: true };
        } else {
            arguments.report(word.span(), format!("`{word}` cannot be cascaded; there are `persist`, `remove`, `all`"));
        }
    }
    Some(cascade)
}

fn action(arguments: &mut Arguments<'_>, name: &str) -> Option<Action> {
    const ACTIONS: [&str; 5] = ["cascade", "set null", "set default", "restrict", "no action"];
    let (span, phrase) = arguments.phrase(name)?;
    let known = ACTIONS.into_iter().find(|known| *known == phrase);
    if known.is_none() {
        let list = ACTIONS.join("\", \"");
        arguments.report(span, format!("`{name}` takes one of \"{list}\""));
    }
    known.map(|sql| Action { sql, span })
}

/// `deferrable`, or `deferrable = "initially deferred"`: when the database checks the constraint.
pub fn deferrable(arguments: &mut Arguments<'_>) -> Option<&'static str> {
    let (span, phrase) = arguments.phrase("deferrable")?;
    match phrase.as_str() {
        "" | "initially immediate" => Some("initially immediate"),
        "initially deferred" => Some("initially deferred"),
        _ => {
            arguments.report(span, "`deferrable` takes \"initially deferred\" or \"initially immediate\"");
            None
        }
    }
}
