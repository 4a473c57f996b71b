//! From the struct to the model. What the struct cannot be at all is said here; the rules for what it may say are in
//! `check`.

use proc_macro2::Span;
use syn::{Data, DeriveInput, Fields};

use crate::attr::{self, Arguments, FieldArguments, FieldAttribute};
use crate::errors::Errors;
use crate::field_type::{Shape, shape};
use crate::model::{Column, Entity, Field, FieldKind, Relation, RelationKind};

/// The model of the struct; `None` if it is nothing that could be an entity.
pub fn entity(input: &DeriveInput, errors: &Errors) -> Option<Entity> {
    let fields = named_fields(input, errors);
    if !input.generics.params.is_empty() || input.generics.where_clause.is_some() {
        errors.push_on(&input.generics, "an entity cannot be generic: a table has one set of columns");
        return None;
    }
    let mut entity = Entity {
        ident: input.ident.clone(),
        visibility: input.vis.clone(),
        table: None,
        schema: None,
        comment: None,
        repository: None,
        indexes: Vec::new(),
        checks: Vec::new(),
        filters: Vec::new(),
        fields: fields?.named.iter().filter_map(|each| field(each, errors)).collect(),
    };
    table_attributes(input, &mut entity, errors);
    Some(entity)
}

fn named_fields<'a>(input: &'a DeriveInput, errors: &Errors) -> Option<&'a syn::FieldsNamed> {
    let found = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => return Some(fields),
            Fields::Unnamed(_) => "a tuple struct",
            Fields::Unit => "a struct without fields",
        },
        Data::Enum(_) => "an enum",
        Data::Union(_) => "a union",
    };
    let name = &input.ident;
    errors.push(name.span(), format!("an entity is a struct with named fields, and `{name}` is {found}"));
    None
}

fn table_attributes(input: &DeriveInput, entity: &mut Entity, errors: &Errors) {
    let mut seen: Option<Span> = None;
    for attribute in &input.attrs {
        let Some(name) = attribute.path().get_ident() else { continue };
        let span = name.span();
        match name.to_string().as_str() {
            "entity" if seen.is_some() => errors.push(span, "#[entity] is given twice: keep one"),
            "entity" => {
                seen = Some(span);
                let options = attr::entity(Arguments::parse(attribute, "entity", errors));
                entity.table = options.table;
                entity.schema = options.schema;
                entity.comment = options.comment;
                entity.repository = options.repository;
            }
            "index" => entity.indexes.push(attr::index(Arguments::parse(attribute, "index", errors), false, span)),
            "unique" => entity.indexes.push(attr::index(Arguments::parse(attribute, "unique", errors), true, span)),
            "check" => entity.checks.extend(attr::check(Arguments::parse(attribute, "check", errors), span)),
            "filter" => entity.filters.extend(attr::filter(Arguments::parse(attribute, "filter", errors), span)),
            "embedded" => errors.push(span, format!("#[{name}] is not supported")),
            "primary_key" | "property" | "version" | "transient" | "many_to_one" | "one_to_many" | "one_to_one"
            | "many_to_many" => errors.push(span, format!("#[{name}] belongs on a field")),
            _ => {}
        }
    }
}

fn field(field: &syn::Field, errors: &Errors) -> Option<Field> {
    let before = errors.count();
    let attributes = attr::of_field(&field.attrs, errors);
    let primary_key = attributes.iter().find(|each| each.attribute == FieldAttribute::PrimaryKey);
    let primary_key = primary_key.map(|each| each.span);
    let kind = kind(field, attributes, errors);
    Some(Field {
        ident: field.ident.clone()?,
        visibility: field.vis.clone(),
        ty: field.ty.clone(),
        primary_key,
        // What is known of a field with errors is not enough to judge it.
        kind: if errors.count() > before { FieldKind::Invalid } else { kind },
    })
}

/// Decides by the attributes what the field is, and by its type whether it can be that.
fn kind(field: &syn::Field, mut attributes: Vec<FieldArguments<'_>>, errors: &Errors) -> FieldKind {
    if contradict(&attributes, errors) {
        return FieldKind::Invalid;
    }
    if attributes.iter().any(|each| each.attribute == FieldAttribute::Transient) {
        attributes.into_iter().for_each(|each| each.arguments.finish(&[]));
        return FieldKind::Transient;
    }
    let relation = attributes.iter().position(|each| matches!(each.attribute, FieldAttribute::Relation(_)));
    match relation {
        Some(index) => {
            let attribute = attributes.swap_remove(index);
            for key in attributes {
                refuse_key_options(key.arguments);
            }
            relation_field(field, attribute, errors)
        }
        None => column_field(field, attributes, errors),
    }
}

/// Reports attributes that exclude each other.
fn contradict(attributes: &[FieldArguments<'_>], errors: &Errors) -> bool {
    use FieldAttribute::{PrimaryKey, Property, Relation, Transient, Version};
    let [first, rest @ ..] = attributes else { return false };
    for other in rest {
        let reason = match (first.attribute, other.attribute) {
            (Transient, _) | (_, Transient) => "a transient field is no column",
            (Relation(_), Relation(_)) => "a field is one relation",
            (Relation(_), Property) | (Property, Relation(_)) => {
                "the options of a relation's columns are options of the relation"
            }
            (Relation(_), Version) | (Version, Relation(_)) => "a version is a number or a time",
            (PrimaryKey, Version) | (Version, PrimaryKey) => "a key never changes, a version does",
            _ => continue,
        };
        let (one, two) = (first.attribute.name(), other.attribute.name());
        errors.push(other.span, format!("#[{one}] and #[{two}] exclude each other: {reason}"));
        return true;
    }
    false
}

/// A relation that is (part of) the key takes its columns from the relation.
fn refuse_key_options(mut arguments: Arguments<'_>) {
    if let Some(span) = arguments.flag("assigned") {
        arguments.report(span, "`assigned` is of no use here: the key is that of the entity referred to");
    }
    arguments.finish(&[]);
}

fn column_field(field: &syn::Field, attributes: Vec<FieldArguments<'_>>, errors: &Errors) -> FieldKind {
    let advice = match shape(&field.ty) {
        Shape::Value { nullable, .. } => {
            let mut column = Column { nullable, ..Column::default() };
            for each in attributes {
                match each.attribute {
                    FieldAttribute::PrimaryKey => attr::primary_key(each.arguments, &mut column),
                    FieldAttribute::Version => attr::version(each.arguments, each.span, &mut column),
                    _ => attr::property(each.arguments, &mut column),
                }
            }
            return FieldKind::Column(Box::new(column));
        }
        Shape::Reference { .. } => "a `Ref` is a relation: add #[many_to_one] or #[one_to_one]",
        Shape::Collection => "a `Collection` is a relation: add #[one_to_many(mapped_by = field)] or #[many_to_many]",
    };
    errors.push_on(&field.ty, advice);
    FieldKind::Invalid
}

fn relation_field(field: &syn::Field, attribute: FieldArguments<'_>, errors: &Errors) -> FieldKind {
    let FieldAttribute::Relation(kind) = attribute.attribute else { return FieldKind::Invalid };
    let found = match shape(&field.ty) {
        Shape::Reference { nullable } if !kind.is_to_many() => Some(nullable),
        Shape::Collection if kind.is_to_many() => Some(false),
        _ => None,
    };
    let Some(nullable) = found else {
        let expected = match kind {
            RelationKind::ManyToOne => "`Ref<Entity>`, or `Option<Ref<Entity>>` where it may be missing",
            RelationKind::OneToOne => "`Ref<Entity>` or `Option<Ref<Entity>>`",
            RelationKind::OneToMany | RelationKind::ManyToMany => "`Collection<Entity>`",
        };
        errors.push_on(&field.ty, format!("a field with #[{}] is a {expected}", kind.attribute()));
        return FieldKind::Invalid;
    };
    let mut relation = Relation::new(kind, attribute.span, nullable);
    attr::relation(attribute.arguments, &mut relation);
    FieldKind::Relation(Box::new(relation))
}
