//! A load client: each connection sends its next request when it has the answer to the last one.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::{Failure, measure::Latencies};

/// Bytes that are read from a connection at a time.
const READ_AT_ONCE: usize = 16 << 10;

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// What a load came to.
pub struct Load {
    pub answered: usize,
    pub elapsed: Duration,
    pub latencies: Latencies,
}

impl Load {
    pub fn per_second(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }
}

/// How long a load lasts: until the time is over or the requests are used up.
#[derive(Debug, Clone)]
pub struct Extent {
    pub connections: usize,
    pub span: Duration,
    pub requests: std::ops::Range<usize>,
}

impl Extent {
    pub fn endless(connections: usize) -> Self {
        Self { connections, span: Duration::MAX, requests: 0..usize::MAX }
    }
}

/// Loads a server from one thread. `request` makes the numbered request. An answer of 400 or above ends it all.
pub fn load(
    address: SocketAddr,
    extent: Extent,
    request: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
) -> Result<Load, Failure> {
    let request = Arc::new(request);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async move {
        let mut open = Vec::new();
        for _ in 0..extent.connections {
            open.push(Connection::open(address).await?);
        }
        let next = Arc::new(AtomicUsize::new(extent.requests.start));
        let (started, mut loading) = (Instant::now(), JoinSet::new());
        for mut connection in open {
            let (next, request) = (next.clone(), request.clone());
            loading.spawn(async move {
                let mut latencies = Latencies::default();
                while started.elapsed() < extent.span {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= extent.requests.end {
                        break;
                    }
                    let request = request(number);
                    let sent = Instant::now();
                    let status = connection.exchange(&request).await?;
                    latencies.add(sent.elapsed());
                    if status >= 400 {
                        return Err(format!("{status}: {}", connection.body()).into());
                    }
                }
                Ok::<_, Failure>(latencies)
            });
        }
        let mut latencies = Latencies::default();
        while let Some(connection) = loading.join_next().await {
            latencies.extend(connection??);
        }
        Ok(Load { answered: latencies.len(), elapsed: started.elapsed(), latencies })
    })
}

/// One request on a connection of its own.
pub fn ask(address: SocketAddr, request: &[u8]) -> Result<Answer, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut connection = Connection::open(address).await?;
        let status = connection.exchange(request).await?;
        Ok(Answer { status, head: connection.head(), body: connection.body() })
    })
}

/// A request's bytes.
pub fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    let content = match body {
        "" => String::new(),
        body => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
    };
    format!("{method} {path} HTTP/1.1\r\nHost: coffer.example\r\nX-Auth-Token: {token}\r\n{content}\r\n{body}")
        .into_bytes()
}

/// A connection that is kept open, with the last answer in its buffer.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Length of the answer's head.
    head: usize,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(READ_AT_ONCE), head: 0 })
    }

    /// Sends a request and reads its whole answer; returns the status.
    async fn exchange(&mut self, request: &[u8]) -> Result<u16, Failure> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server has closed the connection".into());
            }
            let Some(head) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|end| end + 4) else {
                continue;
            };
            self.head = head;
            let length = content_length(&self.buffer[..head]).unwrap_or(0);
            while self.buffer.len() < head + length {
                if self.stream.read_buf(&mut self.buffer).await? == 0 {
                    return Err("the server has cut an answer off".into());
                }
            }
            let status = self.buffer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
            return status.ok_or_else(|| "an answer without a status".into());
        }
    }

    fn head(&self) -> String {
        String::from_utf8_lossy(&self.buffer[..self.head]).into_owned()
    }

    fn body(&self) -> String {
        String::from_utf8_lossy(&self.buffer[self.head..]).into_owned()
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let line = head
        .split(|byte| *byte == b'\n')
        .find(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)))?;
    std::str::from_utf8(&line[NAME.len()..]).ok()?.trim().parse().ok()
}
