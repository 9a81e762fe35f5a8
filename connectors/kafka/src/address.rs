//! Where the broker is, and noticing that it moved.

use std::{
    fs, io,
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

/// How to find the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bootstrap {
    /// Kafka's `bootstrap.servers`, for example `10.0.0.5:9092,10.0.0.6:9092`.
    Servers(String),
    /// A file that holds them. A broker of embedded mode has a new port and no memory at each start: whenever the
    /// file is replaced, a new, empty broker is assumed. As long as the file is missing, everybody waits.
    File(PathBuf),
}

/// An address as of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Grows with each replacement of the file: the same servers under another generation are another broker.
    pub generation: u64,
    pub servers: Arc<str>,
}

/// The current address; `None` until the file is there.
pub(crate) type AddressReceiver = watch::Receiver<Option<Address>>;

/// How often the file is looked at (one `stat`): it bounds how long a moved broker goes unnoticed.
const FILE_POLL_INTERVAL: Duration = Duration::from_millis(200);
/// A longer file is not a list of servers.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Follows `bootstrap` for as long as a receiver lives. Needs a tokio runtime.
pub(crate) fn follow(bootstrap: Bootstrap) -> AddressReceiver {
    match bootstrap {
        Bootstrap::Servers(servers) => {
            let address = Address { generation: 0, servers: servers.into() };
            let (sender, receiver) = watch::channel(Some(address));
            // The sender has to outlive the receivers: they take its end for a change.
            tokio::spawn(async move { sender.closed().await });
            receiver
        }
        Bootstrap::File(path) => {
            let (sender, receiver) = watch::channel(None);
            let mut follower = FileFollower { path, seen: None, generation: 0, sender };
            follower.look();
            tokio::spawn(follower.run());
            receiver
        }
    }
}

struct FileFollower {
    path: PathBuf,
    seen: Option<Stamp>,
    generation: u64,
    sender: watch::Sender<Option<Address>>,
}

/// Tells one incarnation of the file from the next.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified_s: i64,
    modified_ns: i64,
    len_bytes: u64,
}

impl FileFollower {
    async fn run(mut self) {
        let mut ticks = interval(FILE_POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.sender.closed() => return,
                _ = ticks.tick() => self.look(),
            }
        }
    }

    /// Publishes what the file says if it was replaced. An unreadable or empty file changes nothing.
    fn look(&mut self) {
        let Ok(Some((stamp, servers))) = read_if_new(&self.path, self.seen) else { return };
        self.seen = Some(stamp);
        if servers.is_empty() {
            return;
        }
        self.generation += 1;
        tracing::info!(file = %self.path.display(), servers, generation = self.generation, "broker address read");
        let address = Address { generation: self.generation, servers: servers.into() };
        self.sender.send_replace(Some(address));
    }
}

/// Blocks for microseconds only: a `stat`, and a read of one small file when it was replaced.
fn read_if_new(path: &Path, seen: Option<Stamp>) -> io::Result<Option<(Stamp, String)>> {
    if seen == Some(stamp(&fs::metadata(path)?)) {
        return Ok(None);
    }
    // Stamp and content are taken from one open file: it is replaced by a rename, never written in place.
    let file = fs::File::open(path)?;
    let stamp = stamp(&file.metadata()?);
    let mut servers = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut servers)?;
    Ok(Some((stamp, servers.trim().to_owned())))
}

fn stamp(metadata: &fs::Metadata) -> Stamp {
    Stamp {
        inode: metadata.ino(),
        modified_s: metadata.mtime(),
        modified_ns: metadata.mtime_nsec(),
        len_bytes: metadata.len(),
    }
}

/// Puts `servers` into the file at `path` in one step (a new file, renamed over the old one), readable by all: it
/// holds no secret, and guests of other users read it.
pub fn write_bootstrap_file(path: &Path, servers: &str) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&temporary)?;
    // Whatever the umask says.
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    io::Write::write_all(&mut file, servers.as_bytes())?;
    drop(file);
    fs::rename(&temporary, path)
}
