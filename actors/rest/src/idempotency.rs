//! `Idempotency-Key`: a request that is sent again with its key gets its first answer again, and nothing is done twice.
//!
//! A key counts within its tenant, its caller and its route, and stands for one request there. The id of the request's
//! command follows from it, so the partition knows a repeat by the command's id, and commits the answer with the command.
//! What the API has to say is sealed on the way there; see `ops/docs/adr/0024-an-answer-is-kept-with-its-command.md`.

use std::cell::Cell;

use actix_web::{
    HttpMessage, HttpResponse, ResponseError,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Bytes,
};
use coffer_domain::{
    ids::{CommandId, TenantId},
    instance::shown,
    sealed::Sealed,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Shim, body,
    caller::{Authenticated, Caller},
    commands::{SETTLE_LIMIT, guest_failed, instance_id},
    configurations,
    control::{Kept, Made},
    error::{Error, Result},
    instances::view::Render,
    quoting::unquote,
};

pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Says of an answer that it is one that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Characters of a key at most.
const MAX_LENGTH: usize = 255;
/// Namespace of the ids that follow from keys, and of those that tell requests apart.
const KEYS: Uuid = Uuid::from_u128(0x0e5f_3a0a_7f0b_5c0e_9a54_8d0c_0ff3_0024);

/// A request that came with a key.
#[derive(Debug)]
pub(crate) struct Keyed {
    /// Of the command that does what is asked, the last one where there are several.
    pub command: CommandId,
    /// Tells this request from another one with the same key.
    request: Uuid,
    /// Its command was accepted before.
    is_repeated: Cell<bool>,
}

/// How a request is answered once its command is accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    status: u16,
    /// JSON. Absent when there is none, and when it shows what the command has made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// A failure in the guest is answered instead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    awaits_guest: bool,
}

/// An answer with the request that it is for.
#[derive(Serialize, Deserialize)]
struct Remembered {
    request: Uuid,
    #[serde(flatten)]
    answer: Answer,
}

impl Answer {
    /// This status, and nothing more to say than what the command has made.
    pub fn empty(status: StatusCode) -> Self {
        Self { status: status.as_u16(), body: None, awaits_guest: false }
    }

    pub fn ok(body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_string(body).map_err(|error| Error::internal(error.to_string()))?;
        Ok(Self { body: Some(body), ..Self::empty(StatusCode::OK) })
    }

    pub fn awaiting_guest(self) -> Self {
        Self { awaits_guest: true, ..self }
    }

    pub fn respond(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        response.content_type("application/json");
        match self.body {
            Some(body) => response.body(body),
            None if status == StatusCode::NO_CONTENT => response.finish(),
            None => response.body(Vec::new()),
        }
    }
}

impl Keyed {
    pub fn repeated(&self) {
        self.is_repeated.set(true);
    }

    /// The answer as it is kept. It may hold a password that nobody can read again.
    pub fn seal(&self, shim: &Shim, answer: &Answer) -> Result<Sealed> {
        let remembered = Remembered { request: self.request, answer: answer.clone() };
        let text = serde_json::to_string(&remembered).map_err(|error| Error::internal(error.to_string()))?;
        Ok(shim.control.seal(&self.command.to_string(), &text))
    }
}

/// Serves a request of an authenticated caller, unless it was answered before.
pub(crate) async fn serve<B: MessageBody + 'static>(
    shim: &Shim,
    mut caller: Authenticated,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, actix_web::Error> {
    let keyed = match key_of(&request) {
        Ok(None) => {
            request.extensions_mut().insert(Caller::from(caller));
            return Ok(next.call(request).await?.map_into_boxed_body());
        }
        Ok(Some(key)) => read(shim, &caller, &mut request, &key).await,
        Err(error) => Err(error),
    };
    let tenant = tenant_of(shim, &caller, &request);
    let (keyed, tenant) = match (keyed, tenant) {
        (Ok(keyed), Ok(tenant)) => (keyed, tenant),
        (Err(error), _) | (_, Err(error)) => {
            request.extensions_mut().insert(Caller::from(caller));
            return Ok(request.error_response(error));
        }
    };
    caller.keyed = Some(keyed);
    let caller = Caller::from(caller);
    request.extensions_mut().insert(caller.clone());
    if let Some(answer) = again(shim, &caller, tenant.as_ref()).await {
        return Ok(request.into_response(answer));
    }
    let response = next.call(request).await?.map_into_boxed_body();
    if caller.keyed.as_ref().is_none_or(|keyed| !keyed.is_repeated.get()) {
        return Ok(response);
    }
    // Another one with this key was faster: what it was answered is the answer, and nothing that was made up here.
    let answer = again(shim, &caller, tenant.as_ref()).await;
    let unread = || Error::unavailable("The first answer to this request cannot be read yet; send it again.");
    Ok(response.into_response(answer.unwrap_or_else(|| unread().error_response())))
}

/// The key of a request that changes something.
fn key_of(request: &ServiceRequest) -> Result<Option<String>> {
    if !matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH | Method::DELETE) {
        return Ok(None);
    }
    let mut values = request.headers().get_all(HEADER);
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=MAX_LENGTH).contains(&key.len()) && values.next().is_none());
    let rule = || format!("Idempotency-Key: one key of 1 to {MAX_LENGTH} ASCII characters is wanted.");
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Error::bad_request(rule()))
}

/// Reads the body, and leaves it for the handler.
async fn read(shim: &Shim, caller: &Authenticated, request: &mut ServiceRequest, key: &str) -> Result<Keyed> {
    let bytes = body::collect(request.take_payload(), &shim.config).await?;
    let route = request.match_pattern().unwrap_or_default();
    let (tenant, user) = (&caller.links.tenant.0, &caller.principal.user_id);
    let scope = serde_json::json!([tenant, user, request.method().as_str(), route, key]).to_string();
    let mut asked = request.uri().to_string().into_bytes();
    // No path holds a line's end.
    asked.push(b'\n');
    asked.extend_from_slice(&bytes);
    request.set_payload(Payload::from(Bytes::from(bytes)));
    Ok(Keyed {
        command: CommandId(Uuid::new_v5(&KEYS, scope.as_bytes())),
        request: Uuid::new_v5(&KEYS, &asked),
        is_repeated: Cell::new(false),
    })
}

/// Whose partition decides what is asked: an operator may ask for another tenant's thing. Nothing, where there is no such
/// thing (any more).
fn tenant_of(shim: &Shim, caller: &Authenticated, request: &ServiceRequest) -> Result<Option<TenantId>> {
    let mut segments = request.match_info().unprocessed().split('/').skip(1);
    match (segments.next(), segments.next(), segments.next()) {
        (Some("mgmt"), Some("quotas"), Some(tenant)) => Ok(Some(TenantId(unquote(tenant)))),
        (Some("mgmt"), Some("instances"), Some(id)) => {
            let Ok(id) = instance_id(id) else { return Ok(None) };
            Ok(shim.control.owner(id)?)
        }
        _ => Ok(Some(caller.links.tenant.clone())),
    }
}

/// The answer that the request's key stands for, if there is one.
async fn again(shim: &Shim, caller: &Caller, tenant: Option<&TenantId>) -> Option<HttpResponse> {
    let keyed = caller.keyed.as_ref()?;
    let tenant = tenant?;
    let kept = match shim.control.kept(tenant, keyed.command) {
        Ok(kept) => kept?,
        Err(error) => return Some(Error::from(error).error_response()),
    };
    let result = answer_of(shim, caller, tenant, keyed, kept).await;
    shim.metrics.repeated(result.is_ok());
    let mut response = result.unwrap_or_else(|error| error.error_response());
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Some(response)
}

async fn answer_of(shim: &Shim, caller: &Caller, tenant: &TenantId, keyed: &Keyed, kept: Kept) -> Result<HttpResponse> {
    let Kept { answer, instance, made, failure } = kept;
    let remembered: Remembered =
        serde_json::from_str(&answer).map_err(|_| Error::internal("What was answered cannot be read."))?;
    if remembered.request != keyed.request {
        return Err(Error::wrong_state(
            "This Idempotency-Key was sent with another request before: a new request needs a new key.",
        ));
    }
    let answer = remembered.answer;
    if answer.awaits_guest {
        let settled = match failure {
            Some(failure) => Some(Err(failure)),
            None => shim.control.settled(tenant, instance, keyed.command, SETTLE_LIMIT).await,
        };
        if let Some(Err(message)) = settled {
            return Err(guest_failed(&message));
        }
    }
    match made {
        None => Ok(answer.respond()),
        Some(Made::Instance(view)) => {
            let body = Render::new(shim, caller).one(view.id, &shown::row(&view))?;
            Ok(Answer { body: Some(body), ..answer }.respond())
        }
        Some(Made::Group(group)) => Ok(configurations::answer(&group)),
    }
}
