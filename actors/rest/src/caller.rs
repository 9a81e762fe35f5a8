//! Who calls: the principal behind the request's token, as handlers take it.

use std::{
    future::{Ready, ready},
    ops::Deref,
    rc::Rc,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::StatusCode};
use coffer_domain::ids::TenantId;
use coffer_ports::identity::Principal;

use crate::{
    error::{Error, Result},
    idempotency::Keyed,
    links::Links,
};

/// An authenticated caller in its own tenant. [`crate::auth`] leaves it in the request. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Rc<Authenticated>);

#[derive(Debug)]
pub(crate) struct Authenticated {
    pub principal: Principal,
    /// As the policy's rule `context_is_admin` has it.
    pub is_admin: bool,
    pub request_id: String,
    pub links: Links,
    /// What the request's `Idempotency-Key` stands for.
    pub keyed: Option<Keyed>,
}

impl Deref for Caller {
    type Target = Authenticated;

    fn deref(&self) -> &Authenticated {
        &self.0
    }
}

impl From<Authenticated> for Caller {
    fn from(authenticated: Authenticated) -> Self {
        Self(Rc::new(authenticated))
    }
}

impl Caller {
    pub fn tenant(&self) -> &TenantId {
        &self.links.tenant
    }

    /// For what is below `/mgmt`. Errors: 401, which is what Trove has for it.
    pub fn require_admin(&self) -> Result<()> {
        if self.is_admin {
            return Ok(());
        }
        Err(Error::new(StatusCode::UNAUTHORIZED, "User does not have admin privileges."))
    }
}

impl FromRequest for Caller {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        ready(caller.ok_or_else(|| Error::internal("This route is served without authentication.")))
    }
}
