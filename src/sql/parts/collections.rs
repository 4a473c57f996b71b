//! The parts of to-many relations that go through a pivot table, or that have options: links, and some items of each owner.

use super::*;

/// The rows of a pivot table. An owner without any has a row, too, when the owners are not known beforehand.
pub(super) fn links(writer: &mut Writer<'_>, part: &Part<'_>, place: &Place<'_>) -> Result<String, Error> {
    let pivot = place.pivot()?;
    let push = |text: &mut String, columns: &[KeyColumnDef]| {
        push_list(text, columns, |text, column| {
            push_column(text, PIVOT, &column.name);
            if column.sql_type.is_some() {
                let _ = write!(text, "::{}", column.pg.name);
            }
        });
    };
    let mut text = "SELECT ".to_owned();
    if part.has_arrays() {
        let (owners, items) = (0..pivot.join.len(), 0..pivot.inverse_join.len());
        let push_names = |text: &mut String| {
            push_list(text, owners.clone(), |text, index| {
                let _ = write!(text, "k{index}");
            });
        };
        push_names(&mut text);
        for index in items.clone() {
            let _ = write!(text, ", array_agg(x{index})");
        }
        text.push_str(" FROM (SELECT ");
        push(&mut text, &pivot.join);
        text.push_str(", ");
        push(&mut text, &pivot.inverse_join);
        text.push_str(" FROM ");
        writer.view().push_pivot(&mut text, pivot);
        let _ = write!(text, " AS {PIVOT} WHERE ");
        push_keys(writer, part, PIVOT, place.owner, &pivot.join, &mut text)?;
        text.push_str(" ORDER BY ");
        push_list(&mut text, &pivot.join, |text, column| push_column(text, PIVOT, &column.name));
        text.push_str(", ");
        push_item_order(pivot, PIVOT, &mut text);
        text.push_str(") AS l(");
        push_names(&mut text);
        for index in items {
            let _ = write!(text, ", x{index}");
        }
        text.push_str(") GROUP BY ");
        push_names(&mut text);
        return Ok(text);
    }
    push_list(&mut text, 0..place.owner.key.len(), |text, index| {
        let _ = write!(text, "k.k{index}");
    });
    text.push_str(", ");
    push(&mut text, &pivot.inverse_join);
    text.push_str(" FROM ");
    push_owners(writer, part, place.owner, &mut text)?;
    text.push_str(" LEFT JOIN ");
    writer.view().push_pivot(&mut text, pivot);
    let _ = write!(text, " AS {PIVOT} ON ");
    push_owned(PIVOT, &pivot.join, &mut text);
    text.push_str(" ORDER BY ");
    push_item_order(pivot, PIVOT, &mut text);
    Ok(text)
}

/// Appends the order in which the items of a many-to-many relation stand.
fn push_item_order(pivot: &PivotDef, alias: &str, text: &mut String) {
    match &pivot.order {
        Some(order) => push_column(text, alias, order),
        None => push_list(text, &pivot.inverse_join, |text, column| push_column(text, alias, &column.name)),
    }
}

/// The items of owners that are not known beforehand, or some of the items: `LATERAL`, for their limit is one of each owner.
pub(super) fn items(writer: &mut Writer<'_>, part: &Part<'_>, place: &Place<'_>) -> Result<String, Error> {
    let (mut list, mut joins) = (String::new(), String::new());
    part.shape.push(writer, &mut list, &mut joins)?;
    push_owner_keys(place.owner, &mut list);
    let mut text = format!("SELECT {list} FROM ");
    push_owners(writer, part, place.owner, &mut text)?;
    let seen = writer.seen(ROOT, place.target)?;
    text.push_str(" LEFT JOIN ");
    let Some(options) = part.options else {
        let _ = write!(text, "{} ON ", seen.table);
        push_owned(ROOT, place.foreign_key()?, &mut text);
        seen.push_and(&mut text);
        let _ = write!(text, "{joins} ORDER BY ");
        push_key_order(&mut text, place.target);
        return Ok(text);
    };
    let mut scope = Scope::new(writer.alias(), place.target.index);
    let filter = writer.filter(&mut scope, &options.filter)?;
    let mut order = writer.order(&mut scope, &options.order)?;
    let alias = scope.alias().to_owned();
    let inner = writer.seen(&alias, place.target)?;
    let (mut from, mut owned) = (String::new(), String::new());
    if order.is_empty()
        && let Some(pivot) = &place.relation.pivot
    {
        push_item_order(pivot, PIVOT, &mut order);
    }
    if !order.is_empty() {
        order.push_str(", ");
    }
    push_list(&mut order, &place.target.key, |text, column| push_column(text, &alias, &column.name));
    if let Some(pivot) = &place.relation.pivot {
        writer.view().push_pivot(&mut from, pivot);
        let _ = write!(from, " AS {PIVOT} JOIN {} ON ", inner.table);
        push_column_pairs(&mut from, &alias, &place.target.key, PIVOT, &pivot.inverse_join);
        push_owned(PIVOT, &pivot.join, &mut owned);
    } else {
        from.push_str(&inner.table);
        push_owned(&alias, place.foreign_key()?, &mut owned);
    }
    inner.push_and(&mut owned);
    text.push_str("LATERAL (SELECT ");
    push_list(&mut text, &place.target.key, |text, column| push_column(text, &alias, &column.name));
    let joined = scope.joins();
    let _ = write!(text, ", row_number() OVER (ORDER BY {order}) FROM {from}{joined} WHERE {owned}");
    if !filter.is_empty() {
        let _ = write!(text, " AND {filter}");
    }
    let _ = write!(text, " ORDER BY {}", place.target.key.len() + 1);
    if let Some(limit) = options.limit {
        let _ = write!(text, " LIMIT {}", writer.bind_count(limit));
    }
    if let Some(offset) = options.offset {
        let _ = write!(text, " OFFSET {}", writer.bind_count(offset));
    }
    text.push_str(") AS x(");
    push_list(&mut text, 0..place.target.key.len(), |text, index| {
        let _ = write!(text, "x{index}");
    });
    let _ = write!(text, ", n) ON TRUE LEFT JOIN {} ON ", seen.table);
    push_joined(&mut text, " AND ", place.target.key.iter().enumerate(), |text, (index, column)| {
        push_column(text, ROOT, &column.name);
        let _ = write!(text, " = x.x{index}");
    });
    seen.push_and(&mut text);
    let _ = write!(text, "{joins} ORDER BY x.n");
    Ok(text)
}
