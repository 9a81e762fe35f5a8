//! The operator's file: names and expressions, a line each, as oslo.policy's own tools write it.
//!
//! That is the flat part of YAML (`"instance:create": "role:owner"`, with or without quotes, `#` begins a comment), and
//! JSON with one rule on a line.

/// A rule as it stands in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The first one is 1.
    pub number: usize,
    pub name: String,
    pub text: String,
}

/// Errors: the number of a line and what is wrong with it.
pub(super) fn read(content: &str) -> Result<Vec<Line>, (usize, String)> {
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(content.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || ["{", "}", "{}", "---"].contains(&line) {
            continue;
        }
        let (name, text) = pair(line).map_err(|words| (number, words))?;
        lines.push(Line { number, name, text });
    }
    Ok(lines)
}

fn pair(line: &str) -> Result<(String, String), String> {
    let no_pair = || "it is not `\"NAME\": \"EXPRESSION\"`".to_owned();
    let (name, rest) = match quoted(line)? {
        Some((name, rest)) => (name, rest.trim_start().strip_prefix(':').ok_or_else(no_pair)?),
        None => {
            let (name, rest) =
                line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, ""))).ok_or_else(no_pair)?;
            (name.trim().to_owned(), rest)
        }
    };
    if name.is_empty() {
        return Err(no_pair());
    }
    let rest = rest.trim();
    if rest.starts_with(['[', '{', '|', '>', '&', '*']) {
        return Err("an expression is a text: lists and the like are not read".into());
    }
    let (text, after) = match quoted(rest)? {
        Some((text, after)) => (text, after),
        // YAML's `@` and `!` alone would need quotes; whoever writes them plainly means them.
        None => {
            let (text, after) = rest.split_at(rest.find(" #").unwrap_or(rest.len()));
            (text.trim_end().trim_end_matches(',').to_owned(), after)
        }
    };
    let after = after.trim_start().trim_start_matches(',').trim_start();
    if after.is_empty() || after.starts_with('#') {
        return Ok((name, text));
    }
    Err(format!("`{}` follows the expression", after.escape_debug()))
}

/// A text in quotes at the beginning, and what follows it. `None` when there are no quotes.
fn quoted(text: &str) -> Result<Option<(String, &str)>, String> {
    let Some(quote) = text.chars().next().filter(|quote| ['"', '\''].contains(quote)) else { return Ok(None) };
    let mut inner = String::new();
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((index, letter)) = letters.next() {
        let next = letters.peek().map(|(_, letter)| *letter);
        match letter {
            // In YAML a quote within single quotes is written twice.
            '\'' if quote == '\'' && next == Some('\'') => {
                letters.next();
                inner.push('\'');
            }
            '\\' if quote == '"' && matches!(next, Some('"' | '\\')) => {
                inner.extend(letters.next().map(|(_, letter)| letter));
            }
            '\\' if quote == '"' => return Err("a backslash stands before quotes and backslashes alone".into()),
            letter if letter == quote => return Ok(Some((inner, &text[index + letter.len_utf8()..]))),
            letter => inner.push(letter),
        }
    }
    Err("a quote is not closed on its line".into())
}
