//! The API's own document, `GET /openapi.json`: as it was meant to be, and true of every answer that any test gets.

use std::{fmt::Write, sync::OnceLock};

use serde_json::Value;

use super::server::{Answer, Api};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/openapi.json");

/// `COFFER_BLESS=1` writes the file anew.
#[test]
fn the_document_is_the_golden_one() {
    let api = Api::start();
    // No token is asked for.
    let answer = api.send("GET", "/openapi.json", &[], b"");
    assert_eq!((answer.status, answer.header("Content-Type")), (200, Some("application/json")));
    let written = laid_out(&answer.json());
    if std::env::var_os("COFFER_BLESS").is_some() {
        std::fs::write(GOLDEN, &written).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    let changed = written.lines().zip(golden.lines()).find(|(new, old)| new != old);
    assert!(written == golden, "the document differs from {GOLDEN}, first in {changed:?}: COFFER_BLESS=1 writes it");
}

/// A line for each operation and each component: what changes is seen at once.
fn laid_out(document: &Value) -> String {
    let mut text = String::new();
    for (key, value) in document.as_object().unwrap() {
        match key.as_str() {
            "paths" | "components" => {
                writeln!(text, "{}{key:?}: {{", if text.is_empty() { "{\n" } else { ",\n" }).unwrap();
                let groups: Vec<String> = value.as_object().unwrap().iter().map(group).collect();
                write!(text, "{}\n}}", groups.join(",\n")).unwrap();
            }
            _ => write!(text, "{}{key:?}: {value}", if text.is_empty() { "{\n" } else { ",\n" }).unwrap(),
        }
    }
    text + "\n}\n"
}

fn group((name, members): (&String, &Value)) -> String {
    let lines: Vec<String> =
        members.as_object().unwrap().iter().map(|(key, value)| format!("    {key:?}: {value}")).collect();
    format!("  {name:?}: {{\n{}\n  }}", lines.join(",\n"))
}

#[test]
fn the_layout_changes_nothing() {
    assert_eq!(serde_json::from_str::<Value>(&laid_out(served())).unwrap(), *served());
}

#[test]
fn an_answer_that_is_not_as_documented_is_noticed() {
    let api = Api::start();
    let document = served();
    let operation = find(document, "GET", "/v1.0/demo/flavors/1").unwrap();
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let answer = api.get("/flavors/1").json();
    assert_eq!(check(document, schema, &answer), Ok(()));
    for (key, value) in [("ram", Value::from("much")), ("id", Value::from("1")), ("colour", Value::Null)] {
        let mut other = answer.clone();
        other["flavor"][key] = value;
        assert!(check(document, schema, &other).is_err(), "{key}");
    }
    let mut other = answer;
    other["flavor"].as_object_mut().unwrap().remove("name");
    assert!(check(document, schema, &other).is_err());
}

/// What the code serves, asked for once.
pub fn served() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| Api::start().exchange("GET", "/openapi.json", &[], b"").json())
}

/// Fails when the document says anything else of such a request.
pub fn hold(document: &Value, method: &str, path: &str, answer: &Answer) {
    let path = path.split('?').next().unwrap_or_default();
    let Some(operation) = find(document, method, path) else {
        assert!(answer.status >= 400 || path.is_empty(), "{method} {path} is not in the document");
        return;
    };
    let name = format!("{method} {path}: {} {}", answer.status, answer.body);
    let response = &operation["responses"][answer.status.to_string()];
    assert!(!response.is_null(), "the document has no such status for {name}");
    let response = resolved(document, response);
    let Some(content) = response.get("content") else {
        assert!(answer.body.is_empty(), "the document has no body for {name}");
        return;
    };
    let media = answer.header("Content-Type").unwrap_or_default().split(';').next().unwrap_or_default();
    let media = content.get(media).unwrap_or_else(|| panic!("the document has no {media} for {name}"));
    let Some(schema) = media.get("schema").filter(|_| answer.body.starts_with('{')) else { return };
    if let Err(why) = check(document, schema, &answer.json()) {
        panic!("{why}: {name}");
    }
}

/// The operation with the fewest names in its path that a request can be of.
fn find<'a>(document: &'a Value, method: &str, path: &str) -> Option<&'a Value> {
    let method = method.to_ascii_lowercase();
    let paths = document["paths"].as_object()?.iter();
    let mut found: Vec<_> =
        paths.filter(|(known, methods)| is_of(known, path) && methods.get(&method).is_some()).collect();
    found.sort_by_key(|(known, _)| known.matches('{').count());
    found.first().map(|(_, methods)| &methods[method])
}

fn is_of(known: &str, path: &str) -> bool {
    let (known, path): (Vec<&str>, Vec<&str>) = (known.split('/').collect(), path.split('/').collect());
    let fits = |(known, found): (&&str, &&str)| (known.starts_with('{') && !found.is_empty()) || known == found;
    known.len() == path.len() && known.iter().zip(&path).all(fits)
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}")),
        None => value,
    }
}

/// The part of JSON Schema that answers are told in. A member that the document does not name is refused, though a
/// client would take it: it would be one that nobody had thought of documenting.
fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolved(document, schema).as_object().unwrap();
    let fail = |why: String| Err(format!("{value} {why}"));
    // First: what else is wanted is wanted of this type.
    if let Some(wanted) = schema.get("type").and_then(Value::as_str).filter(|wanted| !is_type(wanted, value)) {
        return fail(format!("is no {wanted}"));
    }
    for (keyword, wanted) in schema {
        match keyword.as_str() {
            "enum" if !wanted.as_array().unwrap().contains(value) => return fail(format!("is none of {wanted}")),
            "anyOf" => {
                let tried = wanted.as_array().unwrap().iter().map(|schema| check(document, schema, value));
                let errors: Vec<String> = tried.filter_map(Result::err).collect();
                if errors.len() == wanted.as_array().unwrap().len() {
                    return Err(errors.join(" and "));
                }
            }
            "items" => value.as_array().unwrap().iter().try_for_each(|item| check(document, wanted, item))?,
            "maxItems" if value.as_array().unwrap().len() as u64 > wanted.as_u64().unwrap() => {
                return fail("is too long".into());
            }
            "required" => {
                let missing = wanted.as_array().unwrap().iter().find(|key| value.get(key.as_str().unwrap()).is_none());
                if let Some(missing) = missing {
                    return fail(format!("has no {missing}"));
                }
            }
            "properties" => {
                for (key, value) in value.as_object().unwrap() {
                    match wanted.get(key) {
                        Some(schema) => check(document, schema, value)?,
                        None if schema.contains_key("additionalProperties") => {}
                        None => return Err(format!("{key} is not in the document")),
                    }
                }
            }
            "type" | "enum" | "maxItems" | "format" | "pattern" | "additionalProperties" => {}
            _ => panic!("this keyword is not checked: {keyword}"),
        }
    }
    Ok(())
}

fn is_type(wanted: &str, value: &Value) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        _ => panic!("{wanted}"),
    }
}
