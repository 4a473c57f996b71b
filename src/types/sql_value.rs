//! Values for the placeholders of plain SQL.

use bytes::Bytes;

use super::{ConversionError, PgType, ScalarType};

/// A value for a placeholder of plain SQL: a column type, an `Option` of one (`None` is NULL), or a `&str`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a placeholder",
    label = "not a column type",
    note = "use a column type, an Option of one, or &str: em.sql(\"… ? …\", &[&value])"
)]
pub trait SqlValue: Sync {
    /// The type and the binary form, `None` for NULL.
    ///
    /// # Errors
    /// If the value is outside of what the PostgreSQL type can hold.
    #[doc(hidden)]
    fn bind(&self) -> Result<(PgType, Option<Bytes>), ConversionError>;
}

fn bound<T: ScalarType>(value: &T) -> Result<(PgType, Option<Bytes>), ConversionError> {
    let mut out = Vec::new();
    value.encode(&mut out)?;
    Ok((T::TYPE, Some(out.into())))
}

#[diagnostic::do_not_recommend]
impl<T: ScalarType> SqlValue for T {
    fn bind(&self) -> Result<(PgType, Option<Bytes>), ConversionError> {
        bound(self)
    }
}

impl<T: ScalarType> SqlValue for Option<T> {
    fn bind(&self) -> Result<(PgType, Option<Bytes>), ConversionError> {
        self.as_ref().map_or(Ok((T::TYPE, None)), bound)
    }
}

impl SqlValue for &str {
    fn bind(&self) -> Result<(PgType, Option<Bytes>), ConversionError> {
        bound(&(*self).to_owned())
    }
}

impl SqlValue for Option<&str> {
    fn bind(&self) -> Result<(PgType, Option<Bytes>), ConversionError> {
        self.map(str::to_owned).bind()
    }
}
