//! A server as a process of its own, so that its memory and its threads are not the client's.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use clap::ValueEnum;

use crate::{Failure, http::home};

/// What a process of this program serves instead of running benches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Serve {
    /// The control plane.
    Plane,
    /// Answers from memory, and rows in bare RocksDB.
    Bare,
}

/// Ends, and is waited for, when it is dropped.
pub struct Server {
    process: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts a server in this home and waits until it takes requests.
    pub fn start(what: Serve, home: &Path) -> Result<Self, Failure> {
        let name = what.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--serve", &name, "--home"])
            .arg(home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(home::log(home))?)
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim().parse() {
            Ok(address) => Ok(Self { process, address }),
            Err(_) => {
                let _ = process.kill();
                let _ = process.wait();
                let log = fs::read_to_string(home::log(home)).unwrap_or_default();
                Err(format!("the server {name} did not start: {log}").into())
            }
        }
    }

    /// Seconds of CPU time that the process has used. Other load on the machine changes it less than it changes rates.
    pub fn cpu_s(&self) -> Result<f64, Failure> {
        /// Of `/proc/PID/stat`, which Linux fixes at this value for every architecture that we run on.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The fields after the program's name, which may hold blanks; user and system time are the 14th and 15th of all.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks = fields.skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(ticks as f64 / TICKS_PER_SECOND)
    }

    /// As `kill -9` does it.
    pub fn kill(mut self) {
        let _ = self.process.kill();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends when its standard input does.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Tells the parent where this process serves.
pub fn tell(address: SocketAddr) {
    println!("{address}");
}

/// Returns when the parent has ended or wants this process to.
pub async fn parent_ends() {
    let waiting = tokio::task::spawn_blocking(|| std::io::stdin().lines().for_each(drop));
    let _ = waiting.await;
}
