//! What systemd is told of the service's life, where it runs as a unit of the type `notify`.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// Names systemd's socket; absent when somebody else has started us.
const SOCKET_VARIABLE: &str = "NOTIFY_SOCKET";

pub fn ready() {
    tell("READY=1");
}

pub fn stopping() {
    tell("STOPPING=1");
}

fn tell(word: &str) {
    if let Err(error) = send(word) {
        tracing::warn!(%error, word, "systemd could not be told");
    }
}

fn send(word: &str) -> io::Result<()> {
    let Some(name) = env::var_os(SOCKET_VARIABLE) else { return Ok(()) };
    let address = match name.as_bytes() {
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
        _ => SocketAddr::from_pathname(&name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(word.as_bytes(), &address).map(|_| ())
}
