//! The description holds together, and the document in the repository is made from it.

use obf_admin::{Access, Api, Body, Content, check, openapi, operations, pattern, schema::schemas};
use serde_json::Value;
use std::{collections::HashSet, path::Path};

/// What [`check`] knows, and what only describes.
const KEYWORDS: &[&str] = &[
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "description",
    "enum",
    "examples",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "oneOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
    "uniqueItems",
    "writeOnly",
];

#[test]
fn operations_are_unique_and_whole() {
    let (mut ids, mut routes, mut commands) = (HashSet::new(), HashSet::new(), HashSet::new());
    for operation in operations() {
        let id = operation.id;
        assert!(ids.insert(id) && routes.insert((operation.method, operation.path)), "{id} stands twice");
        assert!(operation.cli.command.is_empty() || commands.insert(operation.cli.command), "{id}: command");
        let in_path: Vec<&str> =
            operation.path.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0).collect();
        let described: Vec<&str> = operation.path_parameters.iter().map(|parameter| parameter.name).collect();
        assert_eq!(in_path, described, "{id}");
        assert!(
            !operation.summary.is_empty() && !operation.summary.ends_with('.'),
            "{id}: a title of one line"
        );
        assert!(!operation.answers.is_empty(), "{id} has no good answer");
        for parameter in operation.path_parameters.iter().chain(operation.query) {
            assert_eq!(parameter.fault(parameter.example), None, "{id}: {}", parameter.name);
        }
        for answer in operation.answers {
            if let Content::Page(name, _) = answer.content {
                assert!(operation.path.ends_with(name), "{id}: rows are named as the path: {name}");
                assert!(operation.query.iter().any(|parameter| parameter.name == "after"), "{id}");
            }
        }
        assert!(operation.access != Access::Anyone || !operation.conditional, "{id}");
        let tag = id.split_once('.').unwrap().0;
        assert!(obf_admin::resource::TAGS.iter().any(|(name, _)| *name == tag), "{id}: no tag {tag}");
    }
}

#[test]
fn examples_fit_their_schemas() {
    for operation in operations().filter(|operation| matches!(operation.body, Body::Json(_))) {
        let schema = schemas().resolved(schemas().body(operation.id).unwrap());
        let examples =
            schema["examples"].as_array().unwrap_or_else(|| panic!("{}: no example", operation.id));
        for example in examples {
            assert_eq!(check::body(operation.id, example), [], "{}", operation.id);
        }
    }
}

/// A keyword that is not checked would be a promise that is not kept; a bound that is missing, a surprise in the store.
#[test]
fn schemas_say_only_what_is_checked_and_bound_everything_that_comes_in() {
    for operation in operations() {
        if let Some(schema) = schemas().body(operation.id) {
            incoming(operation.id, schema, &mut HashSet::new());
        }
    }
    for (name, schema) in schemas().definitions() {
        keywords(name, schema);
    }
}

fn keywords(at: &str, schema: &Value) {
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        assert!(KEYWORDS.contains(&keyword.as_str()), "{at}: {keyword}");
        match (keyword.as_str(), value) {
            ("properties", Value::Object(fields)) => {
                fields.iter().for_each(|(name, schema)| keywords(&format!("{at}/{name}"), schema));
            }
            ("items", schema) => keywords(at, schema),
            ("anyOf" | "oneOf", Value::Array(all)) => all.iter().for_each(|schema| keywords(at, schema)),
            ("pattern", Value::String(known)) => {
                assert!(pattern::ALL.iter().any(|(pattern, _)| pattern == known), "{at}: {known}");
            }
            _ => {}
        }
    }
}

fn incoming(at: &str, schema: &Value, seen: &mut HashSet<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        if seen.insert(reference.to_owned()) {
            incoming(reference, schemas().resolved(schema), seen);
        }
        return;
    }
    let kinds = schema["type"].to_string();
    if kinds.contains("integer") {
        assert!(schema["maximum"].is_u64() && schema["minimum"].is_u64(), "{at}: a number without bounds");
    }
    if kinds.contains("string") {
        let closed = schema.get("enum").or(schema.get("const")).is_some();
        assert!(closed || schema["pattern"].is_string(), "{at}: a text without a pattern");
    }
    if kinds.contains("array") {
        assert!(schema["maxItems"].is_u64(), "{at}: a list without a bound");
        incoming(at, &schema["items"], seen);
    }
    if kinds.contains("object") {
        assert_eq!(schema["additionalProperties"], false, "{at}: unknown fields are not refused");
        for (name, schema) in schema["properties"].as_object().unwrap() {
            assert!(
                name == "type" || schema.to_string().contains("\"description\""),
                "{at}/{name}: no description"
            );
            incoming(&format!("{at}/{name}"), schema, seen);
        }
    }
    for schema in schema["anyOf"].as_array().into_iter().flatten() {
        incoming(at, schema, seen);
    }
}

#[test]
fn the_documents_in_the_repository_are_these() {
    for api in Api::ALL {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(api.file());
        let written: Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap_or_default()).unwrap_or_default();
        assert!(written == openapi::document(api), "docs/{} is stale: cargo xtask openapi", api.file());
    }
}

/// What several servers have is one description, so that a client learns it once.
#[test]
fn an_operation_of_both_servers_is_the_same_in_both() {
    for operation in Api::Auth.operations().filter(|operation| Api::Resource.has(operation)) {
        let same = Api::Resource.operations().find(|known| known.id == operation.id).unwrap();
        assert_eq!(
            (same.path, same.method, same.summary),
            (operation.path, operation.method, operation.summary)
        );
    }
    assert!(
        ["audit.list", "audit.export", "audit.verify"]
            .iter()
            .all(|id| { Api::ALL.iter().all(|api| api.operations().any(|operation| operation.id == *id)) })
    );
}

/// Every `$ref` of a document leads somewhere.
#[test]
fn references_of_the_document_lead_somewhere() {
    for document in Api::ALL.map(openapi::document) {
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split_once('"').unwrap().0) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
        assert_eq!(document["openapi"], "3.1.0");
    }
}
