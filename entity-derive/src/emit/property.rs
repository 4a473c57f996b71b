//! The description of one property: a chain of the constant builders of `PropertyMeta`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::LitStr;
use syn::ext::IdentExt;

use super::field_access::FieldAccess;
use super::key::{Generation, generation};
use super::values::{Value, function_name};
use crate::model::{Column, Entity, Field, FieldKind, Relation};

/// The description of a field; `None` if it is no property.
pub fn property(entity: &Entity, entity_name: &str, index: usize, field: &Field) -> Option<TokenStream> {
    let mut tokens = match &field.kind {
        FieldKind::Column(column) => {
            let mut tokens = FieldAccess::new(field).column_meta(entity_name);
            tokens.extend(column_options(field, column, index));
            tokens.extend(match generation(entity, field, column) {
                Generation::Identity => quote!(.identity()),
                Generation::UuidV7 => quote!(.uuid_v7()),
                Generation::Assigned => TokenStream::new(),
            });
            tokens
        }
        FieldKind::Relation(relation) => {
            let mut tokens = relation_start(entity_name, field, relation);
            tokens.extend(relation_options(relation));
            tokens
        }
        FieldKind::Transient | FieldKind::Invalid => return None,
    };
    if field.primary_key.is_some() {
        tokens.extend(quote!(.primary()));
    }
    Some(tokens)
}

/// The type of a number column with this precision and scale, where no type was given by hand.
fn numeric(column: &Column) -> Option<String> {
    let precision = column.precision.filter(|_| column.sql_type.is_none())?;
    Some(match column.scale {
        Some(scale) => format!("numeric({precision}, {scale})"),
        None => format!("numeric({precision})"),
    })
}

fn column_options(field: &Field, column: &Column, index: usize) -> TokenStream {
    let mut tokens = text_option("named", column.name.as_ref());
    tokens.extend(text_option("sql_type", column.sql_type.as_ref()));
    tokens.extend(text_option("default_sql", column.default_sql.as_ref()));
    tokens.extend(text_option("check", column.check.as_ref()));
    tokens.extend(text_option("comment", column.comment.as_ref()));
    tokens.extend(number_option("length", column.length));
    tokens.extend(number_option("precision", column.precision.map(u32::from)));
    tokens.extend(number_option("scale", column.scale.map(u32::from)));
    tokens.extend(numeric(column).map(|sql_type| quote!(.numeric(#sql_type))));
    tokens.extend(flag("unique", column.unique));
    tokens.extend(flag("index", column.index));
    if column.version.is_some() {
        let ty = &field.ty;
        tokens.extend(quote!(.version::<#ty>()));
    }
    for value in [Value::Default, Value::OnCreate, Value::OnUpdate] {
        if value.of(column).is_some() {
            let method = format_ident!("{}", value.option());
            let function = function_name(value, index);
            tokens.extend(quote!(.#method(|| __h::value(#function()))));
        }
    }
    tokens
}

fn relation_start(entity_name: &str, field: &Field, relation: &Relation) -> TokenStream {
    let name = field.name();
    let kind = format_ident!("{}", relation.kind.variant());
    let nullable = relation.nullable;
    let target = FieldAccess::new(field).target();
    quote!(__h::PropertyMeta::relation(#entity_name, #name, __h::RelationKind::#kind, #nullable, #target))
}

fn relation_options(relation: &Relation) -> TokenStream {
    let mut tokens = TokenStream::new();
    for (option, field) in [("mapped_by", &relation.mapped_by), ("inversed_by", &relation.inversed_by)] {
        let text = field.as_ref().map(|field| LitStr::new(&field.unraw().to_string(), Span::call_site()));
        tokens.extend(text_option(option, text.as_ref()));
    }
    if let Some(cascade) = relation.cascade {
        if !cascade.persist {
            tokens.extend(quote!(.cascade_persist(false)));
        }
        if cascade.remove {
            tokens.extend(quote!(.cascade_remove(true)));
        }
    }
    if relation.orphan_removal {
        tokens.extend(quote!(.orphan_removal(true)));
    }
    tokens.extend(list_option("columns", &relation.columns));
    tokens.extend(relation.on_delete.as_ref().map(|action| sql_option("on_delete", action.sql)));
    tokens.extend(relation.on_update.as_ref().map(|action| sql_option("on_key_update", action.sql)));
    tokens.extend(relation.deferrable.map(|sql| sql_option("deferrable", sql)));
    tokens.extend(flag("unique", relation.unique));
    tokens.extend(flag("index", relation.index));
    tokens.extend(text_option("comment", relation.comment.as_ref()));
    tokens.extend(text_option("pivot_table", relation.pivot_table.as_ref()));
    tokens.extend(list_option("join_columns", &relation.join_columns));
    tokens.extend(list_option("inverse_join_columns", &relation.inverse_join_columns));
    if relation.fixed_order {
        tokens.extend(quote!(.fixed_order(true)));
    }
    tokens.extend(text_option("fixed_order_column", relation.fixed_order_column.as_ref()));
    tokens
}

fn text_option(method: &str, text: Option<&LitStr>) -> TokenStream {
    let method = format_ident!("{method}");
    text.map(|text| quote!(.#method(#text))).unwrap_or_default()
}

fn sql_option(method: &str, sql: &str) -> TokenStream {
    let method = format_ident!("{method}");
    quote!(.#method(#sql))
}

fn number_option(method: &str, number: Option<u32>) -> TokenStream {
    let method = format_ident!("{method}");
    let number = number.map(proc_macro2::Literal::u32_unsuffixed);
    number.map(|number| quote!(.#method(#number))).unwrap_or_default()
}

fn flag(method: &str, given: bool) -> TokenStream {
    let method = format_ident!("{method}");
    if given { quote!(.#method()) } else { TokenStream::new() }
}

fn list_option(method: &str, list: &[LitStr]) -> TokenStream {
    let method = format_ident!("{method}");
    if list.is_empty() { TokenStream::new() } else { quote!(.#method(&[#(#list),*])) }
}
