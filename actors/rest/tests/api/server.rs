//! A server on a free port, and the simplest of HTTP clients: one request, one connection, every byte seen.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use coffer_rest::config::Config;
use serde_json::Value;

use super::{
    control::Memory,
    document,
    people::{DEMO, People},
};

pub struct Api {
    pub address: SocketAddr,
    pub memory: Arc<Memory>,
    handle: actix_web::dev::ServerHandle,
    thread: Option<JoinHandle<()>>,
}

pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Api {
    pub fn start() -> Self {
        Self::start_with(Config::default())
    }

    pub fn start_with(config: Config) -> Self {
        Self::start_as_is(Config { serve_identity: true, ..config })
    }

    /// Without our own `/v3`, unless `config` has it.
    pub fn start_as_is(config: Config) -> Self {
        let config = Config { workers: 1, ..config };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let memory = Memory::new();
        let control = memory.clone();
        let (sender, receiver) = mpsc::sync_channel(1);
        let thread = thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let registry = prometheus::Registry::new();
                let server = coffer_rest::serve(config, listener, control, Arc::new(People), registry, None).unwrap();
                sender.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        let handle = receiver.recv().unwrap();
        Self { address, memory, handle, thread: Some(thread) }
    }

    /// A request in full control of its head and body. Its answer is held against the API's document.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let answer = self.exchange(method, path, headers, body);
        document::hold(document::served(), method, path, &answer);
        answer
    }

    /// As [`Self::send`], whatever the document says.
    pub fn exchange(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("no complete head came back");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("no status line came back");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// As clients of OpenStack do it: a token and JSON.
    pub fn call(&self, token: &str, method: &str, path: &str, body: &str) -> Answer {
        let headers = [("X-Auth-Token", token), ("Accept", "application/json"), ("Content-Type", "application/json")];
        self.send(method, path, &headers, body.as_bytes())
    }

    /// Of tenant `demo`, in its own paths.
    pub fn get(&self, path: &str) -> Answer {
        self.call(DEMO, "GET", &format!("/v1.0/demo{path}"), "")
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.call(DEMO, "POST", &format!("/v1.0/demo{path}"), body)
    }

    pub fn put(&self, path: &str, body: &str) -> Answer {
        self.call(DEMO, "PUT", &format!("/v1.0/demo{path}"), body)
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.call(DEMO, "DELETE", &format!("/v1.0/demo{path}"), "")
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The same answer with a word that changes from run to run replaced.
    pub fn replacing(self, word: &str, by: &str) -> Self {
        Self { body: self.body.replace(word, by), ..self }
    }

    /// Name and message of Trove's error body, whose code must be the status.
    pub fn fault(&self) -> (String, String) {
        let json = self.json();
        let (name, fault) = json.as_object().unwrap().iter().next().unwrap();
        assert_eq!(fault["code"], self.status, "{}", self.body);
        (name.clone(), fault["message"].as_str().unwrap().to_owned())
    }
}
