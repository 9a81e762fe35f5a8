//! File system errors in the words of the ports.

use std::{io, path::Path};

use coffer_ports::{Error, ErrorKind, Result};

/// Names what was done, and to which file.
pub(crate) trait OrFail<T> {
    /// `what` is a phrase such as `write`.
    fn or_fail(self, what: &str, path: &Path) -> Result<T>;
}

impl<T> OrFail<T> for io::Result<T> {
    fn or_fail(self, what: &str, path: &Path) -> Result<T> {
        self.map_err(|error| {
            let (kind, code) = match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (ErrorKind::Exhausted, "local.disk_full"),
                io::ErrorKind::PermissionDenied => (ErrorKind::Denied, "local.permission_denied"),
                _ => (ErrorKind::Internal, "local.io"),
            };
            Error::new(kind, code, format!("cannot {what} {}: {error}", path.display()))
        })
    }
}

impl<T> OrFail<T> for rustix::io::Result<T> {
    fn or_fail(self, what: &str, path: &Path) -> Result<T> {
        self.map_err(io::Error::from).or_fail(what, path)
    }
}

/// Runs file system work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Internal, "local.task_failed", format!("a task of the provider failed: {error}")))
    })
}
