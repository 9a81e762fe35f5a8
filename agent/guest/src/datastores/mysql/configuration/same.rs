//! Whether a value that the engine tells is the one that it was given: it writes many in another way.

use super::Variable;

pub(super) fn is_same(variable: &Variable, given: &str, told: &str) -> bool {
    match variable.kind.as_str() {
        "BIGINT" | "BIGINT UNSIGNED" | "INT" | "INT UNSIGNED" => match (whole(given), whole(told)) {
            (Some(given), Some(told)) => (given - told).abs() < variable.block_size.max(1),
            _ => given == told,
        },
        "DOUBLE" => match (given.parse::<f64>(), told.parse::<f64>()) {
            (Ok(given), Ok(told)) => (given - told).abs() <= 1e-6 * given.abs().max(1.0),
            _ => given == told,
        },
        "BOOLEAN" => flag(given) == flag(told),
        // A word may stand for several, which are told besides it.
        "SET" => {
            parts(given).all(|part| parts(told).any(|other| other.eq_ignore_ascii_case(part)))
                && given.is_empty() == told.is_empty()
        }
        "FLAGSET" => parts(given)
            .filter(|part| !part.to_ascii_lowercase().ends_with("=default") && part.contains('='))
            .all(|part| parts(told).any(|other| other.eq_ignore_ascii_case(part))),
        _ => canonical(given) == canonical(told),
    }
}

/// A whole number, with the letter of a power of 1024 behind it or not.
fn whole(text: &str) -> Option<i128> {
    let (digits, factor) = match text.strip_suffix('M') {
        Some(digits) => (digits, 1 << 20),
        None => (text, 1),
    };
    digits.parse::<i128>().ok()?.checked_mul(factor)
}

fn flag(text: &str) -> bool {
    text == "1" || text.eq_ignore_ascii_case("ON")
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|part| !part.is_empty())
}

/// The engine knows UTF-8 of three bytes under an old name, too.
fn canonical(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    match text.strip_prefix("utf8") {
        Some("") => "utf8mb3".into(),
        Some(rest) if rest.starts_with('_') => format!("utf8mb3{rest}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_ways_of_writing_are_known() {
        for (kind, given, told, expected) in [
            ("BIGINT UNSIGNED", "200", "200", true),
            ("BIGINT UNSIGNED", "1000000", "999424", true),
            ("BIGINT UNSIGNED", "200", "1224", false),
            ("BIGINT UNSIGNED", "64M", "67108864", true),
            ("DOUBLE", "2", "2.000000", true),
            ("DOUBLE", "2", "2.5", false),
            ("BOOLEAN", "ON", "1", true),
            ("BOOLEAN", "ON", "OFF", false),
            ("SET", "ansi_quotes", "ANSI_QUOTES", true),
            ("SET", "ANSI", "REAL_AS_FLOAT,ANSI", true),
            ("SET", "", "ANSI", false),
            ("SET", "ANSI", "", false),
            ("FLAGSET", "mrr=on", "index_merge=on,mrr=on", true),
            ("FLAGSET", "mrr=off,index_merge=default", "index_merge=on,mrr=on", false),
            ("ENUM", "utf8_general_ci", "utf8mb3_general_ci", true),
            ("ENUM", "UTF8", "utf8mb3", true),
            ("ENUM", "utf8mb4", "utf8mb3", false),
        ] {
            let variable = Variable {
                name: "x".into(),
                kind: kind.into(),
                value: String::new(),
                default: String::new(),
                block_size: 1024,
                is_read_only: false,
                is_option: true,
            };
            assert_eq!(is_same(&variable, given, told), expected, "{kind} {given} {told}");
        }
    }
}
