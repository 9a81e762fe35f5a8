//! Trove's schemas of whole bodies as data, for routes that do nothing but check what was asked.

use crate::{error::Result, instances::order, schema::Node};

/// What a value has to be.
pub(crate) enum Shape {
    Any,
    /// A string that is not empty.
    Text,
    /// Trove's `non_empty_string`.
    Name,
    /// One of these strings.
    Word(&'static [&'static str]),
    Uuid,
    UuidOrNull,
    Boolean,
    Number,
    /// A whole number from the first to the second.
    Whole(i64, i64),
    /// A whole number or its digits.
    Digits,
    /// As instances have it.
    Flavor,
    Volume,
    Nics,
    Cidrs,
    /// An object that needs the first keys and may have the second; others are ignored.
    Object(&'static [Key], &'static [Key]),
    /// An object that needs the first keys, may have the second, and no others.
    Closed(&'static [Key], &'static [Key]),
    List(&'static Shape),
    /// At most so many, none twice.
    Set(usize, &'static Shape),
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
            Self::UuidOrNull if node.value().is_null() => Ok(()),
            Self::Uuid | Self::UuidOrNull => node.uuid().map(drop),
            Self::Boolean => node.boolean().map(drop),
            Self::Number => node.value().as_f64().map(drop).ok_or_else(|| node.mistyped("number")),
            Self::Whole(least, most) => {
                let number = node.value().as_i64().ok_or_else(|| node.mistyped("integer"))?;
                if number < *least {
                    return Err(node.fails(format!("{number} is less than the minimum of {least}")));
                }
                if number > *most {
                    return Err(node.fails(format!("{number} is greater than the maximum of {most}")));
                }
                Ok(())
            }
            Self::Digits if node.value().is_u64() => Ok(()),
            Self::Digits => match node.text()? {
                text if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
                _ => Err(node.fails(format!("{} does not match '[0-9]+'", node.shown()))),
            },
            Self::Flavor => order::flavor_id(node).map(drop),
            Self::Volume => order::volume(node).map(drop),
            Self::Nics => order::check_nics(node),
            Self::Cidrs => order::cidrs(node).map(drop),
            Self::Object(needed, allowed) => check_keys(node, needed, allowed),
            Self::Closed(needed, allowed) => {
                let is_known = |key: &str| needed.iter().chain(*allowed).any(|(known, _)| *known == key);
                if let Some(key) = node.keys()?.find(|key| !is_known(key)) {
                    return Err(node.unexpected(key));
                }
                check_keys(node, needed, allowed)
            }
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
