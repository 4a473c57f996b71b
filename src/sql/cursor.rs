//! Cursors: the rows of a query, some at a time.

use super::parameter::Statement;

/// The statement that opens a cursor for a query.
pub(crate) fn declare(name: &str, query: Statement) -> Statement {
    let text = format!("DECLARE {name} NO SCROLL CURSOR FOR {}", query.text);
    Statement { text: text.into(), params: query.params }
}

/// The statement that reads the next rows of a cursor.
pub(crate) fn fetch(name: &str, rows: usize) -> Statement {
    Statement { text: format!("FETCH FORWARD {rows} FROM {name}").into(), params: Vec::new() }
}

/// Closes a cursor.
pub(crate) fn close(name: &str) -> String {
    format!("CLOSE {name}")
}

/// Whether a statement is about one cursor, which is read once: preparing it would serve nobody.
pub(crate) fn is_of_a_cursor(text: &str) -> bool {
    text.starts_with("DECLARE ") || text.starts_with("FETCH ")
}
