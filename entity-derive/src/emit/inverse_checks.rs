//! `mapped_by` and `inversed_by` name a field of another entity. A function that is never called names the typed path
//! of that field, with the user's token: the compiler says there if it does not exist, or is something else.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use super::field_access::FieldAccess;
use crate::model::{Entity, Field, Relation, RelationKind};

/// The functions of all relations that name a field.
pub fn functions(entity: &Entity) -> TokenStream {
    let functions = entity.properties().filter_map(|(index, field)| {
        let relation = field.as_relation()?;
        let named = relation.mapped_by.as_ref().or(relation.inversed_by.as_ref())?;
        Some(function(entity, field, relation, index, named))
    });
    functions.collect()
}

fn function(entity: &Entity, field: &Field, relation: &Relation, index: usize, named: &Ident) -> TokenStream {
    let entity = &entity.ident;
    let name = format_ident!("__inverse_{index}");
    let fields = FieldAccess::new(field).target_fields();
    let check = if refers_back_to_one(relation) { "refers_to" } else { "collects" };
    let check = format_ident!("{check}", span = named.span());
    let call = quote_spanned!(named.span()=> __h::#check::<#entity, _>(fields.#named()));
    quote! {
        #[allow(dead_code)]
        fn #name(fields: #fields) {
            #call
        }
    }
}

/// Whether the other side is a `Ref`: the owning side of a one-to-many, or either side of a one-to-one.
const fn refers_back_to_one(relation: &Relation) -> bool {
    matches!(relation.kind, RelationKind::OneToMany | RelationKind::OneToOne)
}
