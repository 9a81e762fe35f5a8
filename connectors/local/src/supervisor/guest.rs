//! One server as the supervisor sees it: is its agent there, and if not, when to start the next.

use std::{
    env, fs, io,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags},
    process::Pid,
};

use crate::{
    layout::{InstanceId, Layout},
    processes::SERVER_VARIABLE,
    spec::ServerSpec,
};

/// What guests find their engines by; otherwise their environment is empty.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The filter of every program's log: Coffer's, the supervisor's and the agents'.
pub(crate) const LOG_VARIABLE: &str = "COFFER_LOG";

/// An agent that ended is started again after this, doubling up to the second number.
const RESTART_DELAY: Duration = Duration::from_millis(200);
const RESTART_DELAY_MAX: Duration = Duration::from_secs(10);
/// An agent that ran for this long begins anew with the short delay.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);
/// The end of an adopted agent, who is nobody's child of ours, is seen by looking.
const ADOPTED_LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Guest {
    agent: Agent,
    /// Ends in a row of agents that did not live for long.
    failures: u32,
}

#[derive(Default)]
enum Agent {
    /// Not looked at yet.
    #[default]
    Unknown,
    /// Started by us.
    Child { pid: Pid, since: Instant },
    /// Started by a supervisor before us.
    Adopted { since: Instant },
    /// Ended; the next one is started then.
    Resting { until: Instant },
}

impl Guest {
    pub(super) fn is_agent(&self, ended: Pid) -> bool {
        matches!(self.agent, Agent::Child { pid, .. } if pid == ended)
    }

    /// The agent has ended.
    pub(super) fn ended(&mut self) {
        if let Agent::Child { since, .. } | Agent::Adopted { since } = self.agent
            && since.elapsed() >= HEALTHY_AFTER
        {
            self.failures = 0;
        }
        let until = Instant::now() + restart_delay(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.agent = Agent::Resting { until };
    }

    /// Starts the agent unless there is one; returns when to look again, if that must be soon.
    pub(super) fn keep_running(&mut self, layout: &Layout, instance: InstanceId, spec: &ServerSpec) -> Option<Instant> {
        let now = Instant::now();
        match self.agent {
            Agent::Child { .. } => None,
            Agent::Adopted { .. } if is_agent_alive(layout, instance) => Some(now + ADOPTED_LOOK_INTERVAL),
            Agent::Adopted { .. } => {
                tracing::warn!(%instance, "adopted agent ended");
                self.ended();
                self.resting_until()
            }
            Agent::Resting { until } if until > now => Some(until),
            Agent::Resting { .. } | Agent::Unknown => {
                if is_agent_alive(layout, instance) {
                    tracing::info!(%instance, "agent adopted");
                    self.agent = Agent::Adopted { since: now };
                    return Some(now + ADOPTED_LOOK_INTERVAL);
                }
                match start(layout, instance, spec) {
                    Ok(pid) => {
                        tracing::info!(%instance, pid = pid.as_raw_nonzero(), "agent started");
                        self.agent = Agent::Child { pid, since: now };
                    }
                    Err(error) => {
                        tracing::error!(%instance, %error, "agent cannot be started");
                        self.ended();
                    }
                }
                self.resting_until()
            }
        }
    }

    fn resting_until(&self) -> Option<Instant> {
        match self.agent {
            Agent::Resting { until } => Some(until),
            _ => None,
        }
    }
}

fn restart_delay(failures: u32) -> Duration {
    RESTART_DELAY.saturating_mul(1 << failures.min(16)).min(RESTART_DELAY_MAX)
}

/// Whether an agent holds its lock. The file is the guest's, who is not trusted: no link is followed, and nothing
/// that blocks is opened.
pub(crate) fn is_agent_alive(layout: &Layout, instance: InstanceId) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(lock) = rustix::fs::open(layout.agent_lock(instance), flags, Mode::empty()) else { return false };
    matches!(fs::File::from(lock).try_lock_shared(), Err(fs::TryLockError::WouldBlock))
}

fn start(layout: &Layout, instance: InstanceId, spec: &ServerSpec) -> io::Result<Pid> {
    let log = super::log_file::open(&layout.agent_log(instance))?;
    let mut command = Command::new(layout.agent_program());
    command
        .arg("run")
        .arg("--boot")
        .arg(layout.first_boot(instance))
        .arg("--data")
        .arg(layout.data(instance))
        .env_clear()
        .env("PATH", PATH)
        .env(SERVER_VARIABLE, instance.to_string())
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    if let Some(filter) = env::var_os(LOG_VARIABLE) {
        command.env(LOG_VARIABLE, filter);
    }
    if let Some(uid) = spec.uid {
        // Root's supplementary groups are dropped with this.
        command.uid(uid).gid(uid);
    }
    // The child is not waited for by its handle: the supervisor reaps all children in one place.
    Ok(Pid::from_child(&command.spawn()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_come_slower_up_to_a_bound() {
        assert_eq!([0, 1, 5, 6, 40].map(restart_delay), [200, 400, 6400, 10_000, 10_000].map(Duration::from_millis));
    }
}
