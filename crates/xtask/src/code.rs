//! Rust text with comments and literals blanked, so that words are only found where they are code.

/// The code of a file; comments, strings and characters become spaces, lines stay lines.
pub fn code_of(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let literal = literal_length(rest, out.chars().next_back());
        let length = if literal > 0 { literal } else { first.len_utf8() };
        let (taken, remaining) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if literal > 0 {
            out.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            out.push(first);
        }
        rest = remaining;
    }
    out
}

/// The strings of a file, quotes included; code, comments and characters become spaces, lines stay lines.
pub fn strings_of(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let (mut rest, mut before) = (source, None);
    while let Some(first) = rest.chars().next() {
        let literal = literal_length(rest, before);
        let length = if literal > 0 { literal } else { first.len_utf8() };
        let (taken, remaining) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if literal > 0 && (first == '"' || first == 'r') {
            out.push_str(taken);
        } else {
            out.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        before = if literal > 0 { Some(' ') } else { Some(first) };
        rest = remaining;
    }
    out
}

/// The part of a file before its test module: tests stand last.
pub fn without_tests(code: &str) -> &str {
    code.split_once("#[cfg(test)]").map_or(code, |(code, _)| code)
}

/// Whether `word` stands in a line of code as a whole word (paths such as `a::b` are one).
pub fn has_word(line: &str, word: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || c == '_';
    let (opens, closes) = (word.starts_with(inner), word.ends_with(inner));
    line.match_indices(word).any(|(at, _)| {
        let joined_before = opens && line.get(..at).is_some_and(|text| text.ends_with(inner));
        let joined_after = closes && line.get(at + word.len()..).is_some_and(|text| text.starts_with(inner));
        !joined_before && !joined_after
    })
}

/// Octets of the comment or literal that begins here, or 0.
fn literal_length(rest: &str, before: Option<char>) -> usize {
    let octets = rest.as_bytes();
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match octets {
        [b'/', b'/', ..] => rest.find('\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => rest.find("*/").map_or(rest.len(), |at| at + 2),
        [b'"', ..] => quoted(octets, b'"'),
        [b'r', b'"' | b'#', ..] if !in_word => raw(rest),
        [b'\'', b'\\', ..] => quoted(octets, b'\''),
        [b'\'', ..] => {
            // A character, or a lifetime, which has no second quote right behind its first character.
            let mut chars = rest.char_indices().skip(2);
            match chars.next() {
                Some((at, '\'')) => at + 1,
                _ => 0,
            }
        }
        _ => 0,
    }
}

fn quoted(octets: &[u8], quote: u8) -> usize {
    let mut escaped = false;
    for (at, octet) in octets.iter().enumerate().skip(1) {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            octet if *octet == quote => return at + 1,
            _ => {}
        }
    }
    octets.len()
}

fn raw(rest: &str) -> usize {
    let hashes = rest.bytes().skip(1).take_while(|b| *b == b'#').count();
    if rest.as_bytes().get(1 + hashes) != Some(&b'"') {
        return 0; // r#keyword
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = 2 + hashes;
    rest.get(body..).and_then(|text| text.find(&end)).map_or(rest.len(), |at| body + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_only_where_they_are_code() {
        let source = "let a = \"unsafe \\\" x\"; // unsafe\nlet b = 'x'; /* unsafe */ fn f<'a>(c: &'a str) {}\nr#\"unsafe\"# ; '\\''";
        let code = code_of(source);
        assert!(!code.lines().any(|line| has_word(line, "unsafe")), "{code}");
        assert!(has_word(&code, "fn f"));
        assert_eq!(code.lines().count(), source.lines().count());
        assert!(has_word("unsafe { x }", "unsafe"));
        assert!(!has_word("#![forbid(unsafe_code)]", "unsafe"));
        assert!(has_word("a.await?", ".await"));
    }

    #[test]
    fn strings_are_found_and_nothing_else() {
        let source = "let a = \"SELECT x\"; // \"SELECT y\"\nlet SELECT = 'S';\nlet b = r#\"DELETE FROM\nz\"#; b\"INSERT\"";
        let strings = strings_of(source);
        assert_eq!(strings.matches("SELECT").count(), 1, "{strings}");
        assert!(strings.contains("DELETE FROM\nz") && strings.contains("\"INSERT\""));
        assert_eq!(strings.lines().count(), source.lines().count());
    }
}
