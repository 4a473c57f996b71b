//! The arguments of an attribute: flags, `name = value`, `name(list)` and bare strings.
//!
//! An attribute's reader takes out what it knows; [`Arguments::finish`] reports the rest.

use std::fmt::Display;
use std::str::FromStr;

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, Ident, Lit, LitStr, Meta, Token, Type, TypePath};

use super::argument::{Argument, Value, identifier, literal};
use crate::errors::Errors;

/// The arguments of one attribute.
pub struct Arguments<'e> {
    attribute: &'static str,
    list: Vec<Argument>,
    errors: &'e Errors,
}

impl<'e> Arguments<'e> {
    /// Reads the arguments of an attribute.
    pub fn parse(attribute: &Attribute, name: &'static str, errors: &'e Errors) -> Self {
        let mut arguments = Self { attribute: name, list: Vec::new(), errors };
        match &attribute.meta {
            Meta::Path(_) => {}
            Meta::NameValue(_) => {
                errors.push(attribute.path().span(), format!("write #[{name}(…)], with parentheses"));
            }
            Meta::List(list) => {
                let parser = |input: ParseStream<'_>| arguments.parse_list(input);
                if let Err(error) = Parser::parse2(parser, list.tokens.clone()) {
                    errors.add(error);
                    // What was read before the syntax error would be judged without what stands behind it.
                    arguments.list.clear();
                }
            }
        }
        arguments
    }

    fn parse_list(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        while !input.is_empty() {
            let argument = Argument::parse(input)?;
            self.add(argument);
            if input.is_empty() {
                break;
            }
            if !input.peek(Token![,]) {
                return Err(input.error("expected `,`: a value of several words needs quotes"));
            }
            input.parse::<Token![,]>()?;
        }
        Ok(())
    }

    fn add(&mut self, argument: Argument) {
        if let Some(name) = &argument.name {
            let is_flag = matches!(argument.value, Value::Flag);
            // An index is made of any number of expressions.
            let is_listed = name == "expression" && !is_flag;
            let twice = !is_listed
                && self
                    .list
                    .iter()
                    .any(|other| other.name.as_ref() == Some(name) && matches!(other.value, Value::Flag) == is_flag);
            if twice {
                return self.errors.push(argument.span, format!("`{name}` is given twice: keep one"));
            }
        }
        self.list.push(argument);
    }

    fn take(&mut self, name: &str) -> Option<Argument> {
        let index = self.list.iter().position(|argument| argument.name.as_ref().is_some_and(|given| given == name))?;
        Some(self.list.remove(index))
    }

    /// `name = …` or `name(…)`, but not the flag `name`: where flags are the names of fields.
    fn take_valued(&mut self, name: &str) -> Option<Argument> {
        let index = self.list.iter().position(|argument| {
            !matches!(argument.value, Value::Flag) && argument.name.as_ref().is_some_and(|given| given == name)
        })?;
        Some(self.list.remove(index))
    }

    fn refuse(&self, span: Span, message: impl Display) {
        self.errors.push(span, message);
    }

    fn refuse_value(&self, value: &Expr, message: impl Display) {
        self.errors.push_on(value, message);
    }

    /// The flag `name`, where it stands. `name = true` is accepted, too.
    pub fn flag(&mut self, name: &str) -> Option<Span> {
        let argument = self.take(name)?;
        match &argument.value {
            Value::Flag => Some(argument.span),
            Value::Single(value) => match literal(value) {
                Some(Lit::Bool(value)) => value.value.then_some(argument.span),
                _ => {
                    self.refuse(argument.span, format!("`{name}` takes no value: write `{name}`"));
                    None
                }
            },
            Value::List(_) => {
                self.refuse(argument.span, format!("`{name}` takes no list: write `{name}`"));
                None
            }
        }
    }

    /// `name = "…"`.
    pub fn string(&mut self, name: &str) -> Option<LitStr> {
        let argument = self.take(name)?;
        self.string_in(name, &argument)
    }

    /// `name = "…"`, where the flag `name` would be a field.
    pub fn valued_string(&mut self, name: &str) -> Option<LitStr> {
        let argument = self.take_valued(name)?;
        self.string_in(name, &argument)
    }

    /// All of `name = "…"`, in order. `None` if one of them is wrong.
    pub fn valued_strings(&mut self, name: &str) -> Option<Vec<LitStr>> {
        let mut texts = Some(Vec::new());
        while let Some(argument) = self.take_valued(name) {
            match (&mut texts, self.string_in(name, &argument)) {
                (Some(texts), Some(text)) => texts.push(text),
                _ => texts = None,
            }
        }
        texts
    }

    fn string_in(&self, name: &str, argument: &Argument) -> Option<LitStr> {
        let Value::Single(value) = &argument.value else {
            self.refuse(argument.span, format!("`{name}` needs a string: {name} = \"…\""));
            return None;
        };
        self.string_of(name, value)
    }

    fn string_of(&self, name: &str, value: &Expr) -> Option<LitStr> {
        match literal(value) {
            Some(Lit::Str(text)) if text.value().trim().is_empty() => {
                self.refuse(text.span(), format!("`{name}` is empty: leave it out, or give it a value"));
                None
            }
            Some(Lit::Str(text)) => Some(text.clone()),
            _ => {
                self.refuse_value(value, format!("`{name}` needs a string: {name} = \"…\""));
                None
            }
        }
    }

    /// `one = "…"` or `many("…", "…")`.
    pub fn strings(&mut self, one: &str, many: &str) -> Vec<LitStr> {
        let single = self.string(one);
        let Some(argument) = self.take(many) else { return single.into_iter().collect() };
        if single.is_some() {
            self.refuse(argument.span, format!("`{one}` and `{many}` are both given: keep `{many}`"));
        }
        match &argument.value {
            Value::List(values) if !values.is_empty() => {
                values.iter().filter_map(|value| self.string_of(many, value)).collect()
            }
            _ => {
                self.refuse(argument.span, format!("`{many}` needs a list of strings: {many}(\"…\", \"…\")"));
                Vec::new()
            }
        }
    }

    /// `name = 50`.
    pub fn integer<N: FromStr<Err: Display>>(&mut self, name: &str) -> Option<N> {
        let argument = self.take(name)?;
        let Value::Single(value) = &argument.value else {
            self.refuse(argument.span, format!("`{name}` needs a number: {name} = 10"));
            return None;
        };
        let Some(Lit::Int(number)) = literal(value) else {
            self.refuse_value(value, format!("`{name}` needs a number: {name} = 10"));
            return None;
        };
        match number.base10_parse::<N>() {
            Ok(number) => Some(number),
            Err(error) => {
                self.refuse(number.span(), format!("`{name}`: {error}"));
                None
            }
        }
    }

    /// `name = true`, `name = false`.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let argument = self.take(name)?;
        if let Value::Single(value) = &argument.value
            && let Some(Lit::Bool(value)) = literal(value)
        {
            return Some(value.value);
        }
        self.refuse(argument.span, format!("`{name}` is true or false: {name} = false"));
        None
    }

    /// `name = expression`.
    pub fn expression(&mut self, name: &str) -> Option<Expr> {
        let argument = self.take(name)?;
        match argument.value {
            Value::Single(value) => Some(value),
            _ => {
                self.refuse(argument.span, format!("`{name}` needs a value: {name} = …"));
                None
            }
        }
    }

    /// `name = some::Type`.
    pub fn path(&mut self, name: &str) -> Option<syn::Path> {
        let argument = self.take(name)?;
        match argument.value {
            Value::Single(Expr::Path(path)) if path.qself.is_none() => Some(path.path),
            _ => {
                self.refuse(argument.span, format!("`{name}` needs the name of a type: {name} = User"));
                None
            }
        }
    }

    /// `name = Type`.
    pub fn type_name(&mut self, name: &str) -> Option<Type> {
        let argument = self.take(name)?;
        if let Value::Single(Expr::Path(path)) = argument.value {
            return Some(Type::Path(TypePath { attrs: path.attrs, qself: path.qself, path: path.path }));
        }
        self.refuse(argument.span, format!("`{name}` needs a type: {name} = UserRepository"));
        None
    }

    /// `name = field`, the name of a field without quotes.
    pub fn field(&mut self, name: &str) -> Option<Ident> {
        let argument = self.take(name)?;
        if let Value::Single(value) = &argument.value {
            if let Some(field) = identifier(value) {
                return Some(field);
            }
            if let Some(Lit::Str(text)) = literal(value) {
                let text_value = text.value();
                self.refuse(text.span(), format!("`{name}` takes the field without quotes: {name} = {text_value}"));
                return None;
            }
        }
        self.refuse(argument.span, format!("`{name}` needs a field of the other entity: {name} = field"));
        None
    }

    /// `name(word, word)`.
    pub fn words(&mut self, name: &str) -> Option<Vec<Ident>> {
        let argument = self.take(name)?;
        self.words_in(name, &argument)
    }

    /// `name(word, word)`, where the flag `name` would be a field.
    pub fn valued_words(&mut self, name: &str) -> Option<Vec<Ident>> {
        let argument = self.take_valued(name)?;
        self.words_in(name, &argument)
    }

    fn words_in(&self, name: &str, argument: &Argument) -> Option<Vec<Ident>> {
        let Value::List(values) = &argument.value else {
            self.refuse(argument.span, format!("`{name}` needs a list: {name}(…)"));
            return None;
        };
        let mut words = Vec::with_capacity(values.len());
        for value in values {
            match identifier(value) {
                Some(word) => words.push(word),
                None => self.refuse_value(value, format!("`{name}` takes names without quotes")),
            }
        }
        Some(words)
    }

    /// `name = word` or `name = "some words"`, in lower case and with spaces, and where it stands. Of the flag `name`
    /// the words are empty.
    pub fn phrase(&mut self, name: &str) -> Option<(Span, String)> {
        let argument = self.take(name)?;
        let value = match &argument.value {
            Value::Flag => return Some((argument.span, String::new())),
            Value::Single(value) => value,
            Value::List(_) => {
                self.refuse(argument.span, format!("`{name}` takes no list: {name} = \"…\""));
                return None;
            }
        };
        let text = match (identifier(value), literal(value)) {
            (Some(word), _) => word.to_string(),
            (None, Some(Lit::Str(text))) => text.value(),
            _ => {
                self.refuse_value(value, format!("`{name}` needs a string: {name} = \"…\""));
                return None;
            }
        };
        Some((value.span(), text.trim().to_lowercase().replace('_', " ")))
    }

    /// The first bare string.
    pub fn bare_string(&mut self, name: &str) -> Option<LitStr> {
        let index = self.list.iter().position(|argument| argument.name.is_none())?;
        let argument = self.list.remove(index);
        match &argument.value {
            Value::Single(value) => self.string_of(name, value),
            _ => None,
        }
    }

    /// All flags that are left, as names of fields.
    pub fn remaining_flags(&mut self) -> Vec<Ident> {
        let (flags, rest) = self.list.drain(..).partition(|argument| matches!(argument.value, Value::Flag));
        self.list = rest;
        let flags: Vec<Argument> = flags;
        flags.into_iter().filter_map(|argument| argument.name).collect()
    }

    /// Reports a problem at a place in the user's code.
    pub fn report(&self, span: Span, message: impl Display) {
        self.refuse(span, message);
    }

    /// Reports what nobody has taken.
    pub fn finish(self, known: &[&str]) {
        const NOT_SUPPORTED: [&str; 5] = ["hidden", "lazy", "generated", "collation", "abstract"];
        let attribute = self.attribute;
        for argument in &self.list {
            let Some(name) = &argument.name else {
                self.refuse(argument.span, format!("#[{attribute}] takes no bare string"));
                continue;
            };
            let name = name.unraw().to_string();
            if NOT_SUPPORTED.contains(&name.as_str()) {
                self.refuse(argument.span, format!("`{name}` is not supported"));
            } else if known.is_empty() {
                self.refuse(argument.span, format!("#[{attribute}] has no options"));
            } else {
                let known = known.join("`, `");
                self.refuse(argument.span, format!("#[{attribute}] has no option `{name}`; it has `{known}`"));
            }
        }
    }
}
