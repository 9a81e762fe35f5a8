//! A directory that a server works in: users, store, and what a bare server answers.

use std::path::{Path, PathBuf};

use coffer_domain::ids::TenantId;
use coffer_local::identity::{StaticIdentity, add_user};
use coffer_ports::identity::{Credentials, Identity, NameOrId};
use coffer_runtime::store::Store;
use tempfile::TempDir;

use crate::{Failure, http::client};

/// Seals the tokens of every bench.
pub const TOKEN_KEY: [u8; 32] = [9; 32];

pub struct Home(TempDir);

/// A tenant with a user's token.
#[derive(Clone)]
pub struct Tenant {
    pub id: TenantId,
    token: String,
}

impl Home {
    pub fn new() -> Result<Self, Failure> {
        let home = Self(tempfile::tempdir()?);
        std::fs::create_dir(answers(home.path()))?;
        Ok(home)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes a project with one user, and logs in.
    pub fn tenant(&self, name: &str) -> Result<Tenant, Failure> {
        let password = add_user(&users(self.path()), name, name, &["member".into()])?;
        let identity = StaticIdentity::open(&users(self.path()), TOKEN_KEY)?;
        let credentials =
            Credentials::Password { user: NameOrId::Name(name.into()), password: password.expose().to_owned() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let issued = runtime.block_on(identity.authenticate(&credentials, None))?;
        Ok(Tenant { id: TenantId(issued.principal.project_id), token: issued.token })
    }

    /// The store, while no server works in it.
    pub fn store(&self) -> Result<Store, Failure> {
        Ok(Store::open(&store(self.path()))?)
    }
}

impl Tenant {
    pub fn get(&self, path: &str) -> Vec<u8> {
        client::request("GET", &format!("/v1.0/{}{path}", self.id), &self.token, "")
    }

    pub fn post(&self, path: &str, body: &str) -> Vec<u8> {
        client::request("POST", &format!("/v1.0/{}{path}", self.id), &self.token, body)
    }
}

pub fn users(home: &Path) -> PathBuf {
    home.join("users.json")
}

pub fn store(home: &Path) -> PathBuf {
    home.join("store")
}

/// Files that a bare server answers with, each under its name.
pub fn answers(home: &Path) -> PathBuf {
    home.join("answers")
}

/// Rows that a bare server commits for each POST, as JSON.
pub fn rows(home: &Path) -> PathBuf {
    home.join("rows.json")
}

pub fn log(home: &Path) -> PathBuf {
    home.join("log")
}
