//! A JSON value against its schema. The part of JSON Schema that [`crate::schema`] makes, nothing else.
//!
//! A fault names its place and what is allowed there; it never repeats the value, which may be a key.

use crate::{pattern, schema::schemas};
use serde_json::{Map, Value};

/// The most faults that are named.
const MOST_FAULTS: usize = 16;
/// The deepest nesting of references that a description of ours has.
const DEPTH: u32 = 32;

/// Something that is not as the schema wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A JSON pointer (RFC 6901); empty for the whole value.
    pub pointer: String,
    /// What is allowed there.
    pub wanted: String,
}

/// Every fault of `value`, up to 16.
pub fn check(schema: &Value, value: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    walk(schema, value, "", &mut faults, DEPTH);
    faults.truncate(MOST_FAULTS);
    faults
}

/// A whole number is one however it is written (JSON Schema 6.1.1): `3.0` becomes `3`.
pub fn normalise(value: &mut Value) {
    match value {
        Value::Number(number) => {
            // Up to 2^53 every whole number has its own f64.
            let whole = number
                .as_f64()
                .filter(|float| number.is_f64() && (0.0..=9_007_199_254_740_992.0).contains(float));
            if let Some(float) = whole.filter(|float| float.fract() == 0.0) {
                *value = (float as u64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Object(fields) => fields.values_mut().for_each(normalise),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Every fault of the body of that operation's request.
pub fn body(operation: &str, value: &Value) -> Vec<Fault> {
    schemas().body(operation).map(|schema| check(schema, value)).unwrap_or_default()
}

fn walk(schema: &Value, value: &Value, at: &str, faults: &mut Vec<Fault>, depth: u32) {
    let Some(rules) = schema.as_object().filter(|_| depth > 0 && faults.len() < MOST_FAULTS) else { return };
    let mut fault = |wanted: String| faults.push(Fault { pointer: at.into(), wanted });
    if let Some(wanted) = choice(rules, value) {
        return fault(wanted);
    }
    if let Some(wanted) = kind(rules, value) {
        return fault(wanted);
    }
    if schema.get("$ref").is_some() {
        walk(schemas().resolved(schema), value, at, faults, depth - 1);
    }
    if let Some(Value::Array(alternatives)) = rules.get("anyOf") {
        let good = |schema: &Value| {
            let mut faults = Vec::new();
            walk(schema, value, at, &mut faults, depth - 1);
            faults.is_empty()
        };
        if !alternatives.iter().any(good)
            && let Some(first) = alternatives.first()
        {
            walk(first, value, at, faults, depth - 1);
        }
    }
    if let Some(Value::Array(all)) = rules.get("allOf") {
        all.iter().for_each(|schema| walk(schema, value, at, faults, depth - 1));
    }
    match value {
        Value::String(text) => texts(rules, text, at, faults),
        Value::Number(_) => numbers(rules, value, at, faults),
        Value::Array(items) => {
            sizes(rules, items, at, faults);
            if let Some(schema) = rules.get("items") {
                for (index, item) in items.iter().enumerate() {
                    walk(schema, item, &format!("{at}/{index}"), faults, depth - 1);
                }
            }
        }
        Value::Object(fields) => objects(rules, fields, at, faults, depth),
        Value::Null | Value::Bool(_) => {}
    }
}

/// `enum`, `const`, and `oneOf` of constants: what is allowed, if the value is none of it.
fn choice(rules: &Map<String, Value>, value: &Value) -> Option<String> {
    let mut allowed: Vec<&Value> =
        rules.get("enum").and_then(Value::as_array).into_iter().flatten().collect();
    allowed.extend(rules.get("const"));
    for alternative in rules.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
        allowed.extend(alternative.get("const"));
        allowed.extend(alternative.get("enum").and_then(Value::as_array).into_iter().flatten());
    }
    if allowed.is_empty() || allowed.contains(&value) {
        return None;
    }
    let words =
        allowed.into_iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    Some(format!("one of {}", words.collect::<Vec<_>>().join(", ")))
}

fn kind(rules: &Map<String, Value>, value: &Value) -> Option<String> {
    let wanted: Vec<&str> = match rules.get("type")? {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let good = wanted.iter().any(|kind| match *kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    });
    let word = |kind: &&str| match *kind {
        "string" => "a text",
        "integer" => "a whole number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "an object",
        "null" => "null",
        _ => "a number",
    };
    (!good).then(|| wanted.iter().map(word).collect::<Vec<_>>().join(" or "))
}

fn number_of(rules: &Map<String, Value>, name: &str) -> Option<u64> {
    rules.get(name).and_then(Value::as_u64)
}

fn texts(rules: &Map<String, Value>, text: &str, at: &str, faults: &mut Vec<Fault>) {
    let length = text.chars().count() as u64;
    let mut fault = |wanted: String| faults.push(Fault { pointer: at.into(), wanted });
    if let Some(least) = number_of(rules, "minLength").filter(|least| length < *least) {
        return fault(format!("at least {least} characters"));
    }
    if let Some(most) = number_of(rules, "maxLength").filter(|most| length > *most) {
        return fault(format!("at most {most} characters"));
    }
    if let Some(words) = rules.get("pattern").and_then(Value::as_str).and_then(|p| pattern::mismatch(p, text))
    {
        fault(words.into());
    }
}

fn numbers(rules: &Map<String, Value>, value: &Value, at: &str, faults: &mut Vec<Fault>) {
    let (least, most) = (number_of(rules, "minimum"), number_of(rules, "maximum"));
    // A negative number is no u64, and below every bound of ours.
    let number = value.as_u64();
    let good = number.map_or(least.is_none(), |number| {
        least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most)
    });
    if !good {
        let wanted = match (least, most) {
            (Some(least), Some(most)) => format!("a number from {least} to {most}"),
            (Some(least), None) => format!("a number from {least}"),
            (None, Some(most)) => format!("a number up to {most}"),
            (None, None) => "a number".into(),
        };
        faults.push(Fault { pointer: at.into(), wanted });
    }
}

fn sizes(rules: &Map<String, Value>, items: &[Value], at: &str, faults: &mut Vec<Fault>) {
    let mut fault = |wanted: String| faults.push(Fault { pointer: at.into(), wanted });
    let count = items.len() as u64;
    if let Some(least) = number_of(rules, "minItems").filter(|least| count < *least) {
        fault(format!("at least {least} of them"));
    } else if let Some(most) = number_of(rules, "maxItems").filter(|most| count > *most) {
        fault(format!("at most {most} of them"));
    } else if rules.get("uniqueItems") == Some(&Value::Bool(true)) {
        let mut seen: Vec<String> = items.iter().map(Value::to_string).collect();
        seen.sort_unstable();
        if seen.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            fault("none of them twice".into());
        }
    }
}

fn objects(
    rules: &Map<String, Value>,
    fields: &Map<String, Value>,
    at: &str,
    faults: &mut Vec<Fault>,
    depth: u32,
) {
    let known = rules.get("properties").and_then(Value::as_object);
    let place = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
    for name in
        rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    {
        if !fields.contains_key(name) {
            faults.push(Fault { pointer: place(name), wanted: "is needed".into() });
        }
    }
    for (name, value) in fields {
        match known.and_then(|known| known.get(name)) {
            Some(schema) => walk(schema, value, &place(name), faults, depth - 1),
            None if rules.get("additionalProperties") == Some(&Value::Bool(false)) => {
                let short: String = name.chars().take(64).collect();
                faults.push(Fault { pointer: place(&short), wanted: "no such field".into() });
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faults(schema: &Value, value: &Value) -> Vec<(String, String)> {
        check(schema, value).into_iter().map(|fault| (fault.pointer, fault.wanted)).collect()
    }

    #[test]
    fn whole_numbers_are_whole_however_written() {
        let mut value: Value = serde_json::from_str(r#"{"a":[3.0,1.5,0,-1.0,1e300,7,1e3]}"#).unwrap();
        normalise(&mut value);
        assert_eq!(value["a"][0], json!(3));
        assert_eq!((&value["a"][1], &value["a"][6]), (&json!(1.5), &json!(1000)));
        assert!(value["a"][3].is_f64() && value["a"][4].is_f64());
    }

    #[test]
    fn every_fault_names_its_place() {
        let schema = json!({
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "pattern": pattern::FQDN, "maxLength": 20 },
                "names": { "type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": true,
                           "items": { "type": "string", "minLength": 2 } },
                "level": { "type": ["integer", "null"], "minimum": 0, "maximum": 3 },
                "state": { "oneOf": [{ "const": "a" }, { "const": "b" }] },
                "either": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
            },
        });
        let one = |value: Value| faults(&schema, &value);
        assert_eq!(
            one(json!({ "name": "a.b", "level": null, "state": "a", "names": ["xx"], "either": null })),
            []
        );
        for (value, pointer, wanted) in [
            (json!(1), "", "an object"),
            (json!({}), "/name", "is needed"),
            (json!({ "name": "a" }), "/name", "a full lower-case domain name, for example track.example"),
            (json!({ "name": "a".repeat(21) }), "/name", "at most 20 characters"),
            (json!({ "name": "a.b", "x/y": 1 }), "/x~1y", "no such field"),
            (json!({ "name": "a.b", "names": [] }), "/names", "at least 1 of them"),
            (json!({ "name": "a.b", "names": ["xx", "xx"] }), "/names", "none of them twice"),
            (json!({ "name": "a.b", "names": ["xx", "y"] }), "/names/1", "at least 2 characters"),
            (json!({ "name": "a.b", "level": 4 }), "/level", "a number from 0 to 3"),
            (json!({ "name": "a.b", "level": -1 }), "/level", "a number from 0 to 3"),
            (json!({ "name": "a.b", "level": 1.5 }), "/level", "a whole number or null"),
            (json!({ "name": "a.b", "state": "c" }), "/state", "one of a, b"),
            (json!({ "name": "a.b", "either": 1 }), "/either", "a text"),
        ] {
            assert_eq!(one(value.clone()), [(pointer.into(), wanted.into())], "{value}");
        }
        let many: Value = (0..100).map(|n| (format!("x{n}"), json!(1))).collect::<Map<_, _>>().into();
        assert_eq!(check(&schema, &many).len(), MOST_FAULTS);
    }
}
