//! `coffer-openstack` on a real Keystone: the one of `ops/testbed/keystone` in the directory that the variable
//! `COFFER_KEYSTONE_BED` names. `ops/test keystone` starts it.

use std::{env, fs, path::PathBuf};

use coffer_openstack::keystone::{Config, Keystone};
use coffer_ports::identity::{Identity, IssuedToken};
use coffer_testing::identity::{KnownUser, conforms};
use serde_json::{Value, json};
use tokio::runtime::Handle;

struct Bed(PathBuf);

impl Bed {
    fn here() -> Self {
        let directory = env::var_os("COFFER_KEYSTONE_BED");
        Self(directory.expect("COFFER_KEYSTONE_BED names a directory: run `ops/test keystone`").into())
    }

    fn read(&self, file: &str) -> Value {
        let text = fs::read_to_string(self.0.join(file)).expect("a test bed that is up");
        serde_json::from_str(&text).expect("JSON")
    }

    /// As Coffer is configured, with `more`.
    fn open(&self, more: Value) -> Keystone {
        let mut config = json!({ "auth_url": self.read("endpoints.json")["auth_url"] });
        config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let config: Config = serde_json::from_value(config).expect("a configuration");
        Keystone::open(config, Handle::current()).expect("a connector")
    }

    fn by_password(&self) -> Keystone {
        self.open(json!({ "username": "coffer", "password_file": self.0.join("coffer.password") }))
    }

    fn by_application_credential(&self) -> Keystone {
        let id = &self.read("people.json")["coffer"]["application_credential_id"];
        let file = self.0.join("coffer.secret");
        self.open(json!({ "application_credential_id": id, "application_credential_secret_file": file }))
    }

    fn alice(&self) -> KnownUser {
        let password = self.read("people.json")["alice"]["password"].as_str().expect("a password").to_owned();
        let [name, project_name, foreign_project_name] = ["alice", "shop", "bank"].map(str::to_owned);
        KnownUser { name, password, project_name, foreign_project_name }
    }
}

#[tokio::test]
#[ignore = "needs a real Keystone: ops/test keystone"]
async fn keystone_conforms_to_its_port_with_a_password() {
    let bed = Bed::here();
    conforms(&bed.by_password(), &bed.alice()).await;
}

#[tokio::test]
#[ignore = "needs a real Keystone: ops/test keystone"]
async fn keystone_conforms_to_its_port_with_an_application_credential() {
    let bed = Bed::here();
    conforms(&bed.by_application_credential(), &bed.alice()).await;
}

#[tokio::test]
#[ignore = "needs a real Keystone: ops/test keystone"]
async fn a_probe_tells_whether_coffer_may_ask() {
    let bed = Bed::here();
    let (user, may_ask) = bed.by_password().probe().await.expect("a login");
    assert_eq!((&*user.user_name, &*user.project_name, may_ask), ("coffer", "service", true));
    let password_file = bed.0.join("alice.password");
    write_secret(&password_file, &bed.alice().password);
    let alice = json!({ "username": "alice", "project": "shop", "password_file": password_file });
    let (_, may_ask) = bed.open(alice.clone()).probe().await.expect("a login");
    assert!(!may_ask);
    // Keystone is of the same opinion.
    let bob = bed.read("people.json")["bob"]["password"].as_str().expect("a password").to_owned();
    let token = token_of(&bed, "bob", bob).await;
    let error = bed.open(alice).validate(&token).await.err().expect("it may not ask");
    assert_eq!(&*error.code, "keystone.role", "{error}");
    bed.by_password().validate(&token).await.expect("Coffer may");
}

async fn token_of(bed: &Bed, user: &str, password: String) -> String {
    use coffer_ports::identity::{Credentials, NameOrId};
    let credentials = Credentials::Password { user: NameOrId::Name(user.into()), password };
    let IssuedToken { token, .. } = bed.by_password().authenticate(&credentials, None).await.expect("a token");
    token
}

fn write_secret(file: &PathBuf, secret: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(file, secret).expect("written");
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("closed to others");
}
