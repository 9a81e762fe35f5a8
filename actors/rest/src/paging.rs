//! Pages of a list: `?limit=&marker=` in, a `next` link out while more remains.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use coffer_domain::ids::InstanceId;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    links::Base,
    quoting::{format_query, parse_query, quote, unquote},
};

/// Entries of a page at most: a larger `limit` is cut to it silently.
pub(crate) const PAGE_SIZE: usize = 20;

/// Which page is asked for.
pub(crate) struct Page {
    pub limit: usize,
    /// As many entries as the query asks for, cut by nothing.
    pub wanted: usize,
    /// As the query has it, decoded once.
    marker: Option<String>,
    query: Vec<(String, String)>,
    url: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct NextLink {
    rel: &'static str,
    href: String,
}

/// `links` of a list: absent on the last page.
pub(crate) type Next = Option<[NextLink; 1]>;

impl Page {
    fn of(request: &HttpRequest) -> Result<Self> {
        let query = parse_query(request.query_string());
        let value = |key: &str| query.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        let wanted = match value("limit") {
            None => PAGE_SIZE,
            Some(text) => match text.parse::<u64>() {
                // Trove takes 0 as no word on the matter.
                Ok(0) => PAGE_SIZE,
                Ok(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
                Err(_) => {
                    return Err(Error::bad_request(
                        "The query parameter 'limit' must be a whole number, not negative.",
                    ));
                }
            },
        };
        let url = Base::of(request).join(request.uri().path());
        Ok(Self { limit: wanted.min(PAGE_SIZE), wanted, marker: value("marker"), query, url })
    }

    /// A page of `items`, which are sorted by `key`; keys are the markers.
    pub fn cut<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> String) -> (Vec<T>, Next) {
        if let Some(marker) = self.text_marker() {
            items.retain(|item| key(item) > marker);
        }
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let next = items.last().filter(|_| more).map(|last| self.next(&key(last)));
        (items, next)
    }

    /// The link to the page after the entry with this key. The marker is quoted once more than a query needs, as
    /// Trove does it; [`Self::text_marker`] undoes it, and nothing happens to ids.
    pub fn next(&self, key: &str) -> [NextLink; 1] {
        let mut query = self.query.clone();
        let marker = quote(key);
        match query.iter_mut().find(|(name, _)| name == "marker") {
            Some(pair) => pair.1 = marker,
            None => query.push(("marker".into(), marker)),
        }
        [NextLink { rel: "next", href: format!("{}?{}", self.url, format_query(&query)) }]
    }

    /// What the query has under this key.
    pub fn queried(&self, key: &str) -> Option<&str> {
        self.query.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The marker as [`Self::next`] had its key.
    pub fn text_marker(&self) -> Option<String> {
        self.marker.as_deref().map(unquote)
    }

    /// The marker as a number; any other text is none.
    pub fn number_marker(&self) -> Option<u64> {
        self.marker.as_deref().and_then(|marker| marker.parse().ok())
    }

    /// The marker as a position among instance ids; any text has one.
    pub fn id_marker(&self) -> Option<InstanceId> {
        self.marker.as_deref().and_then(position).map(InstanceId)
    }
}

/// The greatest UUID that, written out, is not after `text`; none when all are.
fn position(text: &str) -> Option<Uuid> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    const DIGITS: u32 = 32;
    let mut prefix = 0_u128;
    let mut digits = 0;
    // The ids that begin with what was read so far go from `prefix` followed by zeros to `prefix` followed by `f`s.
    let first = |prefix: u128, digits: u32| prefix.checked_shl(4 * (DIGITS - digits)).unwrap_or(0);
    let last = |prefix: u128, digits: u32| first(prefix, digits) | u128::MAX.checked_shr(4 * digits).unwrap_or(0);
    let mut bytes = text.bytes();
    for index in 0..36 {
        let byte = bytes.next();
        if HYPHENS.contains(&index) {
            match byte {
                Some(b'-') => {}
                Some(byte) if byte > b'-' => return Some(Uuid::from_u128(last(prefix, digits))),
                _ => return first(prefix, digits).checked_sub(1).map(Uuid::from_u128),
            }
            continue;
        }
        let below = b"0123456789abcdef".iter().filter(|digit| byte.is_some_and(|byte| **digit < byte)).count() as u128;
        match byte {
            Some(b'0'..=b'9' | b'a'..=b'f') => {
                prefix = prefix << 4 | below;
                digits += 1;
            }
            _ if below == 0 => return first(prefix, digits).checked_sub(1).map(Uuid::from_u128),
            _ => return Some(Uuid::from_u128(last(prefix << 4 | (below - 1), digits + 1))),
        }
    }
    Some(Uuid::from_u128(prefix))
}

impl FromRequest for Page {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn page(uri: &str) -> Result<Page> {
        Page::of(&TestRequest::with_uri(uri).insert_header(("Host", "db.example")).to_http_request())
    }

    fn letters() -> Vec<char> {
        ('a'..='z').collect()
    }

    #[test]
    fn pages_follow_each_other_until_the_last() {
        let (items, next) = page("/x?limit=10&k=v").unwrap().cut(letters(), char::to_string);
        assert_eq!(items, ('a'..='j').collect::<Vec<_>>());
        assert_eq!(next.unwrap()[0].href, "http://db.example/x?limit=10&k=v&marker=j");
        let (items, next) = page("/x?marker=j&limit=10").unwrap().cut(letters(), char::to_string);
        assert_eq!(items, ('k'..='t').collect::<Vec<_>>());
        assert_eq!(next.unwrap()[0].href, "http://db.example/x?marker=t&limit=10");
        let (items, next) = page("/x?marker=t&limit=6").unwrap().cut(letters(), char::to_string);
        assert_eq!((items.len(), next.is_none()), (6, true));
    }

    #[test]
    fn limits_are_cut_or_refused() {
        for (uri, limit) in [("/x", 20), ("/x?limit=", 20), ("/x?limit=0", 20), ("/x?limit=5", 5), ("/x?limit=999", 20)]
        {
            assert_eq!(page(uri).unwrap().limit, limit, "{uri}");
        }
        for uri in ["/x?limit=-1", "/x?limit=abc", "/x?limit=1.5"] {
            assert!(page(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn markers_are_quoted_twice_and_read_either_way() {
        let names = || vec!["u.dot@%".to_owned(), "v@%".to_owned()];
        let (_, next) = page("/x?limit=1").unwrap().cut(names(), String::clone);
        assert_eq!(next.unwrap()[0].href, "http://db.example/x?limit=1&marker=u.dot%2540%2525");
        for uri in ["/x?marker=u.dot%2540%2525", "/x?marker=u.dot%40%25"] {
            assert_eq!(page(uri).unwrap().cut(names(), String::clone).0, ["v@%"], "{uri}");
        }
    }

    #[test]
    fn every_text_has_a_position_among_ids() {
        let ids: Vec<Uuid> = (0..400_u128)
            .map(|n| Uuid::from_u128(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
            .chain([Uuid::nil(), Uuid::max()])
            .collect();
        let texts = ids.iter().map(Uuid::to_string).chain(
            ["", "-", "0", "9", "zzz", "AB", "f", "00000000", "00000000-", "00000000x", "5ced", "ffffffff-ffff~", "é"]
                .map(str::to_owned),
        );
        for text in texts {
            let after = position(&text);
            for id in &ids {
                let expected = id.to_string() > text;
                assert_eq!(after.is_none_or(|after| *id > after), expected, "{id} after {text:?} = {after:?}");
            }
        }
        let longer = format!("{}x", Uuid::max());
        assert_eq!(position(&longer), Some(Uuid::max()));
    }
}
