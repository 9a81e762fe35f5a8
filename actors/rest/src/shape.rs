//! Trove's schemas of whole bodies as data. A body is checked by its shape before anything else looks at it, and the
//! document that clients read ([`crate::openapi`]) has it from the same data.

use crate::{
    error::{Error, Result},
    instances::order,
    quotas,
    schema::Node,
};

mod json_schema;

/// What a value has to be.
#[derive(Debug)]
pub(crate) enum Shape {
    Any,
    /// Any string.
    Str,
    /// A string that is not empty.
    Text,
    /// Trove's `non_empty_string`.
    Name,
    /// One of these strings.
    Word(&'static [&'static str]),
    Uuid,
    OrNull(&'static Shape),
    Boolean,
    Number,
    /// Any whole number.
    Int,
    /// A whole number from the first to the second.
    Whole(i64, i64),
    /// A whole number or its digits.
    Digits,
    /// As instances have it.
    Flavor,
    Group,
    Volume,
    Nics,
    Cidrs,
    /// As quotas have it: -1 is none, and the legacy shell sends text.
    Limit,
    /// Values for parameters of an engine: flags, numbers and texts. What is none of these is not refused here, since
    /// Trove has another status for it.
    Values,
    /// An object that needs the first keys and may have the second; others are ignored.
    Object(&'static [Key], &'static [Key]),
    /// An object that needs the first keys, may have the second, and no others.
    Closed(&'static [Key], &'static [Key]),
    /// A [`Self::Closed`] object that has one of the keys at least.
    Some(&'static [Key]),
    /// An object with exactly one key, an action. The words are those for another one, whose name stands for `{}`.
    Action(&'static str, &'static [Key]),
    /// An object of this shape that has one of these keys, which is not null.
    Needing(&'static [&'static str], &'static Shape),
    List(&'static Shape),
    /// At most so many, none twice.
    Set(usize, &'static Shape),
    /// An object that needs the first keys, may have the second, and others whose names nobody can know.
    Open(&'static [Key], &'static [Key]),
    AnyOf(&'static [Shape]),
    /// A shape that stands in the document once, under this name.
    Shared(&'static str, &'static Shape),
}

pub(crate) type Key = (&'static str, Shape);

/// A flag as Trove's schemas have most of theirs: 0 or 1.
pub(crate) const FLAG: Shape = Shape::Whole(0, 1);

impl Shape {
    pub fn check(&self, node: &Node<'_>) -> Result<()> {
        match self {
            Self::Any => Ok(()),
            Self::Text => match node.text()? {
                "" => Err(node.fails("'' should be non-empty")),
                _ => Ok(()),
            },
            Self::Name => node.non_empty().map(drop),
            Self::Word(words) => match node.text()? {
                word if words.contains(&word) => Ok(()),
                _ => Err(node.fails(format!("{} is not one of ['{}']", node.shown(), words.join("', '")))),
            },
            Self::Str => node.text().map(drop),
            Self::Uuid => node.uuid().map(drop),
            Self::OrNull(_) if node.value().is_null() => Ok(()),
            Self::OrNull(shape) => shape.check(node),
            Self::Boolean => node.boolean().map(drop),
            Self::Number => node.value().as_f64().map(drop).ok_or_else(|| node.mistyped("number")),
            Self::Int => node.whole().map(drop).ok_or_else(|| node.mistyped("integer")),
            Self::Whole(least, most) => {
                let number = node.whole().ok_or_else(|| node.mistyped("integer"))?;
                if number < i128::from(*least) {
                    return Err(node.fails(format!("{number} is less than the minimum of {least}")));
                }
                if number > i128::from(*most) {
                    return Err(node.fails(format!("{number} is greater than the maximum of {most}")));
                }
                Ok(())
            }
            Self::Digits if node.whole().is_some_and(|number| number >= 0) => Ok(()),
            Self::Digits => match node.text()? {
                text if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
                _ => Err(node.fails(format!("{} does not match '[0-9]+'", node.shown()))),
            },
            Self::Flavor => order::flavor_id(node).map(drop),
            Self::Group => order::group_id(node).map(drop),
            Self::Volume => order::volume(node).map(drop),
            Self::Nics => order::check_nics(node),
            Self::Cidrs => order::cidrs(node).map(drop),
            Self::Limit => quotas::limit(node).map(drop),
            Self::Values => node.check_object(),
            Self::Object(needed, allowed) | Self::Open(needed, allowed) => check_keys(node, needed, allowed),
            Self::Closed(needed, allowed) => check_closed(node, needed, allowed),
            Self::Some(keys) if node.keys()?.next().is_some() => check_closed(node, &[], keys),
            Self::Some(_) => Err(node.fails("{} should be non-empty")),
            Self::Action(unknown, actions) => {
                let action = node.only_key()?;
                let known = actions.iter().find(|(name, _)| *name == action);
                let unknown = || Error::bad_request(unknown.replace("{}", &action.escape_debug().to_string()));
                let (_, shape) = known.ok_or_else(unknown)?;
                shape.check(&node.required(action)?)
            }
            Self::Needing(keys, shape) => {
                shape.check(node)?;
                for key in *keys {
                    if node.non_null(key)?.is_some() {
                        return Ok(());
                    }
                }
                node.required(keys[0]).map(drop)
            }
            Self::AnyOf(shapes) if shapes.iter().any(|shape| shape.check(node).is_ok()) => Ok(()),
            Self::AnyOf(_) => Err(node.fails(format!("{} is not valid under any of the given schemas", node.shown()))),
            Self::Shared(_, shape) => shape.check(node),
            Self::List(shape) => node.items()?.iter().try_for_each(|item| shape.check(item)),
            Self::Set(most, shape) => {
                let items = node.items()?;
                if items.len() > *most {
                    return Err(node.fails("[...] is too long"));
                }
                for (index, item) in items.iter().enumerate() {
                    shape.check(item)?;
                    if items[..index].iter().any(|other| other.value() == item.value()) {
                        return Err(node.fails("[...] has non-unique elements"));
                    }
                }
                Ok(())
            }
        }
    }
}

fn check_closed(node: &Node<'_>, needed: &[Key], allowed: &[Key]) -> Result<()> {
    let is_known = |key: &str| needed.iter().chain(allowed).any(|(known, _)| *known == key);
    if let Some(key) = node.keys()?.find(|key| !is_known(key)) {
        return Err(node.unexpected(key));
    }
    check_keys(node, needed, allowed)
}

fn check_keys(node: &Node<'_>, needed: &[Key], allowed: &[Key]) -> Result<()> {
    node.check_object()?;
    for (key, shape) in needed {
        shape.check(&node.required(key)?)?;
    }
    for (key, shape) in allowed {
        if let Some(value) = node.optional(key)? {
            shape.check(&value)?;
        }
    }
    Ok(())
}
