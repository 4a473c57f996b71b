//! One argument of an attribute: `flag`, `name = value`, `name(list)` or a bare string.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Ident, Lit, Token, parenthesized, token};

/// One argument.
pub struct Argument {
    /// `None` for a bare string.
    pub name: Option<Ident>,
    pub span: Span,
    pub value: Value,
}

/// What stands behind the name.
pub enum Value {
    Flag,
    Single(Expr),
    List(Vec<Expr>),
}

impl Argument {
    /// Reads one argument.
    pub fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(Ident::peek_any) {
            let value: ExprLit = input.parse()?;
            return Ok(Self { name: None, span: value.span(), value: Value::Single(Expr::Lit(value)) });
        }
        let name = Ident::parse_any(input)?;
        let span = name.span();
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Value::Single(input.parse()?)
        } else if input.peek(token::Paren) {
            let content;
            parenthesized!(content in input);
            Value::List(Punctuated::<Expr, Token![,]>::parse_terminated(&content)?.into_iter().collect())
        } else {
            Value::Flag
        };
        Ok(Self { name: Some(name), span, value })
    }
}

/// The literal that an expression is, also where it came through a `macro_rules!` variable.
pub fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(value) => Some(&value.lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

/// The name that an expression is.
pub fn identifier(value: &Expr) -> Option<Ident> {
    match value {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident().cloned(),
        Expr::Group(group) => identifier(&group.expr),
        _ => None,
    }
}
