//! File system errors in the words of the ports.

use std::{io, path::Path};

use coffer_ports::{Error, ErrorKind, Result};
use rustix::io::Errno;

/// Names what was done, and to which file.
pub(crate) trait OrFail<T> {
    /// `what` is a phrase such as `write`.
    fn or_fail(self, what: &str, path: &Path) -> Result<T>;
}

impl<T> OrFail<T> for io::Result<T> {
    fn or_fail(self, what: &str, path: &Path) -> Result<T> {
        self.map_err(|error| {
            let (kind, code, message) = match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    (ErrorKind::Exhausted, "local.disk_full", "the host's disk is full")
                }
                io::ErrorKind::PermissionDenied => {
                    (ErrorKind::Denied, "local.permission_denied", "the host does not let us at its files")
                }
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => {
                    (ErrorKind::Unavailable, "local.io", "the host's file system is busy")
                }
                _ if out_of_files(&error) => {
                    (ErrorKind::Unavailable, "local.too_many_files", "the host has too many files open")
                }
                _ => (ErrorKind::Internal, "local.io", "the host's file system has failed"),
            };
            Error::new(kind, code, message).with_detail(format!("cannot {what} {}: {error}", path.display()))
        })
    }
}

/// The process or the host has no file descriptor left, which passes.
fn out_of_files(error: &io::Error) -> bool {
    let known = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|number| known.contains(&number))
}

impl<T> OrFail<T> for rustix::io::Result<T> {
    fn or_fail(self, what: &str, path: &Path) -> Result<T> {
        self.map_err(io::Error::from).or_fail(what, path)
    }
}

/// Runs file system work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let failed = Error::new(ErrorKind::Internal, "local.task_failed", "the provider has failed");
        Err(failed.with_detail(error.to_string()))
    })
}
