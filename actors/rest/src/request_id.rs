//! `X-Openstack-Request-Id`: one on every answer, to find the request again in logs and in an instance's journal.
//!
//! A client's own is taken over when it has the usual form. It is correlation only: repeating one repeats nothing.

use actix_web::http::header::{HeaderMap, HeaderName};
use uuid::Uuid;

use crate::random;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-openstack-request-id");

const PREFIX: &str = "req-";

/// `req-<uuid>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(pub String);

impl RequestId {
    pub fn of(headers: &HeaderMap) -> Self {
        let given =
            headers.get(HEADER).and_then(|value| value.to_str().ok()).and_then(|text| text.strip_prefix(PREFIX));
        let id = given.and_then(uuid_of).or_else(|| random::uuid().ok()).unwrap_or_default();
        Self(format!("{PREFIX}{id}"))
    }
}

/// A UUID in its usual form with four hyphens; `Uuid` itself takes others, too.
pub(crate) fn uuid_of(text: &str) -> Option<Uuid> {
    const LENGTH: usize = 36;
    (text.len() == LENGTH).then(|| Uuid::parse_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn of(value: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(HEADER, HeaderValue::from_str(value).unwrap());
        }
        RequestId::of(&headers).0
    }

    #[test]
    fn a_valid_one_is_taken_over() {
        let id = "req-6f8f9d6c-3f0e-4b0c-9d52-7f8d2f9f3a11";
        assert_eq!(of(Some(id)), id);
    }

    #[test]
    fn any_other_is_replaced_by_a_fresh_one() {
        for given in [None, Some(""), Some("req-"), Some("req-x"), Some("6f8f9d6c-3f0e-4b0c-9d52-7f8d2f9f3a11")] {
            let id = of(given);
            assert_ne!(Some(id.as_str()), given);
            assert!(id.strip_prefix(PREFIX).and_then(uuid_of).is_some_and(|uuid| !uuid.is_nil()), "{id}");
        }
        assert_ne!(of(None), of(None));
    }
}
