//! The body of a request as JSON: bounded in size and time, and of the shape that its route names.

use std::{future::Future, marker::PhantomData, pin::Pin};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::StatusCode,
    web::{self, BytesMut},
};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    Shim,
    config::Config,
    error::{Error, Result},
    schema::Node,
    shape::Shape,
};

/// What the body of a route must be. It is checked before the handler has it, and is what the OpenAPI document tells.
pub(crate) trait Schema: 'static {
    const SHAPE: &'static Shape;
    /// Whether there may be no body.
    const IS_OPTIONAL: bool = false;
}

/// Any JSON or none, for routes that check it themselves.
pub(crate) struct AnyBody;

impl Schema for AnyBody {
    const SHAPE: &'static Shape = &Shape::Any;
    const IS_OPTIONAL: bool = true;
}

/// The parsed body; `None` when there is none.
pub(crate) struct Body<S = AnyBody>(pub Option<Value>, PhantomData<S>);

/// How many times the limit is read and thrown away before a longer body is answered: a client that is still sending
/// when the connection closes would never see the answer.
const DISCARDED_LIMITS: usize = 16;

impl<S: Schema> Body<S> {
    fn checked(value: Option<Value>) -> Result<Self> {
        let body = Self(value, PhantomData);
        if body.0.is_some() || !S::IS_OPTIONAL {
            S::SHAPE.check(&Node::body(body.required()?))?;
        }
        Ok(body)
    }

    /// The body of a request that must have one.
    pub fn required(&self) -> Result<&Value> {
        self.0.as_ref().ok_or_else(Error::no_body)
    }
}

impl<S: Schema> FromRequest for Body<S> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let shim = request.app_data::<web::Data<Shim>>().ok_or_else(|| Error::internal("No application data."))?;
            let bytes = collect(payload, &shim.config).await?;
            if bytes.is_empty() {
                return Self::checked(None);
            }
            check_content_type(&request)?;
            Self::checked(Some(serde_json::from_slice(&bytes).map_err(|_| Error::malformed(&request))?))
        })
    }
}

/// All of it, if it comes in time and is not too long.
pub(crate) async fn collect(payload: Payload, config: &Config) -> Result<BytesMut> {
    timeout(config.request_timeout(), read(payload, config.body_limit_bytes))
        .await
        .map_err(|_| Error::bad_request("The request's body did not arrive in time."))?
}

async fn read(mut payload: Payload, limit: usize) -> Result<BytesMut> {
    let mut bytes = BytesMut::new();
    let mut length = 0_usize;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Error::bad_request(format!("The request's body is cut off: {error}.")))?;
        length = length.saturating_add(chunk.len());
        if length <= limit {
            bytes.extend_from_slice(&chunk);
        } else if length > limit.saturating_mul(DISCARDED_LIMITS) {
            break;
        }
    }
    if length > limit {
        return Err(Error::over_limit(format!("The request's body is larger than {limit} bytes.")));
    }
    Ok(bytes)
}

/// JSON under its own name or none at all.
fn check_content_type(request: &HttpRequest) -> Result<()> {
    let content_type = request.content_type().to_ascii_lowercase();
    if content_type.is_empty() || content_type == "application/json" || content_type.ends_with("+json") {
        return Ok(());
    }
    Err(Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Content-Type: the body must be application/json."))
}
