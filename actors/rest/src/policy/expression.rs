//! One rule: oslo.policy's expressions, read once and asked often.
//!
//! `and` binds closer than `or`, `not` closer than both. A check is `kind:match`: `rule:NAME`, `role:NAME`, or what is
//! known of the caller (`user_id`, `user_name`, `project_id`, `project_name`, `is_admin`) or a text in quotes, compared with
//! a text in which `%(tenant)s` stands for the tenant of the thing that is asked for. `@` and an empty rule are always
//! true, `!` never.

use std::{iter::Peekable, slice::Iter};

use super::Asker;

/// Whoever nests deeper wants to see where it ends.
const MAX_DEPTH: u32 = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    True,
    False,
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
    Rule(String),
    /// In lower case, as Keystone compares them.
    Role(String),
    Equal(Fact, String),
}

/// What is known of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    UserId,
    UserName,
    ProjectId,
    ProjectName,
    IsAdmin,
    Literal(String),
}

/// The names of what is known of the thing that is asked for: its tenant, which is Trove's word for a project.
const TARGETS: [&str; 2] = ["%(tenant)s", "%(project_id)s"];

impl Expression {
    /// Errors: what is wrong, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let words = words(text);
        if words.is_empty() {
            return Ok(Self::True);
        }
        let mut words = words.iter().peekable();
        let expression = any(&mut words, 0)?;
        match words.next() {
            None => Ok(expression),
            Some(word) => Err(format!("`{word}` is one too many")),
        }
    }

    /// The rules that it refers to.
    pub(super) fn rules(&self) -> Vec<&str> {
        match self {
            Self::Rule(name) => vec![name],
            Self::Not(inner) => inner.rules(),
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::rules).collect(),
            Self::True | Self::False | Self::Role(_) | Self::Equal(..) => Vec::new(),
        }
    }

    /// Whether it holds. `rule` answers for the rules that it refers to.
    pub(super) fn holds(&self, asker: &Asker<'_>, rule: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::True => true,
            Self::False => false,
            Self::Not(inner) => !inner.holds(asker, rule),
            Self::All(parts) => parts.iter().all(|part| part.holds(asker, rule)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(asker, rule)),
            Self::Rule(name) => rule(name),
            Self::Role(name) => asker
                .principal
                .roles
                .iter()
                .any(|role| role.eq_ignore_ascii_case(name) || (!role.is_ascii() && role.to_lowercase() == *name)),
            Self::Equal(fact, text) if TARGETS.contains(&text.as_str()) => fact.of(asker) == asker.tenant,
            Self::Equal(fact, text) => fact.of(asker) == filled(text, asker.tenant),
        }
    }
}

impl Fact {
    fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "user_id" | "user" => Self::UserId,
            "user_name" => Self::UserName,
            "project_id" | "tenant" | "tenant_id" => Self::ProjectId,
            "project_name" => Self::ProjectName,
            "is_admin" => Self::IsAdmin,
            "True" | "False" => Self::Literal(name.to_owned()),
            _ => match unquoted(name) {
                Some(text) => Self::Literal(text.to_owned()),
                None => return Err(format!("nothing is known of a caller under `{name}`")),
            },
        })
    }

    fn of<'a>(&'a self, asker: &'a Asker<'_>) -> &'a str {
        match self {
            Self::UserId => &asker.principal.user_id,
            Self::UserName => &asker.principal.user_name,
            Self::ProjectId => &asker.principal.project_id,
            Self::ProjectName => &asker.principal.project_name,
            Self::IsAdmin if asker.is_admin => "True",
            Self::IsAdmin => "False",
            Self::Literal(text) => text,
        }
    }
}

fn filled(text: &str, tenant: &str) -> String {
    TARGETS.iter().fold(text.to_owned(), |text, target| text.replace(target, tenant))
}

fn unquoted(text: &str) -> Option<&str> {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('\'').or_else(|| inner('"'))
}

/// Separated by blanks; parentheses stand alone, unless they belong to `%(tenant)s`.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in text.split_whitespace() {
        let mut word = part.trim_start_matches('(');
        words.extend(vec!["(".to_owned(); part.len() - word.len()]);
        let with_closing = word.len();
        word = word.trim_end_matches(')');
        let closing = with_closing - word.len();
        if !word.is_empty() {
            words.push(word.to_owned());
        }
        words.extend(vec![")".to_owned(); closing]);
    }
    words
}

type Words<'a> = Peekable<Iter<'a, String>>;

fn any(words: &mut Words<'_>, depth: u32) -> Result<Expression, String> {
    joined(words, "or", Expression::Any, |words| joined(words, "and", Expression::All, |words| one(words, depth)))
}

/// Parts with this word between them.
fn joined<'a>(
    words: &mut Words<'a>,
    between: &str,
    make: fn(Vec<Expression>) -> Expression,
    part: impl Fn(&mut Words<'a>) -> Result<Expression, String>,
) -> Result<Expression, String> {
    let first = part(words)?;
    let mut parts = vec![first];
    while words.next_if(|word| word.eq_ignore_ascii_case(between)).is_some() {
        parts.push(part(words)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { make(parts) })
}

fn one(words: &mut Words<'_>, depth: u32) -> Result<Expression, String> {
    if depth > MAX_DEPTH {
        return Err(format!("it is nested more than {MAX_DEPTH} deep"));
    }
    let word = words.next().ok_or("it ends where a check should stand")?;
    match word.as_str() {
        "(" => {
            let inner = any(words, depth + 1)?;
            match words.next() {
                Some(word) if word == ")" => Ok(inner),
                _ => Err("a parenthesis is not closed".into()),
            }
        }
        "@" => Ok(Expression::True),
        "!" => Ok(Expression::False),
        word if word.eq_ignore_ascii_case("not") => Ok(Expression::Not(Box::new(one(words, depth + 1)?))),
        word => check(word),
    }
}

fn check(word: &str) -> Result<Expression, String> {
    let (kind, text) = word.split_once(':').ok_or_else(|| format!("`{word}` is no check: `kind:match` is one"))?;
    match kind {
        "rule" | "role" if text.is_empty() => Err(format!("`{word}` names none")),
        "rule" => Ok(Expression::Rule(text.to_owned())),
        "role" if text.contains('%') => Err(format!("`{word}`: a role is named as it is")),
        "role" => Ok(Expression::Role(text.to_lowercase())),
        "http" | "https" => Err(format!("`{word}`: nobody else is asked")),
        kind => {
            let rest = TARGETS.iter().fold(text.to_owned(), |text, target| text.replace(target, ""));
            if rest.contains('%') {
                return Err(format!("`{word}`: {} are what is known of a thing", TARGETS.join(" and ")));
            }
            Ok(Expression::Equal(Fact::named(kind)?, text.to_owned()))
        }
    }
}
