//! A shape as JSON Schema (2020-12, which OpenAPI 3.1 speaks): what [`Shape::check`] lets pass, in other words.

use coffer_domain::names::MAX_STRING;
use serde_json::{Map, Value, json};

use super::{Key, Shape};

/// The end of the text: a `$` alone also stands before a line's end in some languages.
const END: &str = "$(?!\\n)";
const UUID: &str = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";
const OCTET: &str = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";

impl Shape {
    pub fn json_schema(&self) -> Value {
        match self {
            Self::Any => json!({}),
            Self::Str => json!({ "type": "string" }),
            Self::Text => json!({ "type": "string", "minLength": 1 }),
            Self::Name => {
                json!({ "type": "string", "minLength": 1, "maxLength": MAX_STRING, "pattern": "[0-9a-zA-Z]" })
            }
            Self::Word(words) => json!({ "enum": words }),
            Self::Uuid => json!({ "type": "string", "format": "uuid", "pattern": format!("^{UUID}{END}") }),
            Self::OrNull(shape) => any_of(vec![shape.json_schema(), json!({ "type": "null" })]),
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Number => json!({ "type": "number" }),
            Self::Int => json!({ "type": "integer" }),
            Self::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Self::Digits => any_of(vec![integer(0), matching("^[0-9]+")]),
            Self::Limit => any_of(vec![Self::Whole(-1, i64::MAX).json_schema(), matching("^([0-9]{1,18}|-1)")]),
            Self::Flavor => any_of(vec![integer(i64::MIN), Self::Name.json_schema()]),
            Self::Group => matching(&format!("^([^?#]*/)?{UUID}([?#][^\\n]*)?")),
            Self::Volume => {
                let mut volume = object(&[], &[("type", Self::OrNull(&Self::Name))]);
                volume["properties"]["size"] = any_of(vec![integer(1), matching("^0*[1-9][0-9]*")]);
                volume["required"] = json!(["size"]);
                volume
            }
            Self::Nics => json!({ "type": "array", "maxItems": 1, "items": nic() }),
            Self::Cidrs => {
                let network = format!("^({OCTET}[.]){{3}}{OCTET}(/0*(3[0-2]|[12]?[0-9]))?");
                json!({ "type": "array", "uniqueItems": true, "items": matching(&network) })
            }
            Self::Values => {
                json!({ "type": "object", "additionalProperties": { "type": ["boolean", "number", "string"] } })
            }
            Self::Object(needed, allowed) => object(needed, allowed),
            Self::Open(needed, allowed) => with(object(needed, allowed), &[("additionalProperties", json!(true))]),
            Self::Closed(needed, allowed) => closed(needed, allowed),
            Self::Some(keys) => with(closed(&[], keys), &[("minProperties", json!(1))]),
            Self::Action(_, actions) => {
                with(closed(&[], actions), &[("minProperties", json!(1)), ("maxProperties", json!(1))])
            }
            Self::Needing(keys, shape) => {
                let has =
                    |key: &str| json!({ "required": [key], "properties": { (key): { "not": { "type": "null" } } } });
                with(shape.json_schema(), &[("anyOf", keys.iter().map(|key| has(key)).collect())])
            }
            Self::List(shape) => json!({ "type": "array", "items": shape.json_schema() }),
            Self::Set(most, shape) => {
                let mut list = json!({ "type": "array", "uniqueItems": true, "items": shape.json_schema() });
                if *most < usize::MAX {
                    list["maxItems"] = json!(most);
                }
                list
            }
            Self::AnyOf(shapes) => any_of(shapes.iter().map(Self::json_schema).collect()),
            Self::Shared(name, _) => json!({ "$ref": format!("#/components/schemas/{name}") }),
        }
    }

    /// Every [`Self::Shared`] shape in it, with what it is.
    pub fn shared(&self, found: &mut Map<String, Value>) {
        match self {
            Self::Shared(name, shape) => {
                found.insert((*name).to_owned(), shape.json_schema());
                shape.shared(found);
            }
            Self::Object(needed, allowed) | Self::Open(needed, allowed) | Self::Closed(needed, allowed) => {
                needed.iter().chain(*allowed).for_each(|(_, shape)| shape.shared(found));
            }
            Self::Some(keys) | Self::Action(_, keys) => keys.iter().for_each(|(_, shape)| shape.shared(found)),
            Self::OrNull(shape) | Self::Needing(_, shape) | Self::List(shape) | Self::Set(_, shape) => {
                shape.shared(found);
            }
            Self::AnyOf(shapes) => shapes.iter().for_each(|shape| shape.shared(found)),
            _ => {}
        }
    }
}

/// A whole number as JSON is read here.
fn integer(least: i64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": u64::MAX })
}

fn matching(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": format!("{pattern}{END}") })
}

fn any_of(schemas: Vec<Value>) -> Value {
    json!({ "anyOf": schemas })
}

/// One network card, as [`crate::instances::order::check_nics`] reads it.
fn nic() -> Value {
    let mut nic = closed(&[], &[("net-id", Shape::Uuid), ("network_id", Shape::Uuid), ("subnet_id", Shape::Uuid)]);
    nic["properties"]["ip_address"] = matching(&format!("^({OCTET}[.]){{3}}{OCTET}"));
    nic
}

fn object(needed: &[Key], allowed: &[Key]) -> Value {
    let mut object = json!({ "type": "object" });
    if !needed.is_empty() {
        object["required"] = needed.iter().map(|(key, _)| *key).collect();
    }
    let properties: Map<String, Value> =
        needed.iter().chain(allowed).map(|(key, shape)| ((*key).to_owned(), shape.json_schema())).collect();
    if !properties.is_empty() {
        object["properties"] = Value::Object(properties);
    }
    object
}

fn closed(needed: &[Key], allowed: &[Key]) -> Value {
    with(object(needed, allowed), &[("additionalProperties", json!(false))])
}

fn with(mut schema: Value, more: &[(&str, Value)]) -> Value {
    for (key, value) in more {
        schema[key] = value.clone();
    }
    schema
}
