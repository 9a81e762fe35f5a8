//! The deployment key: what all secrets at rest are sealed with.
//!
//! A 0600 file, made at the first start. Back it up apart from the store: without it no agent can be spoken to, and
//! without the store it opens nothing.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use coffer_protocol::seal::Key;
use coffer_runtime::vault::{Vault, random};
use serde::{Deserialize, Serialize};

/// The file's content, as JSON.
#[derive(Serialize, Deserialize)]
struct KeyFile {
    /// Names the key in every row that is sealed with it.
    key_id: String,
    /// Seals secrets at rest.
    key: Key,
    /// Seals the tokens of the static identity.
    token_key: Key,
}

/// The opened deployment key.
pub struct DeploymentKey {
    pub vault: Vault,
    pub token_key: [u8; 32],
}

/// What to do about a key that cannot be read.
pub const MEND: &str = "put the deployment.key back, owned by the user of coffer, and chmod 600 it";

/// Reads the key that is there.
pub fn read(path: &Path) -> io::Result<DeploymentKey> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("deployment key {}: {error}", path.display()));
    let bytes = fs::read(path).map_err(named)?;
    check_mode(path).map_err(named)?;
    open(&bytes).map_err(named)
}

/// Opens the content of a key file.
pub fn open(bytes: &[u8]) -> io::Result<DeploymentKey> {
    let file: KeyFile = serde_json::from_slice(bytes)?;
    Ok(DeploymentKey { vault: Vault::new(file.key_id, file.key), token_key: *file.token_key.expose() })
}

/// Reads the key, or makes one where there is neither key nor anything sealed with one.
pub fn load(path: &Path, store: &Path) -> io::Result<DeploymentKey> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("deployment key {}: {error}", path.display()));
    if !path.exists() && !store.exists() {
        make(path).map_err(named)?;
    }
    read(path)
}

fn check_mode(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.mode();
    if mode & 0o077 != 0 {
        return Err(io::Error::other(format!("others may read it (mode {:04o}); chmod 600 it", mode & 0o7777)));
    }
    Ok(())
}

fn make(path: &Path) -> io::Result<()> {
    let id: String = random::<4>().iter().map(|byte| format!("{byte:02x}")).collect();
    let file = KeyFile {
        key_id: format!("k-{id}"),
        key: Key::from_bytes(random::<32>()),
        token_key: Key::from_bytes(random::<32>()),
    };
    let temporary = path.with_extension("tmp");
    // What an interrupted start left was never used.
    if temporary.exists() {
        fs::remove_file(&temporary)?;
    }
    let mut writer = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    writer.write_all(&serde_json::to_vec(&file)?)?;
    writer.sync_all()?;
    fs::rename(&temporary, path)?;
    if let Some(directory) = path.parent() {
        fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (path, store) = (directory.path().join("deployment.key"), directory.path().join("store"));
        let first = load(&path, &store).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        fs::create_dir(&store).unwrap();
        assert_eq!(load(&path, &store).unwrap().token_key, first.token_key);
    }

    #[test]
    fn a_store_without_its_key_is_not_given_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let (path, store) = (directory.path().join("deployment.key"), directory.path().join("store"));
        fs::create_dir(&store).unwrap();
        assert!(load(&path, &store).is_err());
        assert!(!path.exists());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (path, store) = (directory.path().join("deployment.key"), directory.path().join("store"));
        load(&path, &store).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = load(&path, &store).err().unwrap().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}
