//! A host with a provider, and how to look at it.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use coffer_local::{
    LocalConfig, LocalProvider,
    processes::{GuestProcess, processes_of},
};
use coffer_ports::cloud::{Compute, Network, Owner, ServerRequest, VolumeRequest, Volumes};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

pub const ROOT_VARIABLE: &str = "COFFER_LOCAL_TEST_ROOT";

/// Far more than anything here takes; only a failing test waits for it.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Behaves as the supervisor needs an agent to: holds the lock for its whole life, leaves an engine behind when it is
/// killed, adopts that engine when it comes back.
pub const AGENT: &str = r#"#!/bin/sh
data=$5
exec 9>>"$data/agent.lock"
flock -n 9 || exit 3
echo $$ >>"$data/agents"
cat "$3" >"$data/boot-seen" || exit 4
engine=$(cat "$data/engine" 2>/dev/null)
# A zombie is no engine: not every init reaps.
if ! grep -q '^State:.[^ZX]' "/proc/${engine:-none}/status" 2>/dev/null; then
    sleep 100000 9>&- &
    echo $! >"$data/engine"
fi
while :; do sleep 100001 9>&-; done
"#;

/// Ends at once, every time.
pub const CRASHING_AGENT: &str = "#!/bin/sh\necho $$ >>\"$5/agents\"\nexit 1\n";

/// A provider in a directory of its own. What it has started ends with it, also when the test fails.
pub struct Host {
    directory: tempfile::TempDir,
    pub provider: LocalProvider,
}

impl Host {
    pub fn new(agent: &str) -> Self {
        // Guests of root's Coffer have to get through.
        let directory = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir();
        let directory = directory.expect("a directory");
        let program = directory.path().join("agent");
        fs::write(&program, agent).expect("an agent program");
        let provider = open(directory.path());
        Self { directory, provider }
    }

    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// As after a restart of Coffer.
    pub fn reopen(&mut self) {
        self.provider = open(self.directory.path());
    }

    pub fn data(&self, owner: &Owner) -> PathBuf {
        self.root().join("volumes").join(&owner.instance).join("data")
    }

    pub fn server(&self, owner: &Owner) -> PathBuf {
        self.root().join("servers").join(&owner.instance)
    }

    /// Address, volume and server of an instance.
    pub async fn create(&self, owner: &Owner) -> ServerRequest {
        let request = self.request(owner).await;
        self.provider.ensure_server(&request).await.expect("a server");
        request
    }

    pub async fn request(&self, owner: &Owner) -> ServerRequest {
        let address = self.provider.ensure_address(owner).await.expect("an address");
        let volume = VolumeRequest { owner: owner.clone(), size_gib: 1, volume_type: None };
        let volume_id = self.provider.ensure_volume(&volume).await.expect("a volume");
        ServerRequest {
            owner: owner.clone(),
            flavor_id: "1".to_owned(),
            vcpus: 1,
            memory_mib: 512,
            address,
            volume_id,
            first_boot: b"first-boot data".to_vec(),
        }
    }

    pub fn processes(&self, owner: &Owner) -> Vec<GuestProcess> {
        let all = processes_of(&self.root()).expect("processes");
        all.into_iter().filter(|process| process.instance == owner.instance).collect()
    }

    /// Pids of all agents that ever ran, oldest first.
    pub fn agents(&self, owner: &Owner) -> Vec<i32> {
        let text = fs::read_to_string(self.data(owner).join("agents")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    pub fn engine(&self, owner: &Owner) -> Option<i32> {
        fs::read_to_string(self.data(owner).join("engine")).ok()?.trim().parse().ok()
    }

    /// Waits for this agent to be the only one alive. A child that the script has forked and that has not become
    /// another program yet looks like a second one for a moment.
    pub async fn only_agent(&self, owner: &Owner, agent: i32) {
        let script = self.root().join("bin/coffer-agent").to_string_lossy().into_owned();
        until("a single agent", || {
            let agents = self.processes(owner).into_iter().filter(|process| process.command.contains(&script));
            let pids: Vec<i32> = agents.map(|process| process.pid).collect();
            (pids == [agent]).then_some(())
        })
        .await;
    }

    /// Waits for the agent after `previous` others, with its engine, and returns its pid.
    pub async fn agent_after(&self, owner: &Owner, previous: usize) -> i32 {
        until("an agent with an engine", || {
            let engine = self.engine(owner)?;
            self.agents(owner).get(previous).copied().filter(|agent| is_alive(*agent) && is_alive(engine))
        })
        .await
    }

    pub fn supervisor_lock_is_free(&self) -> bool {
        let lock = fs::File::open(self.root().join("supervisor.lock")).expect("a lock file");
        lock.try_lock_shared().is_ok()
    }

    pub fn supervisor(&self) -> Option<i32> {
        let holder = fs::read(self.root().join("supervisor.lock")).ok()?;
        let holder: serde_json::Value = serde_json::from_slice(&holder).ok()?;
        i32::try_from(holder["pid"].as_i64()?).ok().filter(|pid| is_alive(*pid))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(supervisor) = self.supervisor() {
            kill(supervisor);
        }
        for process in processes_of(&self.root()).unwrap_or_default() {
            kill(process.pid);
        }
    }
}

fn open(directory: &Path) -> LocalProvider {
    let root = directory.join("root");
    let mut variable = OsString::from(format!("{ROOT_VARIABLE}="));
    variable.push(&root);
    let program = std::env::current_exe().expect("the test program");
    let entry = ["supervisor_entry", "--exact", "--ignored", "--nocapture"].map(OsString::from);
    let supervisor_command = ["/usr/bin/env".into(), variable, program.into()].into_iter().chain(entry).collect();
    let config = LocalConfig { root, agent_program: directory.join("agent"), supervisor_command };
    LocalProvider::open(config).expect("a provider")
}

pub fn owner() -> Owner {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("randomness");
    Owner { tenant: "tenant".to_owned(), instance: Uuid::from_bytes(bytes).to_string() }
}

/// Polls until `look` finds something.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

pub fn pid(number: i32) -> Pid {
    Pid::from_raw(number).expect("a pid")
}

pub fn kill(number: i32) {
    let _ = kill_process(pid(number), Signal::KILL);
}

/// A zombie is not alive.
pub fn is_alive(number: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    let state = status.rsplit_once(')').map(|(_, rest)| rest.trim_start().to_owned()).unwrap_or_default();
    test_kill_process(pid(number)).is_ok() && !state.starts_with(['Z', 'X'])
}

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o7777
}
