//! What the macro says of a definition. Whether the code is right is tested where it compiles.

use syn::{DeriveInput, parse_quote};

use super::parse;
use crate::errors::Errors;

fn messages(input: &DeriveInput) -> Vec<String> {
    let errors = Errors::default();
    let _ = parse::projection(input, &errors);
    errors.messages()
}

#[test]
fn one_mistake_is_one_error() {
    let mistakes: Vec<(DeriveInput, &str)> = vec![
        (parse_quote! { struct Card; }, "is a struct without fields"),
        (parse_quote! { struct Card {} }, "is a struct without fields"),
        (parse_quote! { struct Card(i64); }, "is a tuple struct"),
        (parse_quote! { enum Card { A } }, "is an enum"),
        (parse_quote! { struct Card<T> { value: T } }, "cannot be generic"),
        (parse_quote! { #[projection(entty = User)] struct Card { id: i64 } }, "no option `entty`; it has `entity`"),
        (parse_quote! { #[projection(entity = "User")] struct Card { id: i64 } }, "the name of a type"),
        (parse_quote! { #[projection(entity = A)] #[projection(entity = B)] struct C { id: i64 } }, "given twice"),
        (parse_quote! { struct Card { #[projection(nested)] id: i64 } }, "no option `nested`; it has `rename`"),
        (parse_quote! { struct Card { #[projection(rename = "")] id: i64 } }, "is empty"),
        (parse_quote! { struct Card { #[projection(rename = "a..b")] id: i64 } }, "the way to it"),
        (parse_quote! { struct Card { #[projection(rename = "a b")] id: i64 } }, "the way to it"),
    ];
    for (mistake, expected) in mistakes {
        let messages = messages(&mistake);
        assert!(messages.len() == 1 && messages[0].contains(expected), "{expected}: {messages:#?}");
    }
}

#[test]
fn what_is_allowed_is_not_reported() {
    let good: DeriveInput = parse_quote! {
        #[projection(entity = crate::User)]
        struct Card {
            id: i64,
            r#type: Option<String>,
            #[projection(rename = "author.name")]
            by: String,
            #[projection(rename = "tags")]
            words: Vec<TagCard>,
        }
    };
    assert_eq!(messages(&good), Vec::<String>::new());
}
