//! Standard output: tables and sentences for people, one JSON object a line with `--json`.

use crate::endpoints::Endpoints;
use serde_json::Value;
use std::io::{self, Write};

/// How a command talks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Output {
    /// `--json` was given.
    pub json: bool,
}

impl Output {
    /// One result: the object with `--json`, otherwise the words.
    pub fn say(self, value: &Value, words: impl FnOnce() -> String) {
        let text = if self.json { value.to_string() } else { words() };
        line(&text);
    }

    /// Listeners that accept now, one a line.
    pub fn listeners(self, endpoints: &Endpoints) {
        for listener in endpoints.listeners() {
            let text = if self.json { serde_json::to_string(listener).ok() } else { None };
            line(&text.unwrap_or_else(|| {
                let tls = if listener.tls { " (TLS)" } else { "" };
                format!("{:9} {:8} {}{tls}", listener.node, listener.point, listener.address)
            }));
        }
    }

    /// Only for people: nothing with `--json`.
    pub fn remark(self, words: impl FnOnce() -> String) {
        if !self.json {
            line(&words());
        }
    }

    /// Many results of one shape: objects one a line, or a table with the named columns.
    pub fn table(self, rows: &[Value], columns: &[&str]) {
        if self.json {
            rows.iter().for_each(|row| line(&row.to_string()));
            return;
        }
        let cells: Vec<Vec<String>> =
            rows.iter().map(|row| columns.iter().map(|column| cell(row.get(column))).collect()).collect();
        let widths: Vec<usize> = columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let widest =
                    cells.iter().filter_map(|row| row.get(index)).map(|text| text.chars().count()).max();
                widest.unwrap_or(0).max(column.len())
            })
            .collect();
        let header: Vec<String> = columns.iter().map(|column| column.to_uppercase()).collect();
        line(&aligned(&header, &widths));
        cells.iter().for_each(|row| line(&aligned(row, &widths)));
    }
}

/// One value, unquoted, as a person reads it.
pub fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::Array(items)) => items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(", "),
        Some(Value::Object(fields)) => fields
            .iter()
            .map(|(name, value)| format!("{name}:{}", cell(Some(value))))
            .collect::<Vec<_>>()
            .join(" "),
        Some(other) => other.to_string(),
    }
}

/// An object as `name: value` lines.
pub fn record(value: &Value) -> String {
    let Value::Object(fields) = value else { return cell(Some(value)) };
    let width = fields.keys().map(String::len).max().unwrap_or(0);
    let lines: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name:width$}  {}", cell(Some(value)))).collect();
    lines.join("\n")
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> =
        cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    padded.join("  ").trim_end().to_owned()
}

/// A closed pipe (`obf … | head`) is not an error of ours.
fn line(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn table_cells_show_no_json() {
        assert_eq!(cell(Some(&json!(["a", 1, true]))), "a, 1, true");
        assert_eq!(cell(Some(&json!(null))), "-");
        assert_eq!(record(&json!({"a": 1, "long": "x"})), "a     1\nlong  x");
    }
}
