//! Percent encoding, as Python's `urllib.parse` does it: the clients are built around its habits.

use std::fmt::Write;

/// `quote`: all but letters, digits and `_.-~/`.
pub(crate) fn quote(text: &str) -> String {
    encode(text, |byte| byte == b'/')
}

/// `quote_plus`: a value in a query.
pub(crate) fn quote_plus(text: &str) -> String {
    encode(text, |byte| byte == b' ').replace(' ', "+")
}

fn encode(text: &str, is_safe: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) || is_safe(byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes all that is written to it");
        }
    }
    encoded
}

/// `unquote`: sequences that are none stay as they are, bytes that are no UTF-8 are replaced.
pub(crate) fn unquote(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, hex_pair(tail)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match bytes {
        [high, low, ..] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

/// Pairs of a query, decoded, in their order; those without a value left out (`parse_qsl`).
pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| unquote(&text.replace('+', " "));
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

/// The opposite (`urlencode`).
pub(crate) fn format_query(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(key, value)| format!("{}={}", quote_plus(key), quote_plus(value))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_python_does_it() {
        assert_eq!(quote("u.dot@%"), "u.dot%40%25");
        assert_eq!(quote("a/b c"), "a/b%20c");
        assert_eq!(quote_plus("a/b c"), "a%2Fb+c");
        assert_eq!(quote_plus(&quote("u.dot@%")), "u.dot%2540%2525");
        assert_eq!(unquote("u.dot%40%25"), "u.dot@%");
        assert_eq!(unquote("%41%4"), "A%4");
        assert_eq!(unquote("100%"), "100%");
        assert_eq!(unquote("%+1"), "%+1");
        assert_eq!(unquote("%C3%A4"), "ä");
        assert_eq!(unquote("%FF"), "\u{fffd}");
    }

    #[test]
    fn queries_there_and_back() {
        let pairs = parse_query("limit=2&x=&y&marker=a+b%2525&z=%C3%A4");
        let expected = [("limit", "2"), ("marker", "a b%25"), ("z", "ä")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(format_query(&pairs), "limit=2&marker=a+b%2525&z=%C3%A4");
    }
}
