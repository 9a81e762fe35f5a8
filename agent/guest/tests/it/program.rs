//! The program itself: it starts or adopts its engine without anybody, follows its broker, ends on SIGTERM and leaves
//! its engine running.

use std::{
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use coffer_guest::{
    host::{files, proc},
    supervisor::Pace,
};
use coffer_kafka::{EmbeddedBroker, KafkaTransport};
use coffer_protocol::{boot::Bootstrap, command::AgentCommand, topics};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::{
    control::{Control, DEADLINE},
    guest::{Guest, kill_now, prepare, user},
    unprivileged,
};

fn boot_file(guest: &Guest, mode: u32) -> PathBuf {
    let path = guest.root().join(format!("boot-{mode:o}.json"));
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).unwrap();
    serde_json::to_writer(file, &guest.boot).unwrap();
    path
}

fn program(guest: &Guest, boot: &PathBuf) -> Command {
    let mut command = Command::new(unprivileged::agent_program());
    command.args(["run", "--log-format", "json", "--boot"]).arg(boot).arg("--data").arg(&guest.data);
    command.env("COFFER_SERVER", "server-1").stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn start(guest: &Guest, boot: &PathBuf) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(guest.root().join("agent.log")).unwrap();
    program(guest, boot).stderr(log).spawn().unwrap()
}

/// Until the agent has said this `times` in its log.
async fn logged(guest: &Guest, what: &str, times: usize) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let log = std::fs::read_to_string(guest.root().join("agent.log")).unwrap_or_default();
        if log.matches(what).count() >= times {
            return;
        }
        assert!(Instant::now() < deadline, "not logged: {what}\n{log}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn run_to_end(mut command: Command) -> Output {
    command.stderr(Stdio::piped()).output().unwrap()
}

#[test]
fn the_program_runs_and_adopts_its_engine_without_anybody() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let mut control = Control::new(guest.broker.clone(), &guest.boot).await;
        let agent = guest.start_agent(Pace::default()).await;
        control.open_session("s").await;
        control.execute("c1", AgentCommand::Prepare(prepare(&[], vec![]))).await.unwrap();
        let first = guest.engine();
        agent.abort();
        assert!(agent.await.unwrap_err().is_cancelled());

        let boot = boot_file(&guest, 0o400);
        let mut child = start(&guest, &boot);
        logged(&guest, "the running engine is adopted", 1).await;
        assert_eq!(guest.engine(), first);
        let second = run_to_end(program(&guest, &boot));
        assert!(!second.status.success());
        assert!(String::from_utf8_lossy(&second.stderr).contains("another agent runs on"));

        child.kill().unwrap();
        child.wait().unwrap();
        let mut child = start(&guest, &boot);
        logged(&guest, "the running engine is adopted", 2).await;
        assert_eq!(guest.engine(), first);

        kill_now(first);
        logged(&guest, "the engine ended without being asked to", 1).await;
        logged(&guest, "the engine is started", 1).await;
        let started = wait_for_engine(&guest).await;
        let environment = std::fs::read(format!("/proc/{started}/environ")).unwrap();
        let mark: &[u8] = b"COFFER_SERVER=server-1";
        assert!(environment.split(|byte| *byte == 0).any(|variable| variable == mark));

        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(guest.engine(), started, "the engine goes on");
        let log = std::fs::read_to_string(guest.root().join("agent.log")).unwrap();
        assert!(log.lines().all(|line| line.starts_with('{')), "{log}");
    });
}

async fn wait_for_engine(guest: &Guest) -> Pid {
    let deadline = Instant::now() + DEADLINE;
    while guest.engines().is_empty() {
        assert!(Instant::now() < deadline, "there is no engine");
        sleep(Duration::from_millis(20)).await;
    }
    guest.engine()
}

#[test]
fn first_boot_data_that_others_can_read_are_refused() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let boot = boot_file(&guest, 0o400);
        rustix::fs::chmod(&boot, rustix::fs::Mode::from_raw_mode(0o444)).unwrap();
        let output = run_to_end(program(&guest, &boot));
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("0400 is right"));
        assert!(!guest.data.join("agent").exists());
    });
}

const TOPICS: [&str; 2] = [topics::TELEMETRY, "coffer.agents.7"];

/// A broker in this process, whose address the agent finds in `file`.
fn broker(file: &Path) -> EmbeddedBroker {
    let broker = EmbeddedBroker::start(&TOPICS.map(|topic| (topic.to_owned(), 1))).unwrap();
    files::write_durably(file, broker.bootstrap_servers().as_bytes()).unwrap();
    broker
}

async fn control(guest: &Guest, broker: &EmbeddedBroker) -> Control {
    let bootstrap = coffer_kafka::Bootstrap::Servers(broker.bootstrap_servers().to_owned());
    let transport = KafkaTransport::connect(bootstrap, "control").unwrap();
    Control::new(Arc::new(transport), &guest.boot).await
}

#[test]
fn the_program_follows_its_broker_and_its_crashes_lose_nothing() {
    unprivileged::run(|| async {
        let mut guest = Guest::new();
        let servers = guest.root().join("bootstrap");
        guest.boot.bootstrap = Bootstrap::File(servers.display().to_string());
        let boot = boot_file(&guest, 0o400);
        let first_broker = broker(&servers);
        let mut first = control(&guest, &first_broker).await;
        let mut child = start(&guest, &boot);
        first.open_session("s1").await;
        let users = vec![user("app", "pw", &["shop"])];
        first.execute("c1", AgentCommand::Prepare(prepare(&["shop"], users))).await.unwrap();
        let create_table = "CREATE TABLE t (n INT) ENGINE=InnoDB";
        guest.query("app", "pw", "shop", &[create_table, "INSERT INTO t VALUES (41)", "SELECT 1"]).await;
        let engine = guest.engine();

        child.kill().unwrap();
        child.wait().unwrap();
        let mut child = start(&guest, &boot);
        first.open_session_with_engine("s2").await;
        assert_eq!(guest.engine(), engine);
        let repeated = AgentCommand::Prepare(prepare(&["shop"], vec![user("app", "another", &["shop"])]));
        assert_eq!(first.execute("c1", repeated).await, Ok(()), "answered from the record");
        assert_eq!(guest.query("app", "pw", "shop", &["SELECT n FROM t"]).await, ["41"]);

        let agent = Pid::from_child(&child);
        let threads = std::fs::read_dir(format!("/proc/{agent}/task")).unwrap().count();
        let resident_mib = proc::usage(agent).unwrap().resident_bytes as f64 / f64::from(1 << 20);
        println!("the agent: {resident_mib:.1} MiB resident, {threads} threads");

        drop(first_broker);
        let second_broker = broker(&servers);
        let mut second = control(&guest, &second_broker).await;
        // A control plane that was started anew has a new epoch, and its sequence begins again.
        second.epoch += 1;
        assert_eq!(second.open_session_with_engine("s3").await.metrics.engine_restarts_total, 0);
        assert_eq!(second.execute("c2", AgentCommand::Restart).await, Ok(()));
        kill_process(agent, Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success());
    });
}
