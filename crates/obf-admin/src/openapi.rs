//! The OpenAPI 3.1 documents.

use crate::{
    Access, Answer, Api, Body, Content, Operation, Parameter, parameter, problem,
    schema::{Schemas, schemas},
};
use serde_json::{Map, Value, json};

const RESOURCE: &str = "\
Administration of a Resource Server of the Open Bootstrap Framework: devices and their keys, applications, grants, \
custodians and their KYC, providers, administrators, key management, audit.

";
const AUTH: &str = "\
Administration of an Authentication Server of the Open Bootstrap Framework: live tokens, sealing keys, applications that \
asked for keys, audit. Its administrators are those of its Resource Servers, with the roles that they have there.

";
const CONVENTIONS: &str = "\
Every answer that is an error is a problem document (RFC 9457) with a stable `code`. Listings come in pages: `next` of \
one is `after` of the following. An object's `ETag` is its version; `If-Match` makes a change conditional. \
A change may carry `Obf-Reason`, which goes into the audit, and `Idempotency-Key`.";

/// The document of an API.
pub fn document(api: Api) -> Value {
    let schemas = schemas();
    let mut paths: Map<String, Value> = Map::new();
    for operation in api.operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.name().to_ascii_lowercase(), described(operation, schemas));
        }
    }
    let tags: Vec<Value> = crate::resource::TAGS
        .iter()
        .filter(|(name, _)| api.operations().any(|operation| tag(operation) == *name))
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect();
    let (title, subject) = match api {
        Api::Resource => ("OBF Resource Server administration", RESOURCE),
        Api::Auth => ("OBF Authentication Server administration", AUTH),
    };
    let responses = responses(schemas);
    let named = schemas.definitions_of([&Value::Object(paths.clone()), &responses]);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!("{subject}{CONVENTIONS}"),
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "security": [{ "token": [] }, { "certificate": [] }],
        "paths": paths,
        "components": {
            "schemas": named,
            "responses": responses,
            "securitySchemes": {
                "token": {
                    "type": "http", "scheme": "bearer",
                    "description": "An administrator's token (RFC 6750). The server keeps only its SHA-256.",
                },
                "certificate": {
                    "type": "mutualTLS",
                    "description": "A client certificate with a dNSName that is registered for an administrator.",
                },
            },
        },
    })
}

/// What an operation belongs to: what stands before the dot of its id.
fn tag(operation: &Operation) -> &'static str {
    operation.id.split_once('.').map_or(operation.id, |(tag, _)| tag)
}

fn described(operation: &Operation, schemas: &Schemas) -> Value {
    let mut object = Map::new();
    object.insert("operationId".into(), operation.id.into());
    object.insert("summary".into(), operation.summary.into());
    object.insert("tags".into(), json!([tag(operation)]));
    let mut description = operation.details.to_owned();
    match operation.access {
        Access::Anyone => {
            object.insert("security".into(), json!([]));
        }
        Access::Roles(roles) => {
            if !description.is_empty() {
                description.push_str("\n\n");
            }
            description.push_str(&format!("For {roles}."));
            let names: Vec<&str> = roles.iter().map(crate::Role::name).collect();
            object.insert("x-obf-roles".into(), json!(names));
        }
    }
    if !description.is_empty() {
        object.insert("description".into(), description.into());
    }
    object.insert("parameters".into(), parameters(operation).into());
    if let Some(body) = request_body(operation, schemas) {
        object.insert("requestBody".into(), body);
    }
    let mut answers: Map<String, Value> = Map::new();
    for answer in operation.answers {
        answers.insert(answer.status.to_string(), response(operation, answer, schemas));
    }
    for status in problems(operation) {
        answers.entry(status.to_string()).or_insert_with(|| json!({ "$ref": problem_reference(status) }));
    }
    object.insert("responses".into(), answers.into());
    Value::Object(object)
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let path = operation.path_parameters.iter().map(|parameter| parameter.openapi("path", true));
    let query = operation.query.iter().map(|parameter| parameter.openapi("query", false));
    let headers = headers(operation).into_iter().map(|parameter| parameter.openapi("header", false));
    path.chain(query).chain(headers).collect()
}

/// The headers that the operation heeds.
pub fn headers(operation: &Operation) -> Vec<&'static Parameter> {
    let mut headers = Vec::new();
    if operation.changes() {
        headers.push(&parameter::REASON);
    }
    if operation.id == "devices.import" {
        headers.push(&parameter::TRANSPORT_KEY);
    }
    if operation.repeatable() {
        headers.push(&parameter::IDEMPOTENCY_KEY);
    }
    if operation.conditional {
        headers.push(&parameter::IF_MATCH);
    }
    headers
}

fn request_body(operation: &Operation, schemas: &Schemas) -> Option<Value> {
    let schema = schemas.body(operation.id);
    let content: Map<String, Value> = match operation.body {
        Body::None => return None,
        Body::Json(_) | Body::MergePatch(..) => {
            let types = operation.media_types().iter();
            types.map(|kind| ((*kind).to_owned(), json!({ "schema": schema }))).collect()
        }
        Body::Stream(types) => types.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect(),
    };
    Some(json!({ "required": true, "content": content }))
}

fn response(operation: &Operation, answer: &Answer, schemas: &Schemas) -> Value {
    let mut object = Map::new();
    object.insert("description".into(), answer.when.into());
    let schema = schemas.answer(operation.id, answer.status);
    let content = match answer.content {
        Content::Empty => None,
        Content::Json(_) | Content::Page(..) => Some(json!({ "application/json": { "schema": schema } })),
        Content::Lines(_) => Some(json!({ "application/jsonl": { "x-line-schema": schema } })),
        Content::Stream(kind) => Some(json!({ kind: {} })),
    };
    if let Some(content) = content {
        object.insert("content".into(), content);
    }
    if answer.versioned {
        let tag = json!({
            "description": "The version of the object, for `If-Match`.",
            "schema": { "type": "string", "pattern": crate::pattern::ETAG },
        });
        object.insert("headers".into(), json!({ "ETag": tag }));
    }
    Value::Object(object)
}

/// Every status that a problem of this operation may have.
pub fn problems(operation: &Operation) -> Vec<u16> {
    let mut all = vec![400, 406, 429, 500, 503];
    all.extend(operation.problems);
    if operation.access != Access::Anyone {
        all.extend([401, 403]);
    }
    if !operation.path_parameters.is_empty() {
        all.push(404);
    }
    if operation.changes() {
        all.extend([408, 409, 413, 415, 422]);
    }
    if operation.conditional {
        all.push(412);
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn problem_reference(status: u16) -> String {
    let name = match status {
        401 => "Unauthenticated",
        429 | 503 => "Later",
        _ => "Problem",
    };
    format!("#/components/responses/{name}")
}

fn responses(schemas: &Schemas) -> Value {
    let content = json!({ problem::MEDIA_TYPE: { "schema": schemas.problem() } });
    json!({
        "Problem": { "description": "It was not done: `code` and `detail` say why.", "content": content },
        "Unauthenticated": {
            "description": "There is no valid token and no registered certificate.",
            "headers": { "WWW-Authenticate": { "schema": { "type": "string" } } },
            "content": content,
        },
        "Later": {
            "description": "Too many requests, or the server is busy: wait.",
            "headers": { "Retry-After": {
                "description": "Seconds to wait.", "schema": { "type": "integer", "minimum": 1 },
            } },
            "content": content,
        },
    })
}
