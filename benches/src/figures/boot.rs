//! From the order to ACTIVE and HEALTHY, beyond what the engine itself needs: the real `coffer dev` with its agent, taking
//! turns with `mariadb-install-db` and `mariadbd` by hand.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Failure,
    http::client,
    measure::{Scale, median},
    table::{Line, Target},
};

const ROUNDS: usize = 5;
/// Between two looks at what is being waited for.
const LOOK: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(60);
/// The server's command line is by and large what the agent writes into its option file for this flavor and size.
const ENGINE: [&str; 6] = [
    "--skip-networking",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--performance-schema=OFF",
    "--innodb-buffer-pool-size=128M",
    "--innodb-log-file-size=32M",
];
const ORDER: &str = r#"{"instance": {"name": "orders", "flavorRef": "1", "volume": {"size": 1}}}"#;

pub fn measure(scale: Scale) -> Result<Vec<Line>, Failure> {
    let coffer = Coffer::start()?;
    let (mut ours, mut by_hand, mut beyond) = (vec![], vec![], vec![]);
    for _ in 0..scale.of(ROUNDS, 1) {
        let (order, engine) = (coffer.create()?, by_hand_s()?);
        ours.push(order);
        by_hand.push(engine);
        beyond.push(order - engine);
    }
    Ok(vec![
        Line::new("create to ACTIVE and HEALTHY", "s", median(&ours)).against("the engine by hand", median(&by_hand)),
        Line::new("… beyond what the engine needs", "s", median(&beyond)).target(Target::AtMost(0.5)),
    ])
}

/// A running `coffer dev` with a token for it.
struct Coffer {
    directory: TempDir,
    process: Child,
    address: SocketAddr,
    token: String,
    tenant: String,
}

impl Coffer {
    fn start() -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        // Guests of root are users of their own and pass through it.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711))?;
        let state = directory.path().join("state");
        let mut process = Command::new(program()?)
            .args(["dev", "--listen", "127.0.0.1:0", "--state-dir"])
            .arg(&state)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(directory.path().join("log"))?)
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let mut coffer = Self {
            directory,
            process,
            address: ([127, 0, 0, 1], 0).into(),
            token: String::new(),
            tenant: String::new(),
        };
        let password = line.trim().rsplit(' ').next().unwrap_or_default();
        let endpoints = wait("coffer dev is ready", || {
            Ok(fs::read(state.join("endpoints.json")).ok().and_then(|file| serde_json::from_slice::<Value>(&file).ok()))
        })?;
        let api = endpoints["api"].as_str().ok_or("no api among the endpoints")?;
        coffer.address = api.trim_start_matches("http://").parse()?;
        coffer.log_in(password)?;
        Ok(coffer)
    }

    fn log_in(&mut self, password: &str) -> Result<(), Failure> {
        let user = json!({"name": "demo", "domain": {"id": "default"}, "password": password});
        let scope = json!({"project": {"name": "demo", "domain": {"id": "default"}}});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let body = json!({"auth": {"identity": identity, "scope": scope}}).to_string();
        let answer = client::ask(self.address, &client::request("POST", "/v3/auth/tokens", "", &body))?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("x-subject-token").then(|| value.trim().to_owned())
        };
        self.token = answer.head.lines().find_map(header).ok_or_else(|| format!("no token: {}", answer.body))?;
        let token: Value = serde_json::from_str(&answer.body)?;
        self.tenant = token["token"]["project"]["id"].as_str().unwrap_or_default().to_owned();
        Ok(())
    }

    /// Creates an instance and deletes it again; returns the seconds until it was ACTIVE and HEALTHY.
    fn create(&self) -> Result<f64, Failure> {
        let started = Instant::now();
        let (_, answer) = self.call("POST", "/instances", ORDER)?;
        let id = answer["instance"]["id"].as_str().ok_or_else(|| format!("not created: {answer}"))?.to_owned();
        let path = format!("/instances/{id}");
        wait("the instance is ACTIVE and HEALTHY", || {
            let (_, answer) = self.call("GET", &path, "")?;
            let instance = &answer["instance"];
            Ok((instance["status"] == "ACTIVE" && instance["operating_status"] == "HEALTHY").then_some(()))
        })?;
        let elapsed = started.elapsed().as_secs_f64();
        self.call("DELETE", &path, "")?;
        wait("the instance is gone", || Ok((self.call("GET", &path, "")?.0 == 404).then_some(())))?;
        Ok(elapsed)
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Result<(u16, Value), Failure> {
        let path = format!("/v1.0/{}{path}", self.tenant);
        let answer = client::ask(self.address, &client::request(method, &path, &self.token, body))?;
        Ok((answer.status, serde_json::from_str(&answer.body).unwrap_or_default()))
    }
}

impl Drop for Coffer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Ok(program) = program() {
            let state = self.directory.path().join("state");
            let _ = Command::new(program).arg("dev-clean").arg("--state-dir").arg(state).output();
        }
    }
}

/// `coffer`, beside this program.
fn program() -> Result<PathBuf, Failure> {
    Ok(std::env::current_exe()?.with_file_name("coffer"))
}

/// Seconds from nothing to the first statement that a server answers.
fn by_hand_s() -> Result<f64, Failure> {
    let directory = tempfile::tempdir()?;
    let (data, socket) = (directory.path().join("data"), directory.path().join("socket"));
    let started = Instant::now();
    let installed = Command::new("mariadb-install-db")
        .args(["--no-defaults", "--user=root", "--cross-bootstrap", "--skip-name-resolve", "--skip-test-db"])
        .args(["--auth-root-authentication-method=normal", "--innodb-log-file-size=32M"])
        .arg(option("datadir", &data))
        .output()?;
    if !installed.status.success() {
        return Err(String::from_utf8_lossy(&installed.stderr).into_owned().into());
    }
    let mut server = Command::new("/usr/sbin/mariadbd")
        .args(["--no-defaults", "--user=root"])
        .args(ENGINE)
        .args([option("datadir", &data), option("socket", &socket)])
        .stderr(Stdio::null())
        .spawn()?;
    let answered = wait("the engine answers", || {
        if !socket.exists() {
            return Ok(None);
        }
        let mut asked = Command::new("mariadb");
        asked.args(["--no-defaults", "--user=root", "--execute=SELECT 1"]);
        Ok(asked.arg(option("socket", &socket)).output()?.status.success().then(|| started.elapsed()))
    });
    let _ = server.kill();
    let _ = server.wait();
    Ok(answered?.as_secs_f64())
}

fn option(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

fn wait<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>, Failure>) -> Result<T, Failure> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(seen) = look()? {
            return Ok(seen);
        }
        std::thread::sleep(LOOK);
    }
    Err(format!("waited in vain until {what}").into())
}
