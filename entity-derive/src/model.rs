//! The typed model of an entity's definition: what `parse` makes, `check` judges and `emit` writes out.

use proc_macro2::Span;
use syn::{Expr, Ident, LitStr, Type, Visibility};

/// A struct with `#[derive(Entity)]`.
pub struct Entity {
    pub ident: Ident,
    pub visibility: Visibility,
    pub table: Option<LitStr>,
    pub schema: Option<LitStr>,
    pub comment: Option<LitStr>,
    /// The type of the repository, where it is the program's own.
    pub repository: Option<Type>,
    pub indexes: Vec<Index>,
    pub checks: Vec<Check>,
    pub filters: Vec<Filter>,
    pub fields: Vec<Field>,
}

/// `#[index(…)]` or `#[unique(…)]` on the struct.
pub struct Index {
    pub span: Span,
    pub unique: bool,
    pub fields: Vec<Ident>,
    /// SQL behind the fields. `None` if it was wrong, and is reported already.
    pub expressions: Option<Vec<LitStr>>,
    pub name: Option<LitStr>,
    pub predicate: Option<LitStr>,
    pub deferrable: Option<&'static str>,
}

/// `#[check("…")]` on the struct.
pub struct Check {
    pub expression: LitStr,
    pub name: Option<LitStr>,
}

/// `#[filter(…)]` on the struct.
pub struct Filter {
    pub name: LitStr,
    pub condition: syn::ExprClosure,
    /// Whether it holds for queries that do not turn it on.
    pub default: bool,
}

/// One field of the struct.
pub struct Field {
    pub ident: Ident,
    pub visibility: Visibility,
    pub ty: Type,
    /// Where `#[primary_key]` stands, if it does.
    pub primary_key: Option<Span>,
    pub kind: FieldKind,
}

/// What a field is.
pub enum FieldKind {
    Column(Box<Column>),
    Relation(Box<Relation>),
    Transient,
    /// A field whose attributes contradict its type: reported already.
    Invalid,
}

/// The options of a column.
#[derive(Default)]
pub struct Column {
    /// Whether the type is an `Option`.
    pub nullable: bool,
    pub assigned: Option<Span>,
    pub version: Option<Span>,
    pub name: Option<LitStr>,
    pub unique: bool,
    pub index: bool,
    pub length: Option<u32>,
    pub precision: Option<u8>,
    pub scale: Option<u8>,
    pub sql_type: Option<LitStr>,
    pub default: Option<Expr>,
    pub default_sql: Option<LitStr>,
    pub on_create: Option<Expr>,
    pub on_update: Option<Expr>,
    pub check: Option<LitStr>,
    pub comment: Option<LitStr>,
}

/// The four relation attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RelationKind {
    ManyToOne,
    OneToMany,
    OneToOne,
    ManyToMany,
}

impl RelationKind {
    /// The name of the attribute.
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::ManyToOne => "many_to_one",
            Self::OneToMany => "one_to_many",
            Self::OneToOne => "one_to_one",
            Self::ManyToMany => "many_to_many",
        }
    }

    /// The name of the variant of howdah's `RelationKind`.
    pub const fn variant(self) -> &'static str {
        match self {
            Self::ManyToOne => "ManyToOne",
            Self::OneToMany => "OneToMany",
            Self::OneToOne => "OneToOne",
            Self::ManyToMany => "ManyToMany",
        }
    }

    /// Whether the field is a `Collection`.
    pub const fn is_to_many(self) -> bool {
        matches!(self, Self::OneToMany | Self::ManyToMany)
    }
}

/// The options of a relation.
pub struct Relation {
    pub kind: RelationKind,
    pub span: Span,
    pub nullable: bool,
    pub mapped_by: Option<Ident>,
    pub inversed_by: Option<Ident>,
    pub cascade: Option<Cascade>,
    pub orphan_removal: bool,
    pub columns: Vec<LitStr>,
    pub on_delete: Option<Action>,
    pub on_update: Option<Action>,
    pub deferrable: Option<&'static str>,
    pub unique: bool,
    pub index: bool,
    pub comment: Option<LitStr>,
    pub pivot_table: Option<LitStr>,
    pub join_columns: Vec<LitStr>,
    pub inverse_join_columns: Vec<LitStr>,
    pub fixed_order: bool,
    pub fixed_order_column: Option<LitStr>,
}

impl Relation {
    /// A relation without options.
    pub const fn new(kind: RelationKind, span: Span, nullable: bool) -> Self {
        Self {
            kind,
            span,
            nullable,
            mapped_by: None,
            inversed_by: None,
            cascade: None,
            orphan_removal: false,
            columns: Vec::new(),
            on_delete: None,
            on_update: None,
            deferrable: None,
            unique: false,
            index: false,
            comment: None,
            pivot_table: None,
            join_columns: Vec::new(),
            inverse_join_columns: Vec::new(),
            fixed_order: false,
            fixed_order_column: None,
        }
    }

    /// Whether the foreign key is in another table.
    pub const fn is_inverse(&self) -> bool {
        matches!(self.kind, RelationKind::OneToMany) || self.mapped_by.is_some()
    }

    /// Whether the field holds foreign key columns of the entity's own table.
    pub const fn has_columns(&self) -> bool {
        !self.kind.is_to_many() && !self.is_inverse()
    }
}

/// `cascade(…)`: what is passed on over a relation.
#[derive(Clone, Copy)]
pub struct Cascade {
    pub persist: bool,
    pub remove: bool,
}

/// What a foreign key does when the row that it refers to goes or changes.
pub struct Action {
    pub sql: &'static str,
    pub span: Span,
}

impl Entity {
    /// The fields that are properties (columns and relations), with their indexes.
    pub fn properties(&self) -> impl Iterator<Item = (usize, &Field)> {
        self.fields.iter().filter(|field| !matches!(field.kind, FieldKind::Transient)).enumerate()
    }

    /// The fields of the key.
    pub fn key(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.primary_key.is_some())
    }
}

impl Field {
    /// The name of the property: the field's, without `r#`.
    pub fn name(&self) -> String {
        syn::ext::IdentExt::unraw(&self.ident).to_string()
    }

    /// The field's options as a column, if it is one.
    pub fn as_column(&self) -> Option<&Column> {
        match &self.kind {
            FieldKind::Column(column) => Some(column),
            _ => None,
        }
    }

    /// The field's options as a relation, if it is one.
    pub fn as_relation(&self) -> Option<&Relation> {
        match &self.kind {
            FieldKind::Relation(relation) => Some(relation),
            _ => None,
        }
    }
}
