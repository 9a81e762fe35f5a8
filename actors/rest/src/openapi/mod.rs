//! `GET /openapi.json`: the API as an OpenAPI 3.1 document, for everyone. It tells what this program can, and nothing of
//! anybody's.
//!
//! It is put together from what the code does: paths and methods are those of [`crate::routes`], bodies are the shapes
//! that requests are checked by, pages follow from the handlers' arguments, statuses from all of these. What a route is
//! for and what it answers stands in [`operations`], and the tests hold every answer that they get against it.

use std::collections::BTreeSet;

use actix_web::{
    HttpResponse,
    http::{Method, StatusCode},
    web::Data,
};
use serde_json::{Map, Value, json};

use crate::{
    Shim,
    error::fault_name,
    openapi::{
        answers::{FAULT, KEYSTONES_FAULT, WEBOB},
        operations::{Answer, OF_A_TENANT, Operation, WITHOUT_TENANT},
    },
    routes::{Described, TENANT},
    shape::Shape,
    unbuilt,
};

mod answers;
pub(crate) mod arguments;
mod operations;
#[cfg(test)]
mod tests;

const JSON: &str = "application/json";
const HTML: &str = "text/html";
/// The one scheme of security.
const TOKEN: &str = "token";

pub(crate) async fn show(shim: Data<Shim>) -> HttpResponse {
    HttpResponse::Ok().content_type(JSON).body(shim.openapi.clone())
}

/// The document of these routes.
pub(crate) fn document(routes: &[Described]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut names = BTreeSet::new();
    let mut schemas = shared_schemas();
    for route in routes {
        names.extend(names_in(&route.path).map(str::to_owned));
        if let Some(body) = route.takes.body {
            body.shape.shared(&mut schemas);
        }
        let methods = paths.entry(&route.path).or_insert_with(|| json!({}));
        methods[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    let mut parameters: Map<String, Value> = names.into_iter().map(|name| (name.clone(), path_name(&name))).collect();
    parameters
        .insert("limit".into(), queried("limit", &json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })));
    parameters.insert("marker".into(), queried("marker", &Shape::Str.json_schema()));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Coffer",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "OpenStack Trove's API v1.0, and what is beside it. A request that changes something may carry an Idempotency-Key of up to 255 characters: sent again with it, it is answered as the first time, and done once.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "parameters": parameters,
            "responses": refusals(),
            "schemas": schemas,
            "securitySchemes": { (TOKEN): { "type": "apiKey", "in": "header", "name": "X-Auth-Token" } },
        },
    })
}

fn operation(route: &Described) -> Value {
    let found = find(&route.method, &route.path);
    let names = names_in(&route.path).map(|name| reference("parameters", name));
    let page = ["limit", "marker"].map(|name| reference("parameters", name));
    let asked = found.map_or(&[][..], |found| found.query);
    let mut operation = json!({
        "operationId": id(route),
        "summary": found.map_or("", |found| found.summary),
        "tags": [tag(&route.path)],
        "parameters": names
            .chain(page.into_iter().filter(|_| route.takes.is_paged))
            .chain(asked.iter().map(|name| queried(name, &Shape::Str.json_schema())))
            .collect::<Vec<_>>(),
        "responses": responses(route, found),
    });
    if route.unbuilt.is_some() {
        operation["description"] =
            json!("Not built: the request is checked, and answered as where there is none of it.");
    }
    if let Some(body) = route.takes.body {
        let schema = body.shape.json_schema();
        operation["requestBody"] =
            json!({ "required": !body.is_optional, "content": { (JSON): { "schema": schema } } });
    }
    if is_of_a_tenant(route) {
        operation["security"] = json!([{ (TOKEN): [] }]);
    }
    operation
}

/// What is known of a route besides its code.
fn find(method: &Method, path: &str) -> Option<&'static Operation> {
    let (table, path) = match path.strip_prefix(TENANT) {
        Some(path) => (OF_A_TENANT, path),
        None => (WITHOUT_TENANT, path),
    };
    table.iter().find(|operation| operation.method == method.as_str() && operation.path == path)
}

fn responses(route: &Described, operation: Option<&Operation>) -> Value {
    let mut responses = Map::new();
    let answer = operation.map_or(Answer::None, |operation| operation.answer);
    for status in statuses(route, operation) {
        let response = match answer {
            Answer::Text(media) if status == StatusCode::SERVICE_UNAVAILABLE => {
                response("The reason.", media, json!({}))
            }
            _ => reference("responses", status.as_str()),
        };
        responses.insert(status.as_str().to_owned(), response);
    }
    let success = match (answer, route.unbuilt) {
        (_, Some(unbuilt::Answer::Empty(key))) => {
            let list = json!({ "type": "array", "maxItems": 0 });
            Some((200, response("An empty list.", JSON, json!({ "type": "object", "properties": { (*key): list } }))))
        }
        (_, Some(unbuilt::Answer::Done)) => Some((202, json!({ "description": "Nothing had to be done." }))),
        (_, Some(unbuilt::Answer::Absent(..) | unbuilt::Answer::Refused(_))) => None,
        (Answer::Json(status, shape), None) => Some((status, response("Done.", JSON, shape.json_schema()))),
        (Answer::Empty(status), None) => Some((status, json!({ "description": "Done, or on its way." }))),
        (Answer::Text(media), None) => Some((200, response("Text.", media, json!({})))),
        (Answer::Document, None) => Some((200, response("This document.", JSON, json!({ "type": "object" })))),
        (Answer::None | Answer::Unbuilt, None) => None,
    };
    if let Some((status, response)) = success {
        responses.insert(status.to_string(), response);
    }
    Value::Object(responses)
}

/// The refusals that a route may answer.
fn statuses(route: &Described, operation: Option<&Operation>) -> BTreeSet<StatusCode> {
    let mut codes: BTreeSet<u16> = operation.map_or(&[][..], |operation| operation.refusals).iter().copied().collect();
    if is_of_a_tenant(route) {
        codes.extend([401, 403, 413, 503]);
        if route.method != Method::GET {
            codes.extend([400, 404, 501]);
            // The domain's.
            codes.extend(route.unbuilt.is_none().then_some(422));
        }
    }
    codes.extend(names_in(&route.path).any(|name| name != "tenant").then_some(404));
    // Trove's answer for a version that is not there.
    codes.extend(names_in(&route.path).any(|name| name == "version").then_some(400));
    codes.extend(route.takes.is_paged.then_some(400));
    if route.takes.body.is_some() {
        codes.extend([400, 413, 415]);
    }
    codes.extend(matches!(route.unbuilt, Some(unbuilt::Answer::Refused(_))).then_some(501));
    codes.into_iter().filter_map(|code| StatusCode::from_u16(code).ok()).collect()
}

/// Every refusal that there is, by its status.
fn refusals() -> Map<String, Value> {
    let refusal = |code: u16| {
        let status = StatusCode::from_u16(code).unwrap_or_default();
        let troves = json!({
            "type": "object",
            "required": [fault_name(status)],
            "properties": { (fault_name(status)): reference("schemas", "Fault") },
        });
        let schema = match code {
            400 | 403 => json!({ "anyOf": [troves, reference("schemas", "WebobFault")] }),
            401 => json!({ "anyOf": [troves, reference("schemas", "IdentityFault")] }),
            _ => troves,
        };
        let mut refusal = response(status.canonical_reason().unwrap_or_default(), JSON, schema);
        if matches!(code, 400 | 403) {
            // For clients that do not ask for JSON.
            refusal["content"][HTML] = json!({});
        }
        (code.to_string(), refusal)
    };
    [400, 401, 403, 404, 413, 415, 422, 501, 503].map(refusal).into_iter().collect()
}

/// The schemas that several answers refer to.
fn shared_schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    for operation in OF_A_TENANT.iter().chain(WITHOUT_TENANT) {
        if let Answer::Json(_, shape) = operation.answer {
            shape.shared(&mut schemas);
        }
    }
    for (name, shape) in [("Fault", FAULT), ("WebobFault", WEBOB), ("IdentityFault", KEYSTONES_FAULT)] {
        schemas.insert(name.to_owned(), shape.json_schema());
    }
    schemas
}

fn response(description: &str, media: &str, schema: Value) -> Value {
    json!({ "description": description, "content": { (media): { "schema": schema } } })
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

fn path_name(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": Shape::Text.json_schema() })
}

/// A parameter without a value counts as none, as Python's `parse_qsl` has it.
fn queried(name: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "allowEmptyValue": true, "schema": schema })
}

fn is_of_a_tenant(route: &Described) -> bool {
    route.path.starts_with(TENANT)
}

/// What stands in braces.
fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// What a route is about: the first word of its path.
fn tag(path: &str) -> &str {
    let Some(path) = path.strip_prefix(TENANT) else { return "service" };
    path.split('/').find(|part| !part.is_empty()).unwrap_or(path)
}

/// A name of its own: the method and the words of the path.
fn id(route: &Described) -> String {
    let mut id = route.method.as_str().to_ascii_lowercase();
    for part in route.path.strip_prefix(TENANT).unwrap_or(&route.path).split('/').skip(1) {
        id.push('_');
        id.extend(part.chars().filter(|c| !matches!(c, '{' | '}')).map(|c| if c.is_alphanumeric() { c } else { '_' }));
    }
    id
}
