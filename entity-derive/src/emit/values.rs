//! The functions that make values: `default`, `on_create` and `on_update`.
//!
//! Each expression of the user stands in one function, whose return type is the field's: the compiler checks it once,
//! and says at the field what it expected.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Expr, ExprUnary, Lit, Type};

use crate::field_type::{Shape, is_lazy, is_named, shape};
use crate::model::{Column, Entity, Field};

/// The options that make a value.
#[derive(Clone, Copy)]
pub enum Value {
    Default,
    OnCreate,
    OnUpdate,
}

impl Value {
    /// The name of the option.
    pub const fn option(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::OnCreate => "on_create",
            Self::OnUpdate => "on_update",
        }
    }

    /// The expression, if the column has the option.
    pub const fn of(self, column: &Column) -> Option<&Expr> {
        match self {
            Self::Default => column.default.as_ref(),
            Self::OnCreate => column.on_create.as_ref(),
            Self::OnUpdate => column.on_update.as_ref(),
        }
    }
}

/// The function of the property with this index.
pub fn function_name(value: Value, index: usize) -> Ident {
    format_ident!("__{}_{}", value.option(), index)
}

/// All functions of an entity.
pub fn functions(entity: &Entity) -> TokenStream {
    entity.properties().map(|(index, field)| functions_of(index, field)).collect()
}

fn functions_of(index: usize, field: &Field) -> TokenStream {
    let Some(column) = field.as_column() else { return TokenStream::new() };
    let ty = &field.ty;
    let functions = [Value::Default, Value::OnCreate, Value::OnUpdate].into_iter().filter_map(|value| {
        let name = function_name(value, index);
        let expression = converted(ty, value.of(column)?);
        Some(quote! {
            fn #name() -> #ty {
                #expression
            }
        })
    });
    functions.collect()
}

/// The expression, made the type of the field where that saves writing: `&str` for `String`, `T` for `Option<T>`.
fn converted(ty: &Type, expression: &Expr) -> TokenStream {
    if is_lazy(ty) {
        return quote!(__h::Into::into(#expression));
    }
    let Shape::Value { inner, nullable } = shape(ty) else { return quote!(#expression) };
    let is_text = is_named(inner, "String");
    match (nullable, kind(expression)) {
        (_, Written::Option) => quote!(#expression),
        (true, Written::Text) if is_text => quote!(__h::Some(__h::Into::into(#expression))),
        (true, Written::Text | Written::Literal) => quote!(__h::Some(#expression)),
        (true, Written::Name | Written::Other) => quote!(__h::Into::into(#expression)),
        (false, Written::Text | Written::Name) if is_text => quote!(__h::Into::into(#expression)),
        (false, _) => quote!(#expression),
    }
}

/// What an expression looks like.
enum Written {
    /// A string literal.
    Text,
    /// Another literal.
    Literal,
    /// A constant, or a macro such as `env!`.
    Name,
    /// `Some(…)` or `None`.
    Option,
    Other,
}

fn kind(expression: &Expr) -> Written {
    match expression {
        Expr::Lit(literal) if matches!(literal.lit, Lit::Str(_)) => Written::Text,
        Expr::Lit(_) => Written::Literal,
        Expr::Unary(ExprUnary { expr, .. }) => kind(expr),
        Expr::Group(group) => kind(&group.expr),
        Expr::Path(path) if path.path.is_ident("None") => Written::Option,
        Expr::Path(_) | Expr::Macro(_) => Written::Name,
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) if path.path.is_ident("Some") => Written::Option,
            _ => Written::Other,
        },
        _ => Written::Other,
    }
}
