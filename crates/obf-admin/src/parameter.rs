//! Parameters of paths, queries and headers: one description for checks, flags and the document.

use crate::pattern;
use serde_json::{Map, Value, json};

/// A parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub description: &'static str,
    /// What it may be.
    pub values: Values,
    /// An example; none where every one differs.
    pub example: &'static str,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Text of that pattern, from 1 to so many characters.
    Text {
        /// One of [`pattern`].
        pattern: &'static str,
        /// Most characters; [`usize::MAX`] where the pattern says them.
        most: usize,
    },
    /// A whole number.
    Number {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `true` or `false`.
    Truth,
}

impl Parameter {
    /// What is allowed, if `text` is not.
    pub fn fault(&self, text: &str) -> Option<String> {
        match self.values {
            Values::Text { pattern, most } => {
                if text.chars().count() > most {
                    return Some(format!("at most {most} characters"));
                }
                pattern::mismatch(pattern, text).map(str::to_owned)
            }
            Values::Number { least, most } => {
                let plain = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
                let number =
                    text.parse::<u64>().ok().filter(|number| plain && (least..=most).contains(number));
                number.is_none().then(|| format!("a number from {least} to {most}"))
            }
            Values::OneOf(words) => (!words.contains(&text)).then(|| words.join(", ")),
            Values::Truth => (!matches!(text, "true" | "false")).then(|| "true, false".to_owned()),
        }
    }

    /// Its JSON schema.
    pub fn schema(&self) -> Value {
        let mut schema = match self.values {
            Values::Text { pattern, most } => {
                // A pattern that says the length itself needs no other word for it.
                match most {
                    usize::MAX => json!({ "type": "string", "pattern": pattern }),
                    _ => json!({ "type": "string", "pattern": pattern, "minLength": 1, "maxLength": most }),
                }
            }
            Values::Number { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Values::OneOf(words) => json!({ "type": "string", "enum": words }),
            Values::Truth => json!({ "type": "boolean" }),
        };
        if let Some(schema) = schema.as_object_mut().filter(|_| !self.example.is_empty()) {
            schema.insert("examples".into(), json!([self.example_value()]));
        }
        schema
    }

    /// As OpenAPI describes it.
    pub fn openapi(&self, place: &str, required: bool) -> Value {
        let mut parameter = Map::new();
        parameter.insert("name".into(), self.name.into());
        parameter.insert("in".into(), place.into());
        parameter.insert("description".into(), self.description.into());
        parameter.insert("required".into(), required.into());
        parameter.insert("schema".into(), self.schema());
        Value::Object(parameter)
    }

    fn example_value(&self) -> Value {
        match self.values {
            Values::Number { .. } => self.example.parse::<u64>().map_or(Value::Null, Value::from),
            Values::Truth => (self.example == "true").into(),
            _ => self.example.into(),
        }
    }
}

/// The most rows of a page, and how many it has if nothing is said.
pub const MOST_ROWS: u32 = 1000;

/// `after` of a listing in order of ids that administrators chose.
pub const AFTER_ID: Parameter = after(Values::Text { pattern: pattern::SLUG, most: 63 }, "fleet-north");
/// `after` of a listing in order of domain names.
pub const AFTER_NAME: Parameter = after(Values::Text { pattern: pattern::FQDN, most: 241 }, "track.example");
/// `after` of a listing in order of numbers.
pub const AFTER_NUMBER: Parameter = after(Values::Number { least: 0, most: i64::MAX as u64 }, "1000");

/// `after`: the cursor of a listing.
pub const fn after(values: Values, example: &'static str) -> Parameter {
    Parameter {
        name: "after",
        description: "Go on behind this row: the `next` of the page before.",
        values,
        example,
    }
}

/// `limit`: rows of a page.
pub const LIMIT: Parameter = Parameter {
    name: "limit",
    description: "The most rows of the page; 1000 if it is absent.",
    values: Values::Number { least: 1, most: MOST_ROWS as u64 },
    example: "100",
};
/// `Obf-Reason`.
pub const REASON: Parameter = Parameter {
    name: "Obf-Reason",
    description: "Why: free text for the audit.",
    values: Values::Text { pattern: pattern::REASON, most: 200 },
    example: "ticket 4711: stolen vehicle",
};
/// `Idempotency-Key`.
pub const IDEMPOTENCY_KEY: Parameter = Parameter {
    name: "Idempotency-Key",
    description: "A name for this request: sent again with the same content within a day it is answered as the first \
                  time and changes nothing; with other content it is refused (422).",
    values: Values::Text { pattern: pattern::KEY, most: 128 },
    example: "",
};
/// `If-Match`.
pub const IF_MATCH: Parameter = Parameter {
    name: "If-Match",
    description: "Only if the object still has this version: the `ETag` of an answer before, or `*`. Otherwise 412.",
    values: Values::Text { pattern: pattern::ETAG, most: usize::MAX },
    example: "\"7\"",
};

/// `Obf-Transport-Key`.
pub const TRANSPORT_KEY: Parameter = Parameter {
    name: "Obf-Transport-Key",
    description: "The transport key of a key file, as NAME:KEY with 16 or 32 octets as hex digits; needed for CSV and PSKC.",
    values: Values::Text { pattern: pattern::TRANSPORT_KEY, most: usize::MAX },
    example: "maker-2026:000102030405060708090a0b0c0d0e0f",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_what_is_allowed() {
        assert_eq!(LIMIT.fault("1000"), None);
        for bad in ["0", "1001", "+1", "x", "", " 1"] {
            assert_eq!(LIMIT.fault(bad).as_deref(), Some("a number from 1 to 1000"), "{bad}");
        }
        assert_eq!(IF_MATCH.fault("\"7\""), None);
        assert!(IF_MATCH.fault("7").is_some() && REASON.fault(&"x".repeat(201)).is_some());
        let word = Parameter { values: Values::OneOf(&["a", "b"]), ..LIMIT };
        assert_eq!(word.fault("c").as_deref(), Some("a, b"));
        let truth = Parameter { values: Values::Truth, ..LIMIT };
        assert_eq!((truth.fault("true"), truth.fault("1").as_deref()), (None, Some("true, false")));
    }

    #[test]
    fn each_parameters_example_has_an_allowed_value() {
        for parameter in [AFTER_ID, AFTER_NAME, AFTER_NUMBER, LIMIT, REASON, IF_MATCH] {
            assert_eq!(parameter.fault(parameter.example), None, "{}", parameter.name);
        }
    }
}
