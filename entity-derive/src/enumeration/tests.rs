//! What the macro says of a definition. Whether the code is right is tested where it compiles.

use syn::{DeriveInput, parse_quote};

use super::rename::{RULES, RenameRule};
use super::{check, parse};
use crate::errors::Errors;

fn messages(input: &DeriveInput) -> Vec<String> {
    let errors = Errors::default();
    if let Some(enumeration) = parse::enumeration(input, &errors) {
        check::enumeration(&enumeration, &errors);
    }
    errors.messages()
}

#[test]
fn names_follow_the_rules_of_serde() {
    let named = |variant: &str| RULES.map(|(name, _)| RenameRule::from_name(name).unwrap().apply(variant));
    assert_eq!(
        named("InReview"),
        ["inreview", "INREVIEW", "InReview", "inReview", "in_review", "IN_REVIEW", "in-review", "IN-REVIEW"]
    );
    assert_eq!(named("A"), ["a", "A", "A", "a", "a", "A", "a", "A"]);
    assert_eq!(named("Größe2")[4], "größe2");
}

#[test]
fn one_mistake_is_one_error() {
    let long = "x".repeat(64);
    let mistakes: Vec<(DeriveInput, &str)> = vec![
        (parse_quote! { struct Status; }, "is a struct"),
        (parse_quote! { union Status { a: i32 } }, "is a union"),
        (parse_quote! { enum Status<T> { A(T) } }, "cannot be generic"),
        (parse_quote! { enum Status {} }, "has no variants"),
        (parse_quote! { enum Status { A, B(i32) } }, "cannot have fields"),
        (parse_quote! { enum Status { A, B { b: i32 } } }, "cannot have fields"),
        (parse_quote! { enum Status { A, #[db_enum(rename = "A")] B } }, "`A` and `B` are both called \"A\""),
        (parse_quote! { #[db_enum(rename_all = "lowercase")] enum Status { Ab, AB } }, "both called \"ab\""),
        (parse_quote! { #[db_enum(rename_all = "snakecase")] enum Status { A } }, "no such rule"),
        (parse_quote! { #[db_enum(natve)] enum Status { A } }, "no option `natve`"),
        (parse_quote! { #[db_enum(native)] #[db_enum(native)] enum Status { A } }, "given twice"),
        (parse_quote! { #[db_enum(native, integer)] enum Status { A } }, "exclude each other"),
        (parse_quote! { #[db_enum(name = "s")] enum Status { A } }, "add `native`"),
        (parse_quote! { #[db_enum(native = 1)] enum Status { A } }, "takes no value"),
        (parse_quote! { #[db_enum(integer)] #[repr(u64)] enum Status { A } }, "is an i16, i32 or i64"),
        (parse_quote! { #[db_enum(integer, rename_all = "lowercase")] enum Status { A } }, "have no names"),
        (parse_quote! { #[db_enum(integer)] enum Status { #[db_enum(rename = "a")] A } }, "have no names"),
        (parse_quote! { #[db_enum(integer)] enum Status { A = 32767, B } }, "does not fit into 16 bits"),
        (parse_quote! { #[db_enum(integer)] enum Status { A, B = -0x8001 } }, "does not fit into 16 bits"),
        (parse_quote! { enum Status { #[db_enum(native)] A } }, "no option `native`; it has `rename`"),
        (parse_quote! { enum Status { #[db_enum(rename = "")] A } }, "is empty"),
        (parse_quote! { enum Status { #[db_enum(rename = "a\0")] A } }, "NUL"),
        (parse_quote! { #[db_enum(native)] enum Status { #[db_enum(rename = #long)] A } }, "at most 63 bytes"),
    ];
    for (mistake, expected) in mistakes {
        let messages = messages(&mistake);
        assert!(messages.len() == 1 && messages[0].contains(expected), "{expected}: {messages:#?}");
    }
}

#[test]
fn what_is_allowed_is_not_reported() {
    let long = "x".repeat(64);
    let good: [DeriveInput; 5] = [
        parse_quote! { enum Status { A = 5, B = 1 << 4, r#type } },
        parse_quote! { #[db_enum(native, name = "s", schema = "app", rename_all = "kebab-case")] enum Status { A } },
        parse_quote! { #[db_enum(integer)] #[repr(C, i64)] enum Status { A = -1, B = 1 << 40, C } },
        parse_quote! { #[db_enum(integer)] enum Status { A = -32768, B, C = 32767 } },
        parse_quote! { enum Status { #[db_enum(rename = #long)] A } },
    ];
    for definition in &good {
        assert_eq!(messages(definition), Vec::<String>::new());
    }
}
