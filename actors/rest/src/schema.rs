//! Reading a body by Trove's schemas: each step knows its path, so that a refusal names the field.
//!
//! Messages have the form of python-jsonschema's, which Trove's have: `Validation error: instance['volume']['size'] -1
//! is less than the minimum of 1`.

use coffer_domain::names::MAX_STRING;
use serde_json::Value;

use crate::{
    error::{Error, Result},
    request_id::uuid_of,
};

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// A value somewhere in a body.
pub(crate) struct Node<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Node<'a> {
    /// The body as a whole.
    pub fn body(value: &'a Value) -> Self {
        Self { value, path: String::new() }
    }

    /// The one key that a body is wrapped in.
    pub fn root(body: &'a Value, key: &str) -> Result<Self> {
        Self::body(body).required(key)
    }

    pub fn required(&self, key: &str) -> Result<Self> {
        self.optional(key)?.ok_or_else(|| self.fails(format!("'{key}' is a required property")))
    }

    pub fn optional(&self, key: &str) -> Result<Option<Self>> {
        let path = || if self.path.is_empty() { key.to_owned() } else { format!("{}['{key}']", self.path) };
        Ok(self.object()?.get(key).map(|value| Self { value, path: path() }))
    }

    /// As [`Self::optional`], where `null` means absent as well.
    pub fn non_null(&self, key: &str) -> Result<Option<Self>> {
        Ok(self.optional(key)?.filter(|node| !node.value.is_null()))
    }

    /// What `parse` makes of an optional key.
    pub fn parsed<T>(&self, key: &str, parse: impl FnOnce(&Self) -> Result<T>) -> Result<Option<T>> {
        self.optional(key)?.map(|node| parse(&node)).transpose()
    }

    pub fn keys(&self) -> Result<impl Iterator<Item = &'a str>> {
        Ok(self.object()?.keys().map(String::as_str))
    }

    /// The one key of an object that names what is to be done.
    pub fn only_key(&self) -> Result<&'a str> {
        let mut keys = self.keys()?;
        match (keys.next(), keys.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(Error::bad_request("Invalid request body: it must have exactly one key, the action.")),
        }
    }

    pub fn items(&self) -> Result<Vec<Self>> {
        let items = self.value.as_array().ok_or_else(|| self.mistyped("array"))?;
        let node = |(index, value)| Self { value, path: format!("{}[{index}]", self.path) };
        Ok(items.iter().enumerate().map(node).collect())
    }

    /// Any string.
    pub fn text(&self) -> Result<&'a str> {
        self.value.as_str().ok_or_else(|| self.mistyped("string"))
    }

    /// Trove's `non_empty_string`: 1 to 255 characters, one of them an ASCII letter or digit.
    pub fn non_empty(&self) -> Result<&'a str> {
        let text = self.text()?;
        if text.is_empty() {
            return Err(self.fails("'' should be non-empty"));
        }
        if text.chars().count() > MAX_STRING {
            return Err(self.fails(format!("{} is too long", self.shown())));
        }
        if !text.chars().any(|c| c.is_ascii_alphanumeric()) {
            return Err(self.fails(format!("{} does not match '^.*[0-9a-zA-Z]+.*$'", self.shown())));
        }
        Ok(text)
    }

    pub fn uuid(&self) -> Result<&'a str> {
        let text = self.text()?;
        uuid_of(text).map(|_| text).ok_or_else(|| self.fails(format!("{} is not a UUID", self.shown())))
    }

    pub fn boolean(&self) -> Result<bool> {
        self.value.as_bool().ok_or_else(|| self.mistyped("boolean"))
    }

    /// A whole number of 64 bits. As in JSON Schema `1.0` is one.
    pub fn whole(&self) -> Option<i128> {
        let exact = self.value.as_i64().map(i128::from).or_else(|| self.value.as_u64().map(i128::from));
        let is_whole = |number: &f64| number.fract() == 0.0 && (-TWO_TO_63..2.0 * TWO_TO_63).contains(number);
        #[allow(clippy::cast_possible_truncation, reason = "it is whole and fits")]
        exact.or_else(|| self.value.as_f64().filter(is_whole).map(|number| number as i128))
    }

    pub fn check_object(&self) -> Result<()> {
        self.object().map(|_| ())
    }

    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// The refusal of this value.
    pub fn fails(&self, message: impl AsRef<str>) -> Error {
        let place = if self.path.is_empty() { "body" } else { &self.path };
        Error::bad_request(format!("Validation error: {place} {}", message.as_ref()))
    }

    /// The refusal of a key that an object may not have.
    pub fn unexpected(&self, key: &str) -> Error {
        self.fails(format!("Additional properties are not allowed ('{}' was unexpected)", key.escape_debug()))
    }

    pub fn mistyped(&self, wanted: &str) -> Error {
        self.fails(format!("{} is not of type '{wanted}'", self.shown()))
    }

    /// The value as Python would print it, cut short; a password not at all.
    pub fn shown(&self) -> String {
        const SHOWN: usize = 64;
        if self.path == "password" || self.path.ends_with("['password']") {
            return "the value".into();
        }
        match self.value {
            Value::Null => "None".into(),
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            Value::Number(number) => number.to_string(),
            Value::String(text) => format!("'{}'", text.chars().take(SHOWN).collect::<String>()),
            Value::Array(_) => "[...]".into(),
            Value::Object(_) => "{...}".into(),
        }
    }

    fn object(&self) -> Result<&'a serde_json::Map<String, Value>> {
        self.value.as_object().ok_or_else(|| self.mistyped("object"))
    }
}
