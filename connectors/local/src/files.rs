//! Files that survive a kill at any moment: written beside, synced, renamed.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use coffer_ports::{Error, ErrorKind, Result};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::OrFail;

/// User and group that a file is given to; `None` leaves it to us.
pub(crate) type OwnerId = Option<u32>;

/// Writes a file in one step; a crash leaves the old one or the new one.
pub(crate) fn write_atomic(path: &Path, content: &[u8], mode: u32, owner: OwnerId) -> Result<()> {
    let temporary = temporary_beside(path);
    remove_file(&temporary)?;
    let write = || -> io::Result<()> {
        // Readable by us alone until it has its owner.
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        chown(&temporary, owner, owner)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().or_fail("write", path)?;
    sync_parent(path)
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize, mode: u32) -> Result<()> {
    let content = serde_json::to_vec_pretty(value)
        .map_err(|error| unwritable().with_detail(format!("{}: {error}", path.display())))?;
    write_atomic(path, &content, mode, None)
}

fn unwritable() -> Error {
    Error::new(ErrorKind::Internal, "local.encode", "a file of the host cannot be written")
}

/// `None` when there is no such file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let content = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        content => content.or_fail("read", path)?,
    };
    serde_json::from_slice(&content).map(Some).map_err(|error| {
        // Only the place: the parser's own words may quote the content.
        let (path, line, column) = (path.display(), error.line(), error.column());
        let detail = format!("{path} is not what Coffer wrote there, see line {line}, column {column}");
        Error::new(ErrorKind::Internal, "local.damaged_file", "a file of the host is damaged").with_detail(detail)
    })
}

/// Copies a program to where guests execute it, unless the same bytes are there already. Running guests keep theirs.
pub(crate) fn install_program(source: &Path, target: &Path) -> Result<()> {
    let content = fs::read(source).or_fail("read", source)?;
    match fs::read(target) {
        Ok(installed) if installed == content => Ok(()),
        _ => write_atomic(target, &content, 0o755, None),
    }
}

/// A directory with this mode and owner, also when it was there before.
pub(crate) fn ensure_directory(path: &Path, mode: u32, owner: OwnerId) -> Result<()> {
    match fs::create_dir(path) {
        Ok(()) => sync_parent(path)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).or_fail("create directory", path),
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).or_fail("set the mode of", path)?;
    chown(path, owner, owner).or_fail("change the owner of", path)
}

/// Removes a file that may be gone already.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.or_fail("remove", path),
    }
}

/// How often a directory is tried again in which files keep appearing, and how long it rests in between.
const REMOVE_ATTEMPTS: u32 = 50;
const REMOVE_INTERVAL: Duration = Duration::from_millis(20);

/// Removes a directory with all that is in it, which may be gone already, may not be writable, and may still be
/// written to by a process that is about to end.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    let mut attempt = 0;
    loop {
        let error = match fs::remove_dir_all(path) {
            Ok(()) => return sync_parent(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.exists() => return Ok(()),
            Err(error) => error,
        };
        attempt += 1;
        if attempt == REMOVE_ATTEMPTS {
            return Err(error).or_fail("remove", path);
        }
        match error.kind() {
            io::ErrorKind::PermissionDenied => make_writable(path),
            _ => thread::sleep(REMOVE_INTERVAL),
        }
    }
}

/// Lets us into directories that their owner (who is us) closed. What fails here fails again in the removal.
fn make_writable(directory: &Path) {
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        // Of the entry itself, not of what a symbolic link points to.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

/// Makes creations, renames and removals in `path`'s directory durable.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    match fs::File::open(parent) {
        // Removed meanwhile, with all that was in it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        directory => directory.and_then(|directory| directory.sync_all()).or_fail("sync", parent),
    }
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    path.with_file_name(name)
}
