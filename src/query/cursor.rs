//! Cursors: the place of a row in an order, as a string that a client can keep and send back.
//!
//! A string is whatever somebody sends: it is checked to be a whole cursor, of this order, with values that the columns
//! could have. Its values become bind parameters, like all others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Buf, Bytes};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::sql::{PageOrder, RowPlace};

/// The first byte: how the others are to be read.
const VERSION: u8 = 1;

/// How many bytes of a digest are kept.
const DIGEST: usize = 4;

/// Writes the cursors of one order, and reads them.
#[derive(Clone, Debug)]
pub(crate) struct CursorForm {
    order: [u8; DIGEST],
}

impl CursorForm {
    pub(crate) fn of(order: &PageOrder) -> Self {
        Self { order: digest(&order.description) }
    }

    /// The cursor of a row.
    pub(crate) fn write(&self, place: &RowPlace) -> String {
        let mut out = vec![VERSION];
        out.extend(self.order);
        for value in place {
            match value {
                None => out.push(0),
                Some(value) => {
                    out.push(1);
                    out.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
                    out.extend_from_slice(value);
                }
            }
        }
        out.extend(digest(&out));
        URL_SAFE_NO_PAD.encode(out)
    }

    /// The place that a cursor names.
    ///
    /// # Errors
    /// [`Error::Validation`] if it is no cursor, or one of another order.
    pub(crate) fn read(&self, cursor: &str, order: &PageOrder, entity: &'static str) -> Result<RowPlace, Error> {
        let unreadable = || {
            let message = "the cursor cannot be read: pass on the string that a page has given, or begin without one";
            Error::validation(entity, message)
        };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| unreadable())?;
        let (content, check) = bytes.split_last_chunk::<DIGEST>().ok_or_else(unreadable)?;
        if *check != digest(content) {
            return Err(unreadable());
        }
        let (&version, rest) = content.split_first().ok_or_else(unreadable)?;
        let (made_for, values) = rest.split_first_chunk::<DIGEST>().ok_or_else(unreadable)?;
        if version != VERSION || *made_for != self.order {
            let message = format!(
                "the cursor does not fit: it was made for another order, or another entity than {entity}; use it with the \
                 order_by of the page that it is from"
            );
            return Err(Error::validation(entity, message));
        }
        let place = values_of(values).filter(|place| order.fits(place));
        place.ok_or_else(unreadable)
    }
}

fn values_of(bytes: &[u8]) -> Option<RowPlace> {
    let mut bytes = Bytes::copy_from_slice(bytes);
    let mut place = Vec::new();
    while bytes.has_remaining() {
        place.push(match bytes.try_get_u8().ok()? {
            0 => None,
            1 => {
                let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
                if length > bytes.len() {
                    return None;
                }
                Some(bytes.split_to(length))
            }
            _ => return None,
        });
    }
    Some(place)
}

fn digest(bytes: &[u8]) -> [u8; DIGEST] {
    let digest = Sha256::digest(bytes);
    let mut out = [0; DIGEST];
    out.iter_mut().zip(digest.iter()).for_each(|(out, byte)| *out = *byte);
    out
}
