//! What rows are read into that are no entities: scalars, tuples, and structs with `#[derive(Projection)]`.
//!
//! A projection is described by data, as an entity is: `sql/projection.rs` writes its SELECT list from that, and the
//! columns of a result are compared with it once.

use std::fmt::Debug;

use super::{ColumnReader, PgType, ScalarType, for_each_tuple};
use crate::error::Error;

/// A struct of some of an entity's columns: implemented by `#[derive(Projection)]`.
///
/// Read with [`Find::into`](crate::Find::into), or from plain SQL with [`Sql::map_to`](crate::Sql::map_to). Projections are
/// values of their own: they are not in the identity map, and nothing that happens to them is written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection",
    label = "not a projection",
    note = "add #[derive(Projection)] to the struct"
)]
pub trait Projection: FromRow {
    /// The projection's description.
    fn meta() -> &'static ProjectionMeta;
}

/// What a row can be read into: a scalar or an `Option` of one, a tuple of them, or a struct with `#[derive(Projection)]`.
#[diagnostic::on_unimplemented(
    message = "a row cannot be read into `{Self}`",
    label = "not something that rows are read into",
    note = "use a column type, an Option or a tuple of such, or a struct with #[derive(Projection)]"
)]
pub trait FromRow: Sized + Send + 'static {
    /// The columns that are needed.
    #[doc(hidden)]
    fn expected() -> ExpectedRow;

    /// Reads the next columns.
    ///
    /// # Errors
    /// [`Error::Conversion`] if a column holds something else.
    #[doc(hidden)]
    fn read(row: &mut ColumnReader<'_>) -> Result<Self, Error>;
}

/// The columns that something is read from.
#[doc(hidden)]
#[derive(Debug)]
pub enum ExpectedRow {
    /// In this order, whatever they are called.
    InOrder(Vec<ColumnShape>),
    /// By their names.
    ByName(&'static ProjectionMeta),
}

/// One value of a row: a scalar, or an `Option` of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a column",
    label = "not a column type",
    note = "use bool, i16, i32, i64, f32, f64, String, Vec<u8>, Uuid, a chrono type, Json<T>, an enum with #[derive(DbEnum)], or Option/Vec of one"
)]
pub trait RowValue: Sized + Send + 'static {
    /// The column that is needed.
    #[doc(hidden)]
    const SHAPE: ColumnShape;

    /// Reads the next column.
    ///
    /// # Errors
    /// [`Error::Conversion`] if it holds something else.
    #[doc(hidden)]
    fn read_value(row: &mut ColumnReader<'_>) -> Result<Self, Error>;
}

/// What a column has to be.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct ColumnShape {
    pub pg: PgType,
    pub accepts: &'static [u32],
    pub nullable: bool,
}

impl ColumnShape {
    /// A column of this type.
    pub const fn of<T: ScalarType>(nullable: bool) -> Self {
        Self { pg: T::TYPE, accepts: T::ACCEPTS, nullable }
    }
}

/// Everything the derive macro knows of a projection.
#[doc(hidden)]
#[derive(Debug)]
pub struct ProjectionMeta {
    pub name: &'static str,
    pub fields: &'static [ProjectionFieldMeta],
}

/// One field of a projection.
#[doc(hidden)]
#[derive(Debug)]
pub struct ProjectionFieldMeta {
    /// The field of the entity that it is read from, or the way to it: `author.name`.
    pub name: &'static str,
    pub shape: FieldShape,
}

/// What a field of a projection is.
#[doc(hidden)]
#[derive(Debug)]
pub enum FieldShape {
    Column(ColumnShape),
    /// A projection of what a to-one relation leads to.
    One {
        target: fn() -> &'static ProjectionMeta,
        nullable: bool,
    },
    /// Projections of what a to-many relation leads to.
    Many {
        target: fn() -> &'static ProjectionMeta,
    },
}

/// One column of the SELECT list of a projection.
#[derive(Debug)]
pub(crate) struct ProjectedColumn {
    /// The name, with the fields that it is inside of: `author.name`.
    pub(crate) name: String,
    pub(crate) accepts: &'static [u32],
    pub(crate) expected: &'static str,
}

impl ProjectionMeta {
    /// How many columns a value takes. `marked` if a column in front of each optional group says whether it is there.
    pub(crate) fn width(&self, marked: bool) -> usize {
        let width = |field: &ProjectionFieldMeta| match &field.shape {
            FieldShape::Column(_) | FieldShape::Many { .. } => 1,
            FieldShape::One { target, nullable } => target().width(marked) + usize::from(*nullable && marked),
        };
        self.fields.iter().map(width).sum()
    }

    /// The columns that a value takes, in their order.
    pub(crate) fn columns(&self, marked: bool) -> Vec<ProjectedColumn> {
        let mut columns = Vec::new();
        self.push_columns("", marked, &mut columns);
        columns
    }

    fn push_columns(&self, prefix: &str, marked: bool, out: &mut Vec<ProjectedColumn>) {
        for field in self.fields {
            let name = format!("{prefix}{}", field.name);
            match &field.shape {
                FieldShape::Column(shape) => {
                    out.push(ProjectedColumn { name, accepts: shape.accepts, expected: shape.pg.name });
                }
                // The OID of record[].
                FieldShape::Many { .. } => {
                    out.push(ProjectedColumn { name, accepts: &[2287], expected: "a list of records" });
                }
                FieldShape::One { target, nullable } => {
                    if *nullable && marked {
                        let accepts = <bool as ScalarType>::ACCEPTS;
                        out.push(ProjectedColumn { name: name.clone(), accepts, expected: "bool" });
                    }
                    target().push_columns(&format!("{name}."), marked, out);
                }
            }
        }
    }
}

/// The kinds of fields of a projection: the compiler finds out which one a type is.
#[doc(hidden)]
#[derive(Debug)]
pub struct AsColumn;
#[doc(hidden)]
#[derive(Debug)]
pub struct AsOne;
#[doc(hidden)]
#[derive(Debug)]
pub struct AsOptional;
#[doc(hidden)]
#[derive(Debug)]
pub struct AsMany;

/// What a field of a projection can be.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a projection",
    label = "neither a column type nor a projection",
    note = "use a column type, a struct with #[derive(Projection)], or Option/Vec of one"
)]
pub trait ProjectionField<Kind>: Sized {
    const SHAPE: FieldShape;

    /// Reads the next columns.
    ///
    /// # Errors
    /// [`Error::Conversion`] if they hold something else.
    fn read_field(row: &mut ColumnReader<'_>) -> Result<Self, Error>;
}

#[diagnostic::do_not_recommend]
impl<V: RowValue> ProjectionField<AsColumn> for V {
    const SHAPE: FieldShape = FieldShape::Column(V::SHAPE);

    fn read_field(row: &mut ColumnReader<'_>) -> Result<Self, Error> {
        V::read_value(row)
    }
}

#[diagnostic::do_not_recommend]
impl<P: Projection> ProjectionField<AsOne> for P {
    const SHAPE: FieldShape = FieldShape::One { target: P::meta, nullable: false };

    fn read_field(row: &mut ColumnReader<'_>) -> Result<Self, Error> {
        P::read(row)
    }
}

#[diagnostic::do_not_recommend]
impl<P: Projection> ProjectionField<AsOptional> for Option<P> {
    const SHAPE: FieldShape = FieldShape::One { target: P::meta, nullable: true };

    fn read_field(row: &mut ColumnReader<'_>) -> Result<Self, Error> {
        row.optional(P::meta(), P::read)
    }
}

#[diagnostic::do_not_recommend]
impl<P: Projection> ProjectionField<AsMany> for Vec<P> {
    const SHAPE: FieldShape = FieldShape::Many { target: P::meta };

    fn read_field(row: &mut ColumnReader<'_>) -> Result<Self, Error> {
        row.records(P::meta(), P::read)
    }
}

#[diagnostic::do_not_recommend]
impl<T: ScalarType> RowValue for T {
    const SHAPE: ColumnShape = ColumnShape::of::<T>(false);

    fn read_value(row: &mut ColumnReader<'_>) -> Result<Self, Error> {
        row.value()
    }
}

impl<T: ScalarType> RowValue for Option<T> {
    const SHAPE: ColumnShape = ColumnShape::of::<T>(true);

    fn read_value(row: &mut ColumnReader<'_>) -> Result<Self, Error> {
        row.option()
    }
}

#[diagnostic::do_not_recommend]
impl<V: RowValue> FromRow for V {
    fn expected() -> ExpectedRow {
        ExpectedRow::InOrder(vec![V::SHAPE])
    }

    fn read(row: &mut ColumnReader<'_>) -> Result<Self, Error> {
        V::read_value(row)
    }
}

macro_rules! tuple_row {
    ($($name:ident),*) => {
        impl<$($name: RowValue),*> FromRow for ($($name,)*) {
            fn expected() -> ExpectedRow {
                ExpectedRow::InOrder(vec![$($name::SHAPE),*])
            }

            fn read(row: &mut ColumnReader<'_>) -> Result<Self, Error> {
                Ok(($($name::read_value(row)?,)*))
            }
        }
    };
}

for_each_tuple!(tuple_row);
