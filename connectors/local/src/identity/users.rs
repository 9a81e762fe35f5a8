//! The users file: JSON, mode 0600, changed by the functions here under a lock.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use coffer_ports::{Error, ErrorKind, Result, identity::NameOrId};
use coffer_protocol::secret::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::verify::{hash, random};
use crate::{
    error::OrFail,
    files::{read_json, write_json},
};

/// Version of the users file.
const VERSION: u16 = 1;
/// Bytes of randomness in a generated password: 32 characters.
const PASSWORD_BYTES: usize = 24;
/// Longest name of a user or project, as in Keystone.
const MAX_NAME_CHARS: usize = 255;
/// How long another program may take to change the file.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Default, Serialize, Deserialize)]
struct UsersFile {
    version: u16,
    users: Vec<User>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct User {
    /// 32 hexadecimal digits, as Keystone has them.
    pub id: String,
    pub name: String,
    pub project_id: String,
    pub project_name: String,
    pub roles: Vec<String>,
    /// Argon2id, as a PHC string.
    pub password_hash: String,
}

impl User {
    /// Changes with the password.
    pub(super) fn fingerprint(&self) -> String {
        BASE64.encode(&Sha256::digest(&self.password_hash)[..16])
    }
}

/// The file at one moment.
pub(super) struct Snapshot {
    users: Vec<User>,
    /// [`User::fingerprint`] of each.
    fingerprints: Vec<String>,
    by_id: HashMap<String, usize>,
    stamp: Stamp,
}

type Stamp = (u64, i64, i64, u64);

impl Snapshot {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let not_found = || Error::new(ErrorKind::NotFound, "local.no_users_file", format!("no {}", path.display()));
        let metadata = fs::metadata(path).map_err(|_| not_found())?;
        if metadata.mode() & 0o077 != 0 {
            let (mode, path) = (metadata.mode() & 0o7777, path.display());
            let message = format!("{path} has mode {mode:04o}: it holds password hashes and must be 0600");
            return Err(Error::new(ErrorKind::Invalid, "local.users_file_open", message));
        }
        // The stamp is the older of the two: a change in between is seen by the next look.
        let file = read_users(path)?.ok_or_else(not_found)?;
        let fingerprints = file.users.iter().map(User::fingerprint).collect();
        let by_id = file.users.iter().enumerate().map(|(index, user)| (user.id.clone(), index)).collect();
        Ok(Self { users: file.users, fingerprints, by_id, stamp: stamp(&metadata) })
    }

    pub(super) fn is_current(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|metadata| stamp(&metadata) == self.stamp)
    }

    pub(super) fn find(&self, wanted: &NameOrId) -> Option<&User> {
        match wanted {
            NameOrId::Name(name) => self.users.iter().find(|user| user.name == *name),
            NameOrId::Id(id) => Some(&self.users[*self.by_id.get(id)?]),
        }
    }

    /// The user with this id, if the password has not changed since the fingerprint was taken.
    pub(super) fn unchanged(&self, id: &str, fingerprint: &str) -> Option<&User> {
        let index = *self.by_id.get(id)?;
        (self.fingerprints[index] == fingerprint).then(|| &self.users[index])
    }
}

fn stamp(metadata: &fs::Metadata) -> Stamp {
    (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len())
}

/// Adds a user with a generated password, which is returned and stored nowhere. Users of the same project name share
/// the project. Makes the file if there is none.
///
/// Errors: `Conflict` when the name is taken, `Invalid` for an empty or overlong name.
pub fn add_user(path: &Path, name: &str, project: &str, roles: &[String]) -> Result<Secret> {
    for text in [name, project] {
        if text.is_empty() || text.chars().count() > MAX_NAME_CHARS || text.chars().any(char::is_control) {
            let message = format!("{text:?} is no name: 1 to {MAX_NAME_CHARS} characters, none of them a control");
            return Err(Error::new(ErrorKind::Invalid, "local.bad_name", message));
        }
    }
    change(path, |users| {
        if users.iter().any(|user| user.name == name) {
            let message = format!("there is a user {name:?} already");
            return Err(Error::new(ErrorKind::Conflict, "local.user_exists", message));
        }
        let project_id = users.iter().find(|user| user.project_name == project).map(|user| user.project_id.clone());
        let password = generate_password()?;
        users.push(User {
            id: generate_id()?,
            name: name.to_owned(),
            project_id: project_id.map_or_else(generate_id, Ok)?,
            project_name: project.to_owned(),
            roles: roles.to_vec(),
            password_hash: hash(password.expose().as_bytes())?,
        });
        Ok(password)
    })
}

/// Gives a user a new generated password, which is returned and stored nowhere. Their tokens are invalid from now on.
///
/// Errors: `NotFound` when there is no such user.
pub fn set_password(path: &Path, name: &str) -> Result<Secret> {
    change(path, |users| {
        let user = users.iter_mut().find(|user| user.name == name).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "local.no_such_user", format!("there is no user {name:?}"))
        })?;
        let password = generate_password()?;
        user.password_hash = hash(password.expose().as_bytes())?;
        Ok(password)
    })
}

/// Reads, changes and writes the file; one program at a time.
fn change<T>(path: &Path, change: impl FnOnce(&mut Vec<User>) -> Result<T>) -> Result<T> {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let mut options = fs::OpenOptions::new();
    let lock = options.write(true).create(true).truncate(false).mode(0o600).open(&lock_path);
    let lock = lock.or_fail("open", &lock_path)?;
    let mut waited = Duration::ZERO;
    while lock.try_lock().is_err() {
        if waited >= LOCK_TIMEOUT {
            let message = format!("somebody else has been changing {} for {LOCK_TIMEOUT:?}", path.display());
            return Err(Error::new(ErrorKind::Timeout, "local.users_file_locked", message));
        }
        std::thread::sleep(LOCK_INTERVAL);
        waited += LOCK_INTERVAL;
    }
    let mut file = read_users(path)?.unwrap_or_else(|| UsersFile { version: VERSION, users: Vec::new() });
    let result = change(&mut file.users)?;
    write_json(path, &file, 0o600)?;
    Ok(result)
}

fn read_users(path: &Path) -> Result<Option<UsersFile>> {
    let file: Option<UsersFile> = read_json(path)?;
    if let Some(version) = file.as_ref().map(|file| file.version).filter(|version| *version != VERSION) {
        let message = format!("{} has version {version}; this Coffer knows {VERSION}", path.display());
        return Err(Error::new(ErrorKind::Invalid, "local.users_file_version", message));
    }
    Ok(file)
}

/// URL-safe characters; never a leading hyphen, which command lines take for an option.
fn generate_password() -> Result<Secret> {
    loop {
        let password = BASE64.encode(random::<PASSWORD_BYTES>()?);
        if !password.starts_with('-') {
            return Ok(Secret::new(password));
        }
    }
}

fn generate_id() -> Result<String> {
    Ok(random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}
