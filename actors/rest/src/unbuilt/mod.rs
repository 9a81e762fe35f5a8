//! Routes of powers that Coffer does not have yet: backups, clusters, modules, logs, TLS of
//! engines, and changes of the catalogue over the API.
//!
//! A request is checked as Trove checks it. Then it gets what Trove answers where there are none of these things: an
//! empty list, 404 for one of them, and 501 for an order, in words that say so. Each route is a row of [`table`]; a
//! power that is built takes its rows away.

use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse,
    dev::{self, Url},
    http::Method,
    web::{Data, Payload},
};
use serde_json::{Value, json};

use crate::{
    Shim,
    body::{AnyBody, Body},
    caller::Caller,
    error::{Error, Result},
    paging::Page,
    quoting::{parse_query, unquote},
    routes::accepted,
    schema::Node,
    shape::Shape,
};

mod bodies;
mod checks;
pub(crate) mod table;

/// A route that only checks.
pub(crate) struct Row {
    pub method: Method,
    pub path: &'static str,
    pub body: Option<Shape>,
    /// In this order, after the body.
    checks: &'static [Check],
    pub answer: Answer,
}

type Check = fn(&Asked<'_>) -> Result<()>;

/// What a check looks at.
struct Asked<'a> {
    shim: &'a Shim,
    caller: &'a Caller,
    /// The names in the path.
    path: &'a dev::Path<Url>,
    query: Vec<(String, String)>,
    /// `null` where the route takes none.
    body: Node<'a>,
}

/// What is answered when all checks have passed.
pub(crate) enum Answer {
    /// 200 and an empty list under this key.
    Empty(&'static str),
    /// 404: the thing with this name in the path, in these words, whose `{}` is the name.
    Absent(&'static str, &'static str),
    /// 501.
    Refused(&'static str),
    /// 202, since there is nothing to do.
    Done,
}

impl Row {
    /// What actix serves the route with.
    pub fn handler(
        &'static self,
    ) -> impl Handler<(Data<Shim>, Caller, HttpRequest, Payload), Output = Result<HttpResponse>> {
        move |shim, caller, request, payload| self.serve(shim, caller, request, payload)
    }

    async fn serve(
        &self,
        shim: Data<Shim>,
        caller: Caller,
        request: HttpRequest,
        payload: Payload,
    ) -> Result<HttpResponse> {
        let body = match &self.body {
            Some(_) => Body::<AnyBody>::from_request(&request, &mut payload.into_inner()).await?.0,
            None => Some(Value::Null),
        };
        let body = body.ok_or_else(Error::no_body)?;
        let body = Node::body(&body);
        if let Some(shape) = &self.body {
            shape.check(&body)?;
        }
        let query = parse_query(request.query_string());
        let asked = Asked { shim: &shim, caller: &caller, path: request.match_info(), query, body };
        self.checks.iter().try_for_each(|check| check(&asked))?;
        match self.answer {
            Answer::Empty(key) => {
                Page::extract(&request).await?;
                Ok(HttpResponse::Ok().json(json!({ key: [] })))
            }
            Answer::Absent(name, words) => Err(Error::not_found(words.replace("{}", &asked.named(name)))),
            Answer::Refused(words) => Err(Error::not_implemented(words)),
            Answer::Done => Ok(accepted()),
        }
    }
}

impl Asked<'_> {
    /// What stands in the path under this name.
    fn named(&self, name: &str) -> String {
        self.path.get(name).map(unquote).unwrap_or_default()
    }

    fn queried(&self, key: &str) -> Option<&str> {
        self.query.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}
