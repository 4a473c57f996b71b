//! Takes SQL apart, as far as that is needed to find what is not text: the same for SQL that users write, in definitions and
//! in queries, and for statements that are looked at.

use std::borrow::Cow;

/// What kind of piece stands at the beginning of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Blank,
    /// `-- …` up to the end of the line, that included if there is one.
    LineComment,
    /// `/* … */`, which may have others inside.
    BlockComment,
    /// `'…'`, `E'…'`, `$tag$…$tag$`
    Literal,
    /// `"…"`
    QuotedName,
    /// A name, a keyword or a number.
    Word,
    /// `$1`
    Parameter,
    /// One character of an operator or of punctuation.
    Other,
}

/// The first token of a text, and how many bytes it has; `None` of no text. What does not end goes on to the end of the
/// text.
pub(crate) fn token(text: &str) -> Option<(Token, usize)> {
    let bytes = text.as_bytes();
    let first = *bytes.first()?;
    let run = |is_part: fn(u8) -> bool| bytes.iter().take_while(|byte| is_part(**byte)).count();
    let escaped = matches!(bytes, [b'e' | b'E', b'\'', ..]);
    Some(match first {
        _ if is_blank(first) => (Token::Blank, run(is_blank)),
        b'\'' => (Token::Literal, end_of_quoted(bytes, 0, false)),
        _ if escaped => (Token::Literal, end_of_quoted(bytes, 1, true)),
        b'"' => (Token::QuotedName, end_of_quoted(bytes, 0, false)),
        b'-' if bytes.get(1) == Some(&b'-') => {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            (Token::LineComment, end.map_or(bytes.len(), |end| end + 1))
        }
        b'/' if bytes.get(1) == Some(&b'*') => (Token::BlockComment, end_of_comment(bytes)),
        b'$' => match bytes[1..].iter().take_while(|byte| byte.is_ascii_digit()).count() {
            0 => end_of_dollars(bytes).map_or((Token::Other, 1), |end| (Token::Literal, end)),
            digits => (Token::Parameter, digits + 1),
        },
        _ if first.is_ascii_digit() => (Token::Word, run(|byte| is_name(byte) && byte != b'$')),
        _ if is_name(first) => (Token::Word, run(is_name)),
        _ => (Token::Other, 1),
    })
}

/// The name that a token is, as the server takes it: one without quotes in small letters. `None` if it is none.
pub(crate) fn name(token: Token, text: &str) -> Option<Cow<'_, str>> {
    match token {
        Token::QuotedName => {
            let name = text.strip_prefix('"').unwrap_or(text);
            let name = name.strip_suffix('"').unwrap_or(name);
            Some(if name.contains('"') { Cow::Owned(name.replace("\"\"", "\"")) } else { Cow::Borrowed(name) })
        }
        Token::Word if !text.starts_with(|letter: char| letter.is_ascii_digit()) => {
            let is_folded = !text.contains(char::is_uppercase);
            Some(if is_folded { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) })
        }
        _ => None,
    }
}

/// The tokens of a text without blanks and comments.
pub(crate) fn tokens(text: &str) -> Vec<(Token, &str)> {
    let (mut rest, mut tokens) = (text, Vec::new());
    while let Some((found, length)) = token(rest) {
        let (piece, behind) = rest.split_at(length);
        rest = behind;
        if !matches!(found, Token::Blank | Token::LineComment | Token::BlockComment) {
            tokens.push((found, piece));
        }
    }
    tokens
}

/// Whether a text ends within a comment that goes on to the end of the line.
pub(crate) fn ends_in_comment(text: &str) -> bool {
    let (mut rest, mut last) = (text, Token::Blank);
    while let Some((token, length)) = token(rest) {
        last = token;
        rest = &rest[length..];
    }
    last == Token::LineComment && !text.ends_with('\n')
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Whether a byte is part of a name. All but those of ASCII are.
const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

/// Behind the quote that ends what begins with the one at `start`; a doubled quote is part of it.
fn end_of_quoted(bytes: &[u8], start: usize, escapes: bool) -> usize {
    let (quote, mut at) = (bytes[start], start + 1);
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'\\' if escapes => 2,
            byte if *byte == quote && bytes.get(at + 1) == Some(&quote) => 2,
            byte if *byte == quote => return at + 1,
            _ => 1,
        };
    }
    bytes.len()
}

/// Behind a comment.
fn end_of_comment(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Behind a literal between `$tag$`; `None` if none begins.
fn end_of_dollars(bytes: &[u8]) -> Option<usize> {
    let tag = bytes[1..].iter().take_while(|byte| is_name(**byte) && **byte != b'$').count();
    if bytes.get(1 + tag) != Some(&b'$') {
        return None;
    }
    let (quote, rest) = bytes.split_at(tag + 2);
    let end = rest.windows(quote.len()).position(|window| window == quote);
    Some(end.map_or(bytes.len(), |end| quote.len() + end + quote.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(Token, &str)> {
        let (mut rest, mut all) = (text, Vec::new());
        while let Some((token, length)) = token(rest) {
            let (piece, behind) = rest.split_at(length);
            all.push((token, piece));
            rest = behind;
        }
        all
    }

    #[test]
    fn names_are_what_the_server_takes_them_for() {
        let names = |text| tokens(text).into_iter().filter_map(|(token, text)| name(token, text)).collect::<Vec<_>>();
        assert_eq!(names(r#"Lower("Full ""name""" /* a */ || 'b' || 1) -- c"#), ["lower", "Full \"name\""]);
    }

    #[test]
    fn texts_names_comments_and_parameters_are_told_apart() {
        use Token::*;
        let literals =
            ["'it''s'", "''", r"E'it\'s'", r"e'\\'", "$$?$$", "$a$ $$ $b$ $a$", "$ü$'$ü$", r"'\'", "'open", "$a$"];
        for literal in literals {
            assert_eq!(all(literal), [(Literal, literal)], "{literal}");
        }
        for comment in ["/* a /* b */ c */", "/**/", "/* open"] {
            assert_eq!(all(comment), [(BlockComment, comment)], "{comment}");
        }
        for word in ["a", "_a1", "a$1", "été", "1e5", "E"] {
            assert_eq!(all(word), [(Word, word)], "{word}");
        }
        assert_eq!(all("\"a\"\"b\"."), [(QuotedName, "\"a\"\"b\""), (Other, ".")]);
        assert_eq!(all("-- a\nb"), [(LineComment, "-- a\n"), (Word, "b")]);
        assert_eq!(all("$12a"), [(Parameter, "$12"), (Word, "a")]);
        assert_eq!(all("a-1 $"), [(Word, "a"), (Other, "-"), (Word, "1"), (Blank, " "), (Other, "$")]);
        assert_eq!(all("ae'x'"), [(Word, "ae"), (Literal, "'x'")]);
        assert_eq!(all("Ü'x'"), [(Word, "Ü"), (Literal, "'x'")]);
    }

    #[test]
    fn a_comment_at_the_end_is_noticed() {
        for (text, ends) in [("a -- b", true), ("a -- b\n", false), ("a '-- b", false), ("a", false), ("", false)] {
            assert_eq!(ends_in_comment(text), ends, "{text}");
        }
    }
}
