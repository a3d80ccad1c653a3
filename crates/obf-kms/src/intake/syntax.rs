//! What is wrong with a line that is no record, in words that never repeat what may be a key: who has put one into the
//! wrong field must not find it in a log.

use serde_json::error::Category;

/// A quoted part of a message that is as long may be a key: the shortest, of 16 octets, has 22 digits of base64.
const LONGEST_NAME: usize = 20;

/// A line that is no UTF-8 from that octet on.
pub fn not_utf8(line: &[u8], valid: usize) -> String {
    let wide = line.starts_with(b"\xFF\xFE") || line.starts_with(b"\xFE\xFF") || line.contains(&0);
    if wide {
        "the file is no UTF-8 but looks like UTF-16: save it as UTF-8".to_owned()
    } else {
        format!("octet {} is no UTF-8: save the file as UTF-8", valid + 1)
    }
}

/// What the parser says. Its "line 1" is the line of which the caller knows the number.
pub fn said(error: &serde_json::Error) -> String {
    let (column, text) = (error.column(), error.to_string());
    let place = format!(" at line {} column {column}", error.line());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    match error.classify() {
        Category::Eof => format!("the JSON object is cut off at column {column}"),
        Category::Syntax => format!("no JSON object: {}, at column {column}", without_keys(text)),
        Category::Data | Category::Io => format!("{}, at column {column}", without_keys(text)),
    }
}

/// Long parts between quotation marks or backticks taken out.
fn without_keys(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(['"', '`']) {
        let (before, quoted) = rest.split_at(begin);
        let Some((mark, inside)) = quoted.split_at_checked(1) else { break };
        // What is quoted may have the mark in it.
        let end =
            if mark == "\"" { inside.rfind(mark) } else { inside.find("`, ").or_else(|| inside.find(mark)) };
        let (inside, after) = inside.split_at(end.unwrap_or(inside.len()));
        shown.push_str(before);
        shown.push_str(mark);
        shown.push_str(if inside.len() > LONGEST_NAME { "…" } else { inside });
        shown.push_str(mark);
        rest = after.get(1..).unwrap_or_default();
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::without_keys;

    #[test]
    fn what_may_be_a_key_is_not_repeated() {
        for (said, shown) in [
            (
                r#"invalid type: string "465b5ce8b199b49faa5f0a2ee238a6bc", expected u8"#,
                r#"invalid type: string "…", expected u8"#,
            ),
            (
                r#"invalid type: string "Rlts6LGZtJ+qXwou4jimvA", expected u8"#,
                r#"invalid type: string "…", expected u8"#,
            ),
            (
                r#"invalid type: string "465b5ce8\"b199b49faa5f0a2e", expected u8"#,
                r#"invalid type: string "…", expected u8"#,
            ),
            (
                "unknown variant `465b5ce8b199b49faa5f0a2ee238a6bc`, expected `milenage` or `tuak`",
                "unknown variant `…`, expected `milenage` or `tuak`",
            ),
            (
                "unknown field `ki`, expected one of `imsi`, `k`",
                "unknown field `ki`, expected one of `imsi`, `k`",
            ),
            ("unknown field `465b5ce8`b199b49faa5f0a2e`, expected `k`", "unknown field `…`, expected `k`"),
            ("expected value", "expected value"),
        ] {
            assert_eq!(without_keys(said), shown);
        }
    }
}
