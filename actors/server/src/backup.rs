//! The control plane's state in one file, and back.
//!
//! Saved are the store, the static users, the configuration where it is named, and the deployment key as the operator
//! chooses. Not saved is what is outside: volumes, addresses and servers of the instances, that is tenants' data.
//!
//! * [`archive`] – the form of the file: a tar with a manifest of checksums in front;
//! * [`seal`] – the file encrypted with a passphrase;
//! * `restore` – everything is unpacked beside its place and verified before any of it is put there.

mod archive;
mod restore;
mod seal;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use coffer_runtime::{store::Store, vault::random};

use crate::{
    CommandResult, admin,
    cli::BackupOptions,
    desk,
    local_api::{Request, ask},
    state_dir::StateDir,
};
use archive::{KEY, Source, USERS};
pub use restore::restore;
use seal::{Passphrase, SealWriter};

/// `coffer admin backup`.
pub fn write(options: &BackupOptions) -> CommandResult {
    let (state, _) = admin::place(&options.place)?;
    let passphrase = options.protection.passphrase_file.as_deref().map(Passphrase::read).transpose()?;
    let mut sources = Vec::new();
    for (name, path, is_wanted) in
        [(KEY, state.deployment_key(), !options.protection.without_key), (USERS, state.users(), state.users().exists())]
    {
        if is_wanted {
            sources.push(Source::small(name, &path)?);
        }
    }
    if let Some(config) = &options.place.config {
        sources.push(Source::small(archive::CONFIG, config)?);
    }
    let checkpoint = Checkpoint::take(&state)?;
    sources.extend(Source::store(&checkpoint.0)?);

    let partial = Partial::create(&options.file)?;
    match &passphrase {
        Some(passphrase) => {
            let writer = SealWriter::start(partial.file.try_clone()?, passphrase)?;
            archive::write(&sources, io::BufWriter::with_capacity(seal::CHUNK, writer))?
                .into_inner()
                .map_err(|error| error.into_error())?
                .finish()?;
        }
        None => archive::write(&sources, io::BufWriter::new(partial.file.try_clone()?))?.flush()?,
    }
    let bytes = partial.finish()?;
    let key = match (options.protection.without_key, &passphrase) {
        (true, _) => "without the deployment key: keep a copy of it elsewhere, or the backup opens nothing",
        (false, Some(_)) => "encrypted; without the passphrase it cannot be read",
        (false, None) => "with the deployment key IN CLEAR: who reads it can command every database",
    };
    eprintln!("{}: {bytes} bytes, {} files, {key}", options.file.display(), sources.len());
    Ok(())
}

/// A copy of the store that goes when this does.
struct Checkpoint(PathBuf);

impl Checkpoint {
    /// Asks the running service for one; where none runs, takes it from the store itself.
    fn take(state: &StateDir) -> Result<Self, Box<dyn std::error::Error>> {
        match state.lock_existing()? {
            None => Ok(Self(ask(state.path(), &Request::Checkpoint)?)),
            Some(_lock) => {
                if !state.store().exists() {
                    return Err(format!("{} holds no store", state.path().display()).into());
                }
                Ok(Self(desk::checkpoint(&Store::open(&state.store())?, state)?))
            }
        }
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("coffer: {}: {error}", self.0.display());
        }
    }
}

/// An archive that gets its name when it is complete.
struct Partial {
    file: fs::File,
    temporary: PathBuf,
    path: PathBuf,
}

impl Partial {
    fn create(path: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        if path.exists() {
            return Err(format!("{} exists: a backup overwrites nothing", path.display()).into());
        }
        let mut name = path.file_name().ok_or("the archive needs a name")?.to_owned();
        // A name that nobody guesses: the directory may be everybody's.
        name.push(format!(".{:016x}.partial", u64::from_ne_bytes(random())));
        let temporary = path.with_file_name(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(&temporary).map_err(|error| format!("{}: {error}", temporary.display()))?;
        Ok(Self { file, temporary, path: path.to_owned() })
    }

    /// Returns its size in bytes.
    fn finish(self) -> io::Result<u64> {
        self.file.sync_all()?;
        // Not `rename`: what has appeared there meanwhile stays.
        fs::hard_link(&self.temporary, &self.path)?;
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        self.file.metadata().map(|file| file.len())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.temporary) {
            eprintln!("coffer: {}: {error}", self.temporary.display());
        }
    }
}
