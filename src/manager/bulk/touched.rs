//! Which entities a condition can be about, as far as that can be told without the database.

use crate::metadata::EntityDef;
use crate::sql::{Expression, Operator, Term};
use crate::types::{Key, KeyPart, for_each_element};

/// The keys that a row must have one of to fulfil the conditions; `None` if it may be any row.
pub(super) fn keys_of(entity: &EntityDef, filter: &[Expression]) -> Option<Vec<Key>> {
    filter.iter().find_map(|expression| match expression {
        Expression::All(all) => keys_of(entity, all),
        Expression::Key { path, keys } if path.hops().is_empty() => Some(keys.clone()),
        Expression::Compare { left: Term::Column { path, property }, operator, right } if path.hops().is_empty() => {
            let is_key = entity.key_properties == [usize::from(*property)];
            if is_key { keys_in(entity, *operator, right) } else { None }
        }
        _ => None,
    })
}

/// The keys that a comparison of a key of one column allows.
fn keys_in(entity: &EntityDef, operator: Operator, right: &Term) -> Option<Vec<Key>> {
    let ([column], Term::Bound(bound)) = (entity.key.as_slice(), right) else { return None };
    let value = bound.value.as_ref().ok()?.as_ref()?;
    match operator {
        Operator::Equal if bound.pg == column.pg => Some(vec![Key::One(KeyPart::decode(column.pg, value)?)]),
        Operator::In if bound.pg == column.pg.array() => {
            let mut keys = Vec::new();
            let read = for_each_element(value, |_, element| {
                keys.extend(KeyPart::decode(column.pg, element).map(Key::One));
                Ok(())
            });
            read.ok().map(|()| keys)
        }
        _ => None,
    }
}
