//! Character sets of MySQL and MariaDB with their collations.
//!
//! Taken from `information_schema.COLLATIONS` of MariaDB 10.11, without its `nopad` and `uca1400` variants, which MySQL
//! does not have. Longer than other tables on purpose: a pair that passes here exists in the engine.

use super::shown;
use crate::rejection::Rejection;

/// Collations of the character sets that can hold all of Unicode, `utf8mb4_` and the like left out.
const UNICODE: &[&str] = &[
    "general_ci",
    "bin",
    "unicode_ci",
    "unicode_520_ci",
    "croatian_ci",
    "czech_ci",
    "danish_ci",
    "esperanto_ci",
    "estonian_ci",
    "german2_ci",
    "hungarian_ci",
    "icelandic_ci",
    "latvian_ci",
    "lithuanian_ci",
    "persian_ci",
    "polish_ci",
    "roman_ci",
    "romanian_ci",
    "sinhala_ci",
    "slovak_ci",
    "slovenian_ci",
    "spanish_ci",
    "spanish2_ci",
    "swedish_ci",
    "turkish_ci",
    "vietnamese_ci",
];

const GENERAL: &[&str] = &["general_ci", "bin"];

/// A character set and what follows `<character set>_` in its collations. `utf8` is the servers' alias of `utf8mb3`.
const CHARSETS: &[(&str, &[&str])] = &[
    ("armscii8", GENERAL),
    ("ascii", GENERAL),
    ("big5", &["chinese_ci", "bin"]),
    ("cp1250", &["general_ci", "bin", "croatian_ci", "czech_cs", "polish_ci"]),
    ("cp1251", &["general_ci", "bin", "general_cs", "bulgarian_ci", "ukrainian_ci"]),
    ("cp1256", GENERAL),
    ("cp1257", &["general_ci", "bin", "lithuanian_ci"]),
    ("cp850", GENERAL),
    ("cp852", GENERAL),
    ("cp866", GENERAL),
    ("cp932", &["japanese_ci", "bin"]),
    ("dec8", &["swedish_ci", "bin"]),
    ("eucjpms", &["japanese_ci", "bin"]),
    ("euckr", &["korean_ci", "bin"]),
    ("gb2312", &["chinese_ci", "bin"]),
    ("gbk", &["chinese_ci", "bin"]),
    ("geostd8", GENERAL),
    ("greek", GENERAL),
    ("hebrew", GENERAL),
    ("hp8", &["english_ci", "bin"]),
    ("keybcs2", GENERAL),
    ("koi8r", GENERAL),
    ("koi8u", GENERAL),
    (
        "latin1",
        &["swedish_ci", "bin", "danish_ci", "general_ci", "general_cs", "german1_ci", "german2_ci", "spanish_ci"],
    ),
    ("latin2", &["general_ci", "bin", "croatian_ci", "czech_cs", "hungarian_ci"]),
    ("latin5", &["turkish_ci", "bin"]),
    ("latin7", &["general_ci", "bin", "general_cs", "estonian_cs"]),
    ("macce", GENERAL),
    ("macroman", GENERAL),
    ("sjis", &["japanese_ci", "bin"]),
    ("swe7", &["swedish_ci", "bin"]),
    ("tis620", &["thai_ci", "bin"]),
    ("ucs2", UNICODE),
    ("ujis", &["japanese_ci", "bin"]),
    ("utf16", UNICODE),
    ("utf16le", GENERAL),
    ("utf32", UNICODE),
    ("utf8", UNICODE),
    ("utf8mb3", UNICODE),
    ("utf8mb4", UNICODE),
];

/// Checks a character set, a collation, or the pair.
pub(super) fn check(charset: Option<&str>, collate: Option<&str>) -> Result<(), Rejection> {
    if let Some(charset) = charset
        && charset != BINARY
        && !CHARSETS.iter().any(|(name, _)| *name == charset)
    {
        return Err(Rejection::invalid(format!("'{}' is not a valid character set.", shown(charset))));
    }
    let Some(collate) = collate else { return Ok(()) };
    let Some(owner) = charset_of(collate) else {
        return Err(Rejection::invalid(format!("'{}' is not a valid collation.", shown(collate))));
    };
    match charset {
        Some(charset) if unaliased(charset) != unaliased(owner) => {
            Err(Rejection::invalid(format!("'{collate}' is not a valid collation for character set '{charset}'.")))
        }
        _ => Ok(()),
    }
}

/// The one character set whose only collation has its own name.
const BINARY: &str = "binary";

fn charset_of(collate: &str) -> Option<&'static str> {
    if collate == BINARY {
        return Some(BINARY);
    }
    let (prefix, rest) = collate.split_once('_')?;
    let (charset, collations) = CHARSETS.iter().find(|(name, _)| *name == prefix)?;
    collations.contains(&rest).then_some(*charset)
}

fn unaliased(charset: &str) -> &str {
    if charset == "utf8" { "utf8mb3" } else { charset }
}
