//! What the macro says of a definition, and how much code it writes. Whether the code is right is tested where it
//! compiles: in `tests/ui` and `tests/ui_pass` of howdah.
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, parse_quote};

use crate::errors::Errors;
use crate::{check, emit, parse, self_type};

/// The messages about a definition.
fn messages(mut input: DeriveInput) -> Vec<String> {
    self_type::spell_out(&mut input);
    let errors = Errors::default();
    if let Some(entity) = parse::entity(&input, &errors) {
        check::entity(&entity, &errors);
    }
    errors.messages()
}

/// The code of a definition without errors, without spaces.
fn code(mut input: DeriveInput) -> String {
    self_type::spell_out(&mut input);
    let errors = Errors::default();
    let entity = parse::entity(&input, &errors).unwrap();
    check::entity(&entity, &errors);
    assert_eq!(errors.messages(), Vec::<String>::new());
    emit::entity(&entity).to_string().replace(' ', "")
}

fn count(tokens: TokenStream) -> usize {
    let inner = |token| match token {
        proc_macro2::TokenTree::Group(group) => 2 + count(group.stream()),
        _ => 1,
    };
    tokens.into_iter().map(inner).sum()
}

/// A user with this many columns of one type.
fn with_columns(columns: usize, ty: &TokenStream) -> DeriveInput {
    let names = (0..columns).map(|index| quote::format_ident!("column_{index}"));
    parse_quote! {
        struct User {
            #[primary_key]
            id: i64,
            #(#names: #ty,)*
        }
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    let messages = messages(parse_quote! {
        #[entity(tabel = "users")]
        #[index(nme)]
        struct User {
            #[property(lenght = 1)]
            name: String,
            posts: Collection<Post>,
            #[version]
            version: String,
        }
    });
    let expected =
        ["no option `lenght`", "is a relation", "no option `tabel`", "no key", "is an i16", "no field `nme`"];
    for part in expected {
        assert!(messages.iter().any(|message| message.contains(part)), "{part}: {messages:#?}");
    }
    assert_eq!(messages.len(), expected.len(), "{messages:#?}");
}

#[test]
fn one_mistake_is_one_error() {
    let mistakes: Vec<DeriveInput> = vec![
        parse_quote! { struct User { #[primary_key] id: Option<i64> } },
        parse_quote! { struct User { #[primary_key(identity)] id: i64 } },
        parse_quote! { struct User { #[primary_key] #[version] id: i64 } },
        parse_quote! { struct User { #[primary_key] id: i64, #[version] changed: NaiveDate } },
        parse_quote! { struct User { #[primary_key] id: i64, #[version] changed: Option<DateTime<Utc>> } },
        parse_quote! { struct User { #[primary_key] id: i64, #[version(sql_type = "timestamp(3)")] changed: NaiveDateTime } },
        parse_quote! { struct User { #[primary_key] id: i64, #[version] #[property(precision = 0)] changed: DateTime<Utc> } },
        parse_quote! { struct User { #[primary_key] id: i64, #[version] #[property(on_update = Utc::now())] changed: DateTime<Utc> } },
        parse_quote! { struct User { #[primary_key] id: i64, #[transient(x)] cache: i32 } },
        parse_quote! { struct User { #[primary_key] id: i64, #[one_to_many(mapped_by = "user")] posts: Collection<Post> } },
        parse_quote! { struct User { #[primary_key] id: i64, #[one_to_many = user] posts: Collection<Post> } },
        parse_quote! { struct User { #[primary_key] id: i64, #[many_to_one] #[one_to_one] boss: Ref<User> } },
        parse_quote! { struct User { #[primary_key] id: i64, #[many_to_one] #[property(unique)] boss: Ref<User> } },
        parse_quote! { struct User { #[primary_key] id: i64, #[property(scale = 2)] size: f64 } },
        parse_quote! { struct User { #[primary_key] id: i64, #[property(precision = 2, scale = 3)] size: f64 } },
        parse_quote! { struct User { #[primary_key] id: i64, #[property(precision = 300)] size: f64 } },
        parse_quote! { struct User { #[primary_key] id: i64, #[property(column = "")] size: f64 } },
        parse_quote! { struct User { #[primary_key] id: i64, #[property(default_sql = "true")] active: bool } },
        parse_quote! { struct User { #[primary_key] #[property(default = 1)] id: i64 } },
        parse_quote! { struct User { #[primary_key(assigned)] #[many_to_one] boss: Ref<User> } },
        parse_quote! { struct User { #[primary_key] #[many_to_one] boss: Option<Ref<User>> } },
        parse_quote! { #[check(name = "x")] struct User { #[primary_key] id: i64 } },
        parse_quote! { #[index] struct User { #[primary_key] id: i64 } },
        parse_quote! { #[unique(id, where = "x", deferrable)] struct User { #[primary_key] id: i64 } },
        parse_quote! { #[entity(repository = "Users")] struct User { #[primary_key] id: i64 } },
        parse_quote! { #[filter(name = "x")] struct User { #[primary_key] id: i64 } },
        parse_quote! { struct User { #[primary_key] id: i64, #[many_to_many(on_delete = "cascade")] tags: Collection<Tag> } },
        parse_quote! { struct User { #[primary_key] id: i64, #[many_to_many(mapped_by = users, fixed_order)] tags: Collection<Tag> } },
        parse_quote! { struct User { #[primary_key] id: i64, #[one_to_many(mapped_by = user, fixed_order)] tags: Collection<Tag> } },
        parse_quote! { struct User { #[primary_key] id: i64, #[many_to_many(fixed_order_column = "")] tags: Collection<Tag> } },
        parse_quote! { struct User { #[primary_key] id: i64, #[many_to_one(column = "a", columns("b"))] boss: Ref<User> } },
        parse_quote! { struct User { #[primary_key] a: i64, #[primary_key] b: i64, #[primary_key] c: i64,
        #[primary_key] d: i64, #[primary_key] e: i64, #[primary_key] f: i64, #[primary_key] g: i64 } },
        parse_quote! { union User { id: i64 } },
        parse_quote! { struct User; },
    ];
    for (index, mistake) in mistakes.into_iter().enumerate() {
        let messages = messages(mistake);
        assert_eq!(messages.len(), 1, "mistake {index}: {messages:#?}");
    }
}

#[test]
fn required_fields_are_those_without_another_source() {
    let code = code(parse_quote! {
        struct User {
            #[primary_key] id: i64,
            name: String,
            age: Option<i32>,
            #[property(default = 1)] rank: i32,
            #[property(default_sql = "now()")] joined: DateTime<Utc>,
            #[property(on_create = Utc::now())] created: DateTime<Utc>,
            #[property(on_update = Utc::now())] updated: DateTime<Utc>,
            #[version] version: i32,
            #[transient] cache: u8,
            #[many_to_one] team: Ref<Team>,
            #[many_to_one] boss: Option<Ref<User>>,
            #[one_to_many(mapped_by = boss)] reports: Collection<User>,
        }
    });
    let start = code.find("structNewUser{").unwrap();
    let definition = &code[start..start + code[start..].find('}').unwrap()];
    let required = ["name:String", "updated:DateTime<Utc>", "team:Ref<Team>"];
    assert!(required.iter().all(|field| definition.contains(field)), "{definition}");
    assert_eq!(definition.matches("#[doc").count(), required.len(), "{definition}");
}

#[test]
fn versions_are_numbers_or_points_in_time() {
    for ty in ["i16", "i32", "i64", "DateTime<Utc>", "chrono::DateTime<chrono::Utc>", "NaiveDateTime"] {
        let field: syn::Type = syn::parse_str(ty).unwrap();
        let code = code(parse_quote! {
            struct User { #[primary_key] id: i64, #[version] #[property(precision = 6)] changed: #field }
        });
        assert!(code.contains(&format!(".version::<{ty}>()")), "{code}");
        assert!(code.contains("changed:__h::initial_version()"), "{code}");
    }
}

#[test]
fn keys_are_made_by_the_database_unless_they_are_chosen() {
    let identity = code(parse_quote! { struct User { #[primary_key] id: i32 } });
    assert!(identity.contains(".identity().primary()"));
    let uuid = code(parse_quote! { struct User { #[primary_key] id: uuid::Uuid } });
    assert!(uuid.contains(".uuid_v7().primary()"));
    for chosen in [
        code(parse_quote! { struct User { #[primary_key(assigned)] id: i32 } }),
        code(parse_quote! { struct User { #[primary_key(default = "f()")] id: Uuid } }),
        code(parse_quote! { struct User { #[primary_key] id: i32, #[primary_key] part: Uuid } }),
        code(parse_quote! { struct User { #[primary_key] id: String } }),
    ] {
        assert!(!chosen.contains(".identity()") && !chosen.contains(".uuid_v7()"), "{chosen}");
    }
}

#[test]
fn transient_fields_are_no_properties() {
    let code = code(parse_quote! {
        struct User { #[transient] before: u8, #[primary_key] id: i64, #[transient] between: u8, name: String }
    });
    assert!(code.contains("matchindex{0=>&self.id,_=>&self.name}"), "{code}");
    assert!(code.contains("[__h::PropertyMeta;2]"), "{code}");
}

#[test]
fn names_are_without_the_prefix_of_raw_identifiers() {
    let code = code(parse_quote! { #[index(r#type)] struct User { #[primary_key] id: i64, r#type: String } });
    assert!(code.contains("(\"User\",\"type\")") && code.contains("properties:&[\"type\"]"), "{code}");
    assert!(code.contains("r#type:__h::read(row)?") && !code.contains("\"r#type\""), "{code}");
}

#[test]
fn self_is_spelled_out() {
    let code = code(parse_quote! {
        struct Node {
            #[primary_key] id: i64,
            #[property(default = Self::RANK)] rank: i32,
            #[many_to_one] parent: Option<Ref<Self>>,
        }
    });
    assert!(code.contains("<Option<Ref<Node>>as__h::ToOneField>::target"), "{code}");
    assert!(code.contains("{Node::RANK}"), "{code}");
}

#[test]
fn well_known_types_take_the_short_form() {
    let short = code(with_columns(1, &quote!(Option<chrono::DateTime<Utc>>)));
    assert!(!short.contains("ColumnField"));
    let long = code(with_columns(1, &quote!(Money)));
    assert!(long.contains("<Moneyas__h::ColumnField>::META"));
}

/// The compile time of a program with many entities depends on this number.
#[test]
fn the_code_of_an_entity_is_small() {
    let tokens = |columns, ty: TokenStream| {
        let errors = Errors::default();
        count(emit::entity(&parse::entity(&with_columns(columns, &ty), &errors).unwrap()))
    };
    let empty = tokens(0, quote!(i32));
    let each = (tokens(10, quote!(i32)) - empty) / 10;
    assert!(empty <= 900, "{empty} tokens for an entity with a key");
    assert!(each <= 130, "{each} tokens for each column");
}
