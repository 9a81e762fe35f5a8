//! How a command of the same host asks a running Coffer: the store has one owner at a time, and that is the service.
//!
//! A Unix socket in the state directory, `admin.sock`, open to the user that Coffer runs as and to root alone: the
//! directory keeps others from the file, and the peer's user id is looked at once more. One connection carries one
//! request and one answer, each a line of JSON. There is no token, and nothing of it is reachable from another host.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    os::{
        fd::AsRawFd,
        unix::{fs::PermissionsExt, net::UnixStream as BlockingStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as AsyncBufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};

const SOCKET: &str = "admin.sock";
/// Bytes of a request at most.
const REQUEST_LIMIT: u64 = 64 * 1024;
/// Requests answered side by side at most; the others wait.
const SIDE_BY_SIDE: usize = 8;
/// How long a client may take to say what it wants.
const ASK_LIMIT: Duration = Duration::from_secs(10);
/// How long a command waits for its answer: a check reads the whole store, the removal of a server waits for its end.
const ANSWER_LIMIT: Duration = Duration::from_secs(300);

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Who answers: [`Status`].
    Status,
    /// Whose each partition is, as a list of `PartitionStatus`.
    Partitions,
    /// All that is inconsistent, as a list of findings.
    Check,
    /// A copy of the store below the state directory; the answer is its path. Whoever asked removes it.
    Checkpoint,
    /// What an instance that does not exist has outside, in words; with `remove` it is gone then.
    RemoveOrphan { instance: String, remove: bool },
}

/// What a running service says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub pid: u32,
    pub version: String,
    pub is_ready: bool,
    /// Base of the API's addresses.
    pub api: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(Value),
    Refused(String),
}

/// Whoever answers; refusals are sentences for the person who asked.
#[async_trait]
pub trait Desk: Send + Sync + 'static {
    async fn answer(&self, request: Request) -> Result<Value, String>;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("{0}")]
    Refused(String),
    #[error("the running coffer does not answer on {0}: {1}")]
    Unanswered(PathBuf, #[source] io::Error),
}

/// Asks the Coffer that runs in this state directory, and waits.
pub fn ask<T: DeserializeOwned>(state_dir: &Path, request: &Request) -> Result<T, AskError> {
    let unanswered = |error| AskError::Unanswered(state_dir.join(SOCKET), error);
    let exchange = || -> io::Result<Answer> {
        let (_directory, path) = short_path(state_dir)?;
        let mut stream = BlockingStream::connect(path)?;
        stream.set_write_timeout(Some(ASK_LIMIT))?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    };
    match exchange().map_err(unanswered)? {
        Answer::Done(value) => serde_json::from_value(value).map_err(|error| unanswered(error.into())),
        Answer::Refused(reason) => Err(AskError::Refused(reason)),
    }
}

/// Answers requests until the task is ended. Only the holder of the state directory's lock may call this.
pub fn serve(state_dir: &Path, desk: Arc<dyn Desk>) -> io::Result<tokio::task::JoinHandle<()>> {
    let (_directory, path) = short_path(state_dir)?;
    // What an earlier process left: nobody else listens, since we have the lock.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(tokio::spawn(accept(listener, desk)))
}

async fn accept(listener: UnixListener, desk: Arc<dyn Desk>) {
    let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the local API could not take a connection");
                // Out of files, for example: it passes or it does not.
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let desk = desk.clone();
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = answer(stream, &*desk).await {
                tracing::debug!(%error, "a local request was not answered");
            }
        });
    }
}

async fn answer(mut stream: UnixStream, desk: &dyn Desk) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != 0 && peer != geteuid().as_raw() {
        tracing::warn!(uid = peer, "a request over the local API is refused: it is another user's");
        return Ok(());
    }
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    let mut reader = AsyncBufReader::new(reader.take(REQUEST_LIMIT));
    tokio::time::timeout(ASK_LIMIT, reader.read_line(&mut line)).await??;
    let answer = match serde_json::from_str::<Request>(&line) {
        Ok(request) => desk.answer(request).await.map_or_else(Answer::Refused, Answer::Done),
        Err(error) => Answer::Refused(format!("the running coffer does not know this request: {error}")),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    writer.write_all(&line).await?;
    writer.shutdown().await
}

/// The socket's path by way of an open directory: a socket's address holds 107 bytes, a state directory's path may be
/// longer. Good for as long as the directory is kept.
fn short_path(state_dir: &Path) -> io::Result<(fs::File, PathBuf)> {
    let directory = fs::File::open(state_dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(SOCKET);
    Ok((directory, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    #[async_trait]
    impl Desk for Echo {
        async fn answer(&self, request: Request) -> Result<Value, String> {
            match request {
                Request::RemoveOrphan { instance, .. } => Ok(Value::from(instance)),
                _ => Err("not today".into()),
            }
        }
    }

    #[test]
    fn a_request_is_answered_or_refused_also_below_a_long_path() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _entered = runtime.enter();
        // A second start finds the socket of the first.
        for _ in 0..2 {
            let task = serve(&deep, Arc::new(Echo)).unwrap();
            let echoed: String = ask(&deep, &Request::RemoveOrphan { instance: "x".into(), remove: false }).unwrap();
            assert_eq!(echoed, "x");
            let refused = ask::<Value>(&deep, &Request::Check).unwrap_err();
            assert!(matches!(refused, AskError::Refused(reason) if reason == "not today"));
            task.abort();
        }
        let mode = fs::metadata(deep.join(SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn nobody_there_is_said_so() {
        let directory = tempfile::tempdir().unwrap();
        let error = ask::<Value>(directory.path(), &Request::Status).unwrap_err();
        assert!(matches!(error, AskError::Unanswered(_, _)), "{error}");
    }
}
