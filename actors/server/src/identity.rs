//! Who may call: users of our own, or those of an OpenStack cloud.

use std::sync::Arc;

use coffer_local::identity::{StaticIdentity, add_user};
use coffer_openstack::keystone::Keystone;
use coffer_ports::{identity::Identity, telemetry::Bounded};
use coffer_runtime::clock::Clock;
use tokio::runtime::Handle;

use crate::{
    CommandResult,
    config::{self, Config},
    state_dir::StateDir,
};

/// User and project that the first start of `coffer dev` makes.
const DEV_USER: &str = "demo";

/// Has clients told where they get their tokens: from Keystone, which they then ask themselves, or here.
pub fn announce(config: &mut Config) {
    config.rest.serve_identity = config.identity.keystone.is_none();
    if let (Some(keystone), None) = (&config.identity.keystone, &config.rest.auth_url) {
        config.rest.auth_url = Some(keystone.clients_auth_url().to_owned());
    }
}

/// Makes the first user of `coffer dev`, and refuses to serve nobody.
pub fn need_users(identity: &config::Identity, state: &StateDir, dev: bool) -> CommandResult {
    if identity.keystone.is_some() || state.users().exists() {
        return Ok(());
    }
    if !dev {
        let directory = state.path().display();
        return Err(format!("no users yet: coffer user add NAME --project PROJECT --state-dir {directory}").into());
    }
    let password = add_user(&state.users(), DEV_USER, DEV_USER, &["member".into()])?;
    println!("password for user {DEV_USER} (project {DEV_USER}): {}", password.expose());
    Ok(())
}

/// The identity service that was chosen. Questions to Keystone are asked on the runtime that this is called in.
pub fn open(
    identity: &config::Identity,
    state: &StateDir,
    token_key: [u8; 32],
    clock: Arc<dyn Clock>,
    bounded: &Bounded,
) -> coffer_ports::Result<Arc<dyn Identity>> {
    let Some(config) = &identity.keystone else {
        let users = StaticIdentity::open(&state.users(), token_key)?.with_clock(move || clock.now().0);
        users.watch(bounded);
        return Ok(Arc::new(users));
    };
    if config.is_in_the_clear() {
        tracing::warn!(auth_url = %config.auth_url, "Coffer's password and all tokens travel to Keystone in the clear");
    }
    let keystone = Keystone::open(config.clone(), Handle::current())?;
    keystone.watch(bounded);
    tracing::info!(auth_url = %config.auth_url, "tokens are Keystone's");
    Ok(Arc::new(keystone))
}
