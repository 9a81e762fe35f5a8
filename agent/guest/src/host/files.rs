//! Files that are whole after a crash, and readable by nobody else.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Replaces `path` by a file with mode 0600 and this content: after a crash the old or the new content is there,
/// never a part. The new content is on disk when this returns.
pub fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().ok_or_else(|| io::Error::other(format!("{} is not a file path", path.display())))?;
    let fresh = path.with_extension("new");
    // A leftover may have another mode: the mode of `open` only counts for a file that it creates.
    remove_file_if_there(&fresh)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    if let Err(error) = file.write_all(content).and_then(|()| file.sync_all()) {
        // On a full volume even a part of it takes room from what could still be written.
        remove_file_if_there(&fresh)?;
        return Err(error);
    }
    fs::rename(&fresh, path)?;
    sync_directory(directory)
}

/// Whether a write failed since there is no room: on the file system, or for this user on it.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes the names in a directory durable.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Creates a directory with mode 0700, unless it is there.
pub fn ensure_private_directory(directory: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Reads a file, `None` when it does not exist.
pub fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    absent_is_none(fs::read(path))
}

/// Removes a directory and all below it, if it is there.
pub fn remove_directory_if_there(path: &Path) -> io::Result<()> {
    absent_is_none(fs::remove_dir_all(path)).map(Option::unwrap_or_default)
}

fn remove_file_if_there(path: &Path) -> io::Result<()> {
    absent_is_none(fs::remove_file(path)).map(Option::unwrap_or_default)
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_replaced_file_is_whole_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        fs::write(path.with_extension("new"), "left over by a crash").unwrap();
        write_durably(&path, b"one").unwrap();
        write_durably(&path, b"two").unwrap();
        assert_eq!(read_if_there(&path).unwrap().as_deref(), Some(b"two".as_slice()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_absent_is_no_error() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read_if_there(&directory.path().join("nothing")).unwrap(), None);
        remove_directory_if_there(&directory.path().join("nothing")).unwrap();
    }
}
