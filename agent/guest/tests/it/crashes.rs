//! The agent is killed while it prepares: the repeated command ends well, with one engine and nothing left over.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use coffer_guest::{host::random, supervisor::Pace};
use coffer_protocol::command::AgentCommand;
use tokio::time::{Instant, sleep};

use crate::{
    control::{Control, DEADLINE},
    guest::{Guest, brisk, prepare, user},
    unprivileged,
};

const BOOT_VARIABLE: &str = "COFFER_TEST_BOOT";
const DATA_VARIABLE: &str = "COFFER_TEST_DATA";
const READY: &str = "the agent has its command";
/// Each takes about a second and a half.
const KILLS: u32 = 8;

fn command() -> AgentCommand {
    AgentCommand::Prepare(prepare(&["shop"], vec![user("app", "pw", &["shop"])]))
}

/// Not a test by itself: the agent's process of the test below, which is given its command and then killed.
#[test]
#[ignore = "is started by prepare_survives_a_kill_at_any_moment"]
fn an_agent_that_prepares() {
    let (Ok(boot), Ok(data)) = (std::env::var(BOOT_VARIABLE), std::env::var(DATA_VARIABLE)) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut guest = Guest::new();
        guest.boot = serde_json::from_str(&boot).unwrap();
        guest.data = data.into();
        let mut control = Control::new(guest.broker.clone(), &guest.boot).await;
        let _agent = guest.start_agent(Pace::default()).await;
        control.open_session("s").await;
        control.order("c1", command()).await;
        println!("{READY}");
        control.outcome("c1").await.unwrap();
        std::future::pending::<()>().await;
    });
}

fn start_agent_process(guest: &Guest) -> Child {
    let test = unprivileged::test_name(&an_agent_that_prepares);
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--nocapture", "--include-ignored"])
        .env(BOOT_VARIABLE, serde_json::to_string(&guest.boot).unwrap())
        .env(DATA_VARIABLE, &guest.data)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    while !lines.next().expect("the agent's process ended").unwrap().contains(READY) {}
    process
}

#[test]
fn prepare_survives_a_kill_at_any_moment() {
    unprivileged::run(|| async {
        for _ in 0..KILLS {
            let guest = Guest::new();
            let mut killed = start_agent_process(&guest);
            let [low, high] = random::bytes().unwrap();
            let delay = Duration::from_millis(u64::from(u16::from_le_bytes([low, high])) % 1500);
            sleep(delay).await;
            killed.kill().unwrap();
            assert_eq!(killed.wait().unwrap().code(), None, "killed, not ended by itself");
            println!("killed after {} ms", delay.as_millis());

            let mut control = Control::new(guest.broker.clone(), &guest.boot).await;
            let _agent = guest.start_agent(brisk()).await;
            control.open_session("s2").await;
            assert_eq!(control.execute("c1", command()).await, Ok(()));
            guest.engine();
            assert_eq!(guest.query("app", "pw", "shop", &["SELECT 1"]).await, ["1"]);
            nothing_else_runs(&guest).await;
            assert!(!guest.data.join("mysql/data.new").exists());
        }
    });
}

/// A leftover of the killed agent may take a moment to go.
async fn nothing_else_runs(guest: &Guest) {
    let deadline = Instant::now() + DEADLINE;
    while guest.processes() != guest.engines() {
        assert!(Instant::now() < deadline, "more than the engine works on the volume: {:?}", guest.processes());
        sleep(Duration::from_millis(20)).await;
    }
}
