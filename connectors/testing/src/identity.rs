//! The suite of `coffer_ports::identity::Identity`.

use coffer_ports::{
    ErrorKind,
    identity::{Credentials, Identity, NameOrId},
};

/// A user that the service under test knows.
pub struct KnownUser {
    pub name: String,
    pub password: String,
    /// The project that the user has a role in.
    pub project_name: String,
    /// One that exists, without a role for the user.
    pub foreign_project_name: String,
}

/// The suite of `Identity`.
pub async fn conforms(identity: &dyn Identity, user: &KnownUser) {
    let credentials = by_name(&user.name, &user.password);
    let own_project = NameOrId::Name(user.project_name.clone());
    let issued = identity.authenticate(&credentials, Some(&own_project)).await.expect("a token");
    let principal = &issued.principal;
    assert_eq!(
        (&principal.user_name, &principal.project_name),
        (&user.name, &user.project_name),
        "the scope asked for"
    );
    assert!(issued.expires_at_ms > issued.issued_at_ms, "a token has a life");
    let validated = identity.validate(&issued.token).await.expect("a token that was just issued is valid");
    assert_eq!(validated.principal, *principal, "a token says whom it was issued to");

    let by_id = NameOrId::Id(principal.project_id.clone());
    identity.authenticate(&credentials, Some(&by_id)).await.expect("a project may be named by its id");
    let user_id = NameOrId::Id(principal.user_id.clone());
    let by_user_id = Credentials::Password { user: user_id, password: user.password.clone() };
    identity.authenticate(&by_user_id, None).await.expect("a user may be named by id, and has a project");
    let exchanged = identity.authenticate(&Credentials::Token(issued.token.clone()), Some(&by_id)).await;
    assert_eq!(exchanged.expect("a token buys a token").principal, *principal, "of the same user");

    let foreign = NameOrId::Name(user.foreign_project_name.clone());
    let nowhere = NameOrId::Name("no such project".to_owned());
    for (name, password, project) in [
        (&*user.name, "wrong", None),
        (&*user.name, "", None),
        ("no such user", &*user.password, None),
        (&*user.name, &*user.password, Some(&foreign)),
        (&*user.name, &*user.password, Some(&nowhere)),
    ] {
        let refused = identity.authenticate(&by_name(name, password), project).await.err();
        let refused = refused.unwrap_or_else(|| panic!("{name} gets in with {project:?}"));
        assert_eq!(refused.kind, ErrorKind::Denied, "one answer for all that is wrong: {refused}");
    }
    let altered = format!("{}x", issued.token);
    for token in ["", "no token", &*altered] {
        let refused = identity.validate(token).await.err().expect("a token that was never issued is refused");
        assert_eq!(refused.kind, ErrorKind::Denied, "one answer for all that is wrong: {refused}");
    }
}

fn by_name(user: &str, password: &str) -> Credentials {
    Credentials::Password { user: NameOrId::Name(user.to_owned()), password: password.to_owned() }
}
