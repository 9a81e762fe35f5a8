//! Every answer that is not a success: Trove's status codes and bodies, in one table.
//!
//! Trove has three forms. Its own is `{"<name>": {"code", "message"}}`. A body that is no JSON and a path with another
//! tenant are answered by webob before Trove's code sees them: HTML, or JSON when the client names it. What concerns
//! tokens comes from Keystone's middleware.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use coffer_domain::rejection::{Rejection, RejectionKind};
use serde::Serialize;
use serde_json::json;

use crate::{control::Unavailable, rates::Standing};

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal with words for the client.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Error {
    status: StatusCode,
    message: String,
    form: Form,
    /// Seconds after which a 503, or what came too often, may be tried again.
    retry_after_s: u32,
}

#[derive(Debug)]
enum Form {
    Trove,
    /// `explanation` is webob's first paragraph, the message its second.
    Webob {
        explanation: &'static str,
        html: bool,
    },
    /// Too many requests: what stands beside the message.
    Rate {
        details: String,
    },
    Keystone {
        /// Value of `WWW-Authenticate`.
        challenge: Option<String>,
    },
}

/// Seconds after which a client may try again when the control plane is busy or away.
const RETRY_AFTER_S: u32 = 1;
/// The same when its disk is full. It takes up orders within a second once there is room, but a person has to make it:
/// clients that asked every second until then would be a load without hope.
const ROOM_RETRY_AFTER_S: u32 = 30;

impl Error {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), form: Form::Trove, retry_after_s: RETRY_AFTER_S }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// No body, where there must be one.
    pub fn no_body() -> Self {
        Self::bad_request("Invalid request body: it is empty.")
    }

    /// Trove's words for a thing that is not there, or is another tenant's.
    pub fn no_resource(id: &str) -> Self {
        Self::not_found(format!("Resource {id} cannot be found."))
    }

    /// No such route, or not with this method.
    pub fn no_route() -> Self {
        Self::not_found("The resource could not be found.")
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub fn over_limit(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    pub fn wrong_state(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// More requests of a kind than a tenant may send.
    pub fn rate_limited(standing: Standing) -> Self {
        let Standing { kind, wait, .. } = standing;
        let details = format!("Only {} {} request(s) can be made to {} every minute.", kind.limit, kind.verb, kind.uri);
        // A client that comes back a part of a second too early is refused once more.
        let whole = Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        Self { form: Form::Rate { details }, ..Self::over_limit("This request was rate-limited.") }.after(Some(whole))
    }

    /// The same with another time to wait, where one is known.
    pub fn after(self, wait: Option<Duration>) -> Self {
        let wait_s = wait.map(|wait| u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(RETRY_AFTER_S));
        Self { retry_after_s: wait_s.unwrap_or(self.retry_after_s), ..self }
    }

    /// A body that is not JSON.
    pub fn malformed(request: &HttpRequest) -> Self {
        let form = Form::Webob { explanation: "Malformed request body", html: wants_html(request) };
        Self { form, ..Self::new(StatusCode::BAD_REQUEST, "") }
    }

    /// A path with another tenant than the token's.
    pub fn other_tenant(tenant: &str, html: bool) -> Self {
        let form = Form::Webob { explanation: "Access was denied to this resource.", html };
        let message = format!("User with tenant id {tenant} cannot access this resource.");
        Self { form, ..Self::new(StatusCode::FORBIDDEN, message) }
    }

    /// No token, or none that counts. `auth_url` is where to get one.
    pub fn no_token(auth_url: &str) -> Self {
        let challenge = Some(format!("Keystone uri=\"{auth_url}\""));
        Self { form: Form::Keystone { challenge }, ..Self::bad_credentials() }
    }

    /// Wrong credentials in a request for a token.
    pub fn bad_credentials() -> Self {
        Self::keystone(StatusCode::UNAUTHORIZED, "The request you have made requires authentication.")
    }

    /// Another refusal in Keystone's form.
    pub fn keystone(status: StatusCode, message: impl Into<String>) -> Self {
        Self { form: Form::Keystone { challenge: None }, ..Self::new(status, message) }
    }
}

/// webob answers with HTML unless the client names JSON.
pub(crate) fn wants_html(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    !accept.is_some_and(|accept| accept.contains("application/json"))
}

/// Trove's name of a status.
pub(crate) fn fault_name(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "badRequest",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        406 => "notAcceptable",
        409 => "conflict",
        413 => "overLimit",
        415 => "badMediaType",
        422 => "unprocessableEntity",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        _ => "instanceFault",
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let status = match rejection.kind {
            RejectionKind::Invalid => StatusCode::BAD_REQUEST,
            RejectionKind::NotFound => StatusCode::NOT_FOUND,
            RejectionKind::WrongState | RejectionKind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            RejectionKind::OverLimit => StatusCode::PAYLOAD_TOO_LARGE,
            RejectionKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
            RejectionKind::Busy | RejectionKind::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
        };
        let retry_after_s = if rejection.kind == RejectionKind::NoRoom { ROOM_RETRY_AFTER_S } else { RETRY_AFTER_S };
        Self { retry_after_s, ..Self::new(status, rejection.message) }
    }
}

impl From<Unavailable> for Error {
    fn from(unavailable: Unavailable) -> Self {
        Self::unavailable(unavailable.0)
    }
}

#[derive(Serialize)]
struct KeystoneBody<'a> {
    error: KeystoneError<'a>,
}

#[derive(Serialize)]
struct KeystoneError<'a> {
    code: u16,
    title: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct WebobBody<'a> {
    message: &'a str,
    code: &'a str,
    title: &'a str,
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let reason = self.status.canonical_reason().unwrap_or_default();
        let code = self.status.as_u16();
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::SERVICE_UNAVAILABLE || matches!(self.form, Form::Rate { .. }) {
            response.insert_header((header::RETRY_AFTER, self.retry_after_s));
        }
        match &self.form {
            Form::Trove => {
                response.json(json!({ (fault_name(self.status)): { "code": code, "message": self.message } }))
            }
            Form::Rate { details } => response.json(json!({ (fault_name(self.status)): {
                "code": code,
                "message": self.message,
                "details": details,
                "retryAfter": self.retry_after_s.to_string(),
            } })),
            Form::Webob { explanation, html } => {
                let status = format!("{code} {reason}");
                let body = format!("{explanation}<br /><br />\n{}\n\n", escaped(&self.message));
                if *html {
                    response.content_type("text/html; charset=UTF-8").body(page(&status, &body))
                } else {
                    response.json(WebobBody { message: &body, code: &status, title: reason })
                }
            }
            Form::Keystone { challenge } => {
                if let Some(challenge) = challenge {
                    response.insert_header((header::WWW_AUTHENTICATE, challenge.as_str()));
                }
                response.json(KeystoneBody { error: KeystoneError { code, title: reason, message: &self.message } })
            }
        }
    }
}

fn page(status: &str, body: &str) -> String {
    format!(
        "<html>\n <head>\n  <title>{status}</title>\n </head>\n <body>\n  <h1>{status}</h1>\n  {body}\n </body>\n</html>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
