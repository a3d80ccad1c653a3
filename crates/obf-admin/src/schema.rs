//! JSON Schemas (2020-12, as in OpenAPI 3.1) of everything that goes over the wire, made once from the types.

use crate::{Body, Content, ProblemDocument, parameter::MOST_ROWS};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::{collections::HashMap, fmt, sync::LazyLock};

/// Where definitions stand in the document.
const DEFINITIONS: &str = "#/components/schemas/";

/// The schema of a type.
#[derive(Clone, Copy)]
pub struct SchemaOf(fn(&mut SchemaGenerator) -> Schema);

/// The schema of `T`.
pub const fn of<T: JsonSchema>() -> SchemaOf {
    SchemaOf(generate::<T>)
}

fn generate<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl fmt::Debug for SchemaOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SchemaOf")
    }
}

/// All schemas.
#[derive(Debug)]
pub struct Schemas {
    definitions: Map<String, Value>,
    bodies: HashMap<&'static str, Value>,
    answers: HashMap<(&'static str, u16), Value>,
    problem: Value,
}

/// All schemas of all operations.
pub fn schemas() -> &'static Schemas {
    static SCHEMAS: LazyLock<Schemas> = LazyLock::new(Schemas::generate);
    &SCHEMAS
}

impl Schemas {
    fn generate() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let mut generator = settings.into_generator();
        let problem = Value::from(generator.subschema_for::<ProblemDocument>());
        let (mut bodies, mut answers, mut patches) = (HashMap::new(), HashMap::new(), Vec::new());
        for operation in crate::operations() {
            match operation.body {
                Body::None | Body::Stream(_) => {}
                Body::Json(SchemaOf(schema)) => {
                    bodies.insert(operation.id, schema(&mut generator).into());
                }
                Body::MergePatch(SchemaOf(schema), fixed) => {
                    patches.push((operation.id, Value::from(schema(&mut generator)), fixed));
                }
            }
            for answer in operation.answers {
                let schema = match answer.content {
                    Content::Empty | Content::Stream(_) => continue,
                    Content::Json(SchemaOf(schema)) | Content::Lines(SchemaOf(schema)) => {
                        schema(&mut generator).into()
                    }
                    Content::Page(name, SchemaOf(schema)) => page(name, schema(&mut generator).into()),
                };
                answers.insert((operation.id, answer.status), schema);
            }
        }
        let mut definitions = generator.take_definitions(true);
        // A view that contains a record has its example too, which lacks the view's own fields.
        for schema in definitions.values_mut().filter_map(Value::as_object_mut) {
            if schema.get("type") == Some(&json!("object")) && !schema.contains_key("additionalProperties") {
                schema.remove("examples");
            }
        }
        for (id, record, fixed) in patches {
            let Some(name) = reference(&record).map(str::to_owned) else { continue };
            let Some(record) = definitions.get(&name) else { continue };
            let patch = patch_of(record, fixed);
            let name = format!("{}Patch", name.strip_suffix("Record").unwrap_or(&name));
            bodies.insert(id, json!({ "$ref": format!("{DEFINITIONS}{name}") }));
            definitions.insert(name, patch);
        }
        Self { definitions, bodies, answers, problem }
    }

    /// Named schemas: `components.schemas` of the document.
    pub const fn definitions(&self) -> &Map<String, Value> {
        &self.definitions
    }

    /// Those of them that `values` refer to, and those that these refer to.
    pub fn definitions_of<'a>(&self, values: impl IntoIterator<Item = &'a Value>) -> Map<String, Value> {
        let mut found = Map::new();
        values.into_iter().for_each(|value| self.collect(value, &mut found));
        // In the order of all of them.
        self.definitions
            .iter()
            .filter(|(name, _)| found.contains_key(*name))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect()
    }

    fn collect(&self, value: &Value, found: &mut Map<String, Value>) {
        if let Some(name) = reference(value)
            && let Some(definition) = self.definitions.get(name)
            && found.insert(name.to_owned(), Value::Null).is_none()
        {
            self.collect(definition, found);
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, found)),
            Value::Object(fields) => fields.values().for_each(|field| self.collect(field, found)),
            _ => {}
        }
    }

    /// Of what the operation's request carries, if that is JSON.
    pub fn body(&self, id: &str) -> Option<&Value> {
        self.bodies.get(id)
    }

    /// Of an answer of the operation, if that is JSON.
    pub fn answer(&self, id: &'static str, status: u16) -> Option<&Value> {
        self.answers.get(&(id, status))
    }

    /// Of an answer that is an error.
    pub const fn problem(&self) -> &Value {
        &self.problem
    }

    /// The schema itself, if that one only refers to it.
    pub fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        reference(schema).and_then(|name| self.definitions.get(name)).unwrap_or(schema)
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix(DEFINITIONS))
}

fn page(name: &str, row: Value) -> Value {
    json!({
        "type": "object",
        "required": [name, "next"],
        "properties": {
            name: { "type": "array", "maxItems": MOST_ROWS, "items": row },
            "next": {
                "type": ["string", "null"],
                "description": "`after` of the page behind this one; null where this is the last one.",
            },
        },
    })
}

/// What may change of a record: nothing is required, and what the record does not require may be null: as if absent.
fn patch_of(record: &Value, fixed: &[&str]) -> Value {
    let required: Vec<&str> = record
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let fields = record.get("properties").and_then(Value::as_object).into_iter().flatten();
    let fields = fields.filter(|(name, _)| !fixed.contains(&name.as_str())).map(|(name, schema)| {
        let mut schema = schema.clone();
        if !required.contains(&name.as_str()) {
            schema = nullable(schema);
        }
        (name.clone(), schema)
    });
    json!({
        "type": "object",
        "description": "The fields to change (RFC 7396): absent fields stay, null is as if never said.",
        "properties": fields.collect::<Map<_, _>>(),
        "additionalProperties": false,
    })
}

fn nullable(mut schema: Value) -> Value {
    match schema.get("type").cloned() {
        Some(Value::String(kind)) => {
            if let Some(schema) = schema.as_object_mut() {
                schema.insert("type".into(), json!([kind, "null"]));
                schema.remove("default");
            }
            schema
        }
        Some(_) => schema,
        None if schema.get("anyOf").is_some() => schema,
        None => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_requires_nothing_and_keeps_what_is_fixed() {
        let record = json!({
            "type": "object", "required": ["id", "name"],
            "properties": {
                "id": { "type": "string" }, "name": { "type": "string" }, "level": { "type": "integer" },
                "note": { "type": ["string", "null"] }, "state": { "$ref": "#/components/schemas/State" },
            },
        });
        let patch = patch_of(&record, &["id"]);
        assert!(patch.get("required").is_none() && patch["properties"].get("id").is_none());
        assert_eq!(patch["properties"]["name"]["type"], "string");
        assert_eq!(patch["properties"]["level"]["type"], json!(["integer", "null"]));
        assert_eq!(patch["properties"]["note"]["type"], json!(["string", "null"]));
        assert_eq!(patch["properties"]["state"]["anyOf"][1]["type"], "null");
    }
}
