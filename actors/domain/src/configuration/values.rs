//! Values of parameters: checked against what the engine says of them, and put into its words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::parameters::{Kind, Parameter, Parameters};
use crate::rejection::{Rejection, RejectionKind};

/// Values by the names of their parameters.
pub type Values = BTreeMap<String, Value>;

/// A value as the tenant wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Boolean(bool),
    Number(Number),
    Text(String),
}

/// Characters of a text at most.
const MAX_TEXT: usize = 255;
/// What a text may hold besides letters and digits: nothing that an option file or a statement could stumble over.
const PUNCTUATION: &str = " _+-.,:/@*%=";

/// Checks all values; the message names the parameter and its rule.
///
/// # Errors
/// [`RejectionKind::Unprocessable`].
pub fn check(values: &Values, parameters: &Parameters) -> Result<(), Rejection> {
    for (name, value) in values {
        let parameter = parameters.get(name).ok_or_else(|| {
            let shown = name.escape_debug();
            refused(format!("The configuration parameter {shown} is not supported for this datastore version."))
        })?;
        text_of(value, parameter)
            .map_err(|rule| refused(format!("The value provided for the configuration parameter {name} {rule}.")))?;
    }
    Ok(())
}

fn refused(message: String) -> Rejection {
    Rejection::new(RejectionKind::Unprocessable, message)
}

/// Values in the engine's words. They were checked: one that is not known any more is left out.
pub fn engine_words(values: &Values, parameters: &Parameters) -> BTreeMap<String, String> {
    let word = |(name, value): (&String, &Value)| {
        let text = text_of(value, parameters.get(name)?).ok()?;
        Some((name.clone(), text))
    };
    values.iter().filter_map(word).collect()
}

/// The value in the engine's words, or the rule that it breaks.
fn text_of(value: &Value, parameter: &Parameter) -> Result<String, String> {
    match &parameter.kind {
        Kind::Integer { min, max } => {
            let number = whole(value).ok_or("is not of type integer")?;
            let (Some(least), Some(most)) = (integer(min), integer(max)) else { return Err("has no range".into()) };
            if (least..=most).contains(&number) { Ok(number.to_string()) } else { Err(outside(min, max)) }
        }
        Kind::Float { min, max } => {
            let Value::Number(number) = value else { return Err("is not of type float".into()) };
            let is_inside = number.as_f64().is_some_and(|number| (*min..=*max).contains(&number));
            if is_inside { Ok(number.to_string()) } else { Err(outside(min, max)) }
        }
        Kind::Boolean => Ok(if boolean(value).ok_or("is not of type boolean")? { "ON" } else { "OFF" }.into()),
        Kind::Word { words } => {
            // Words as ON and OFF are given as booleans, too.
            let text = if let Value::Boolean(flag) = value { if *flag { "ON" } else { "OFF" } } else { text(value)? };
            match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
                Some(word) => Ok(word.clone()),
                None => Err(one_of(words)),
            }
        }
        Kind::Words { words } => {
            let text = text(value)?;
            let is_known = |part: &str| words.iter().any(|word| word.eq_ignore_ascii_case(part));
            if text.is_empty() || text.split(',').all(is_known) { Ok(text.to_owned()) } else { Err(one_of(words)) }
        }
        Kind::Flags { words } => {
            let text = text(value)?;
            let is_known = |part: &str| {
                let (word, flag) = part.split_once('=').unwrap_or((part, "default"));
                let is_flag = ["on", "off", "default"].iter().any(|known| known.eq_ignore_ascii_case(flag));
                is_flag && words.iter().any(|known| known.eq_ignore_ascii_case(word))
            };
            if text.split(',').all(is_known) {
                Ok(text.to_owned())
            } else {
                Err(format!("{} as 'word=on'", one_of(words)))
            }
        }
        Kind::Text => {
            let text = text(value)?;
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || PUNCTUATION.contains(letter);
            let is_trimmed = text.trim() == text;
            if !text.is_empty() && text.len() <= MAX_TEXT && is_trimmed && text.chars().all(is_plain) {
                return Ok(text.to_owned());
            }
            Err(format!("must have 1 to {MAX_TEXT} ASCII letters, digits or any of '{PUNCTUATION}'"))
        }
    }
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => integer(number),
        _ => None,
    }
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Boolean(flag) => Some(*flag),
        Value::Number(number) => match number.as_i64()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        Value::Text(text) if text.eq_ignore_ascii_case("ON") => Some(true),
        Value::Text(text) if text.eq_ignore_ascii_case("OFF") => Some(false),
        Value::Text(_) => None,
    }
}

fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err("is not of type string".into()),
    }
}

fn outside(min: impl ToString, max: impl ToString) -> String {
    format!("is not from {} to {}", min.to_string(), max.to_string())
}

fn one_of(words: &[String]) -> String {
    const SHOWN: usize = 20;
    let more = if words.len() > SHOWN { ", …" } else { "" };
    let shown: Vec<&str> = words.iter().take(SHOWN).map(String::as_str).collect();
    format!("is not one of {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::parameters;

    fn engine_word(name: &str, value: &str) -> Result<String, String> {
        let parameters = parameters::of("mysql", "10.11").unwrap();
        let values = Values::from([(name.to_owned(), serde_json::from_str(value).unwrap())]);
        check(&values, parameters).map_err(|rejection| rejection.message)?;
        Ok(engine_words(&values, parameters).remove(name).unwrap())
    }

    #[test]
    fn values_are_put_into_the_engines_words() {
        for (name, value, expected) in [
            ("max_connections", "200", "200"),
            ("max_user_connections", "-1", "-1"),
            ("sort_buffer_size", "18446744073709551615", "18446744073709551615"),
            ("long_query_time", "0.5", "0.5"),
            ("long_query_time", "2", "2"),
            ("slow_query_log", "true", "ON"),
            ("slow_query_log", "0", "OFF"),
            ("slow_query_log", "\"on\"", "ON"),
            ("event_scheduler", "true", "ON"),
            ("collation_server", "\"latin1_swedish_ci\"", "latin1_swedish_ci"),
            ("character_set_client", "\"UTF8\"", "utf8"),
            ("sql_mode", "\"ANSI_QUOTES,no_engine_substitution\"", "ANSI_QUOTES,no_engine_substitution"),
            ("sql_mode", "\"\"", ""),
            ("optimizer_switch", "\"index_merge=off,mrr=ON\"", "index_merge=off,mrr=ON"),
            ("time_zone", "\"+02:00\"", "+02:00"),
        ] {
            assert_eq!(engine_word(name, value).as_deref(), Ok(expected), "{name} {value}");
        }
    }

    #[test]
    fn a_value_that_breaks_a_rule_is_refused_with_the_rule() {
        for (name, value, rule) in [
            ("max_connections", "9", "is not from 10 to 100000"),
            ("max_connections", "100001", "is not from 10 to 100000"),
            ("max_connections", "\"200\"", "max_connections is not of type integer"),
            ("max_connections", "200.5", "is not of type integer"),
            ("max_connections", "true", "is not of type integer"),
            ("long_query_time", "\"1\"", "is not of type float"),
            ("slow_query_log", "2", "is not of type boolean"),
            ("collation_server", "\"klingon_ci\"", "is not one of armscii8_bin,"),
            ("sql_mode", "\"ANSI_QUOTES,LOUD\"", "is not one of"),
            ("optimizer_switch", "\"index_merge=maybe\"", "word=on"),
            ("time_zone", "\"a\\nplugin-load=x\"", "ASCII letters"),
            ("time_zone", "\"x' OR 1\"", "ASCII letters"),
            ("bind_address", "\"0.0.0.0\"", "bind_address is not supported"),
            ("max-connections", "200", "max-connections is not supported"),
        ] {
            let refused = engine_word(name, value).unwrap_err();
            assert!(refused.contains(rule), "{name} {value}: {refused}");
        }
    }
}
