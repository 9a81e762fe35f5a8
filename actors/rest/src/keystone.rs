//! The few calls of Keystone v3 that OpenStack clients make before they talk to Trove: version discovery, and a token
//! for a password or for another token. Who may have one is the identity port's business.
//!
//! Domains are ignored: there is one, `default`.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use coffer_ports::{
    ErrorKind,
    identity::{Credentials, IssuedToken, NameOrId},
};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    Shim,
    auth::identity_away,
    bodies::Login,
    body::Body,
    error::{Error, Result},
    links::Base,
    random,
    schema::Node,
    times,
};

const SUBJECT_TOKEN: &str = "X-Subject-Token";

/// The version of Keystone's API whose shapes these are (2020, Ussuri).
const VERSION: &str = "v3.14";

#[derive(Serialize)]
struct VersionBody {
    version: Version,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Version {
    id: &'static str,
    status: &'static str,
    updated: &'static str,
    links: [VersionLink; 1],
    media_types: [MediaType; 1],
}

#[derive(Serialize)]
struct VersionLink {
    rel: &'static str,
    href: String,
}

#[derive(Serialize)]
struct MediaType {
    base: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct TokenBody<'a> {
    token: Token<'a>,
}

#[derive(Serialize)]
struct Token<'a> {
    methods: [&'static str; 1],
    user: Scoped<'a>,
    project: Scoped<'a>,
    roles: Vec<Named<'a>>,
    issued_at: String,
    expires_at: String,
    audit_ids: [String; 1],
    is_domain: bool,
    catalog: [Service; 1],
}

#[derive(Serialize)]
struct Scoped<'a> {
    id: &'a str,
    name: &'a str,
    domain: Named<'static>,
}

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct Service {
    id: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    endpoints: [Endpoint; 3],
}

#[derive(Serialize)]
struct Endpoint {
    id: String,
    interface: &'static str,
    region: String,
    region_id: String,
    url: String,
}

const DOMAIN: Named<'static> = Named { id: "default", name: "Default" };

pub(crate) async fn version(request: HttpRequest) -> HttpResponse {
    let version = Version {
        id: VERSION,
        status: "stable",
        updated: "2020-04-07T00:00:00Z",
        links: [VersionLink { rel: "self", href: Base::of(&request).join("/v3/") }],
        media_types: [MediaType { base: "application/json", kind: "application/vnd.openstack.identity-v3+json" }],
    };
    HttpResponse::Ok().json(VersionBody { version })
}

pub(crate) async fn issue_token(shim: Data<Shim>, request: HttpRequest, body: Body<Login>) -> Result<HttpResponse> {
    let auth = Node::root(body.required()?, "auth")?;
    let (method, credentials) = credentials(&auth)?;
    let project = scope(&auth)?;
    let authenticating = shim.identity.authenticate(&credentials, project.as_ref());
    let issued = match timeout(shim.config.request_timeout(), authenticating).await {
        Ok(Ok(issued)) => issued,
        Ok(Err(error)) if error.kind.is_retryable() => return Err(identity_away()),
        Ok(Err(error)) if matches!(error.kind, ErrorKind::Internal) => {
            return Err(Error::internal(error.to_string()));
        }
        Ok(Err(_)) => return Err(Error::bad_credentials()),
        Err(_) => return Err(identity_away()),
    };
    let token = token(&shim, &Base::of(&request), method, &issued)?;
    let mut response = HttpResponse::Created();
    response.insert_header((SUBJECT_TOKEN, issued.token.as_str()));
    Ok(response.json(TokenBody { token }))
}

/// The first method that we know.
fn credentials(auth: &Node<'_>) -> Result<(&'static str, Credentials)> {
    let identity = auth.required("identity")?;
    for node in identity.required("methods")?.items()? {
        match node.text()? {
            "password" => {
                let user = identity.required("password")?.required("user")?;
                let password = user.required("password")?.text()?.to_owned();
                let user = name_or_id(&user)?.ok_or_else(|| user.fails("'id' or 'name' is a required property"))?;
                return Ok(("password", Credentials::Password { user, password }));
            }
            "token" => {
                let token = identity.required("token")?.required("id")?.text()?.to_owned();
                return Ok(("token", Credentials::Token(token)));
            }
            _ => {}
        }
    }
    Err(Error::keystone(StatusCode::UNAUTHORIZED, "Attempted to authenticate with an unsupported method."))
}

/// The project that the token is for; the user's own when there is no scope or an unscoped token is asked for.
fn scope(auth: &Node<'_>) -> Result<Option<NameOrId>> {
    let Some(scope) = auth.non_null("scope")? else { return Ok(None) };
    if scope.value() == "unscoped" {
        return Ok(None);
    }
    let Some(project) = scope.optional("project")? else {
        return Err(Error::keystone(StatusCode::UNAUTHORIZED, "Only a project can be the scope of a token."));
    };
    let project = name_or_id(&project)?.ok_or_else(|| project.fails("'id' or 'name' is a required property"))?;
    Ok(Some(project))
}

fn name_or_id(node: &Node<'_>) -> Result<Option<NameOrId>> {
    if let Some(id) = node.non_null("id")? {
        return Ok(Some(NameOrId::Id(id.text()?.to_owned())));
    }
    let name = node.non_null("name")?.map(|name| name.text()).transpose()?;
    Ok(name.map(|name| NameOrId::Name(name.to_owned())))
}

fn token<'a>(shim: &Shim, base: &Base, method: &'static str, issued: &'a IssuedToken) -> Result<Token<'a>> {
    let principal = &issued.principal;
    let url = base.join(&format!("/v1.0/{}", principal.project_id));
    let region = &shim.config.region;
    let endpoint = |interface| Endpoint {
        id: format!("database-{interface}"),
        interface,
        region: region.clone(),
        region_id: region.clone(),
        url: url.clone(),
    };
    Ok(Token {
        methods: [method],
        user: Scoped { id: &principal.user_id, name: &principal.user_name, domain: DOMAIN },
        project: Scoped { id: &principal.project_id, name: &principal.project_name, domain: DOMAIN },
        roles: principal.roles.iter().map(|role| Named { id: role, name: role }).collect(),
        issued_at: times::keystone(issued.issued_at_ms),
        expires_at: times::keystone(issued.expires_at_ms),
        audit_ids: [random::uuid()?.simple().to_string()],
        is_domain: false,
        catalog: [Service {
            id: "database",
            kind: "database",
            name: "trove",
            endpoints: [endpoint("public"), endpoint("internal"), endpoint("admin")],
        }],
    })
}
