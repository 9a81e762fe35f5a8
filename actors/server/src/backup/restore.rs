//! A backup put back, as a whole or not at all.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::Path,
};

use coffer_runtime::{
    check::Problem,
    clock::{Clock, SystemClock},
    runtime::raise_epochs,
    store::Store,
};

use super::{
    archive::{self, CONFIG, KEY, STORE, USERS},
    seal::{MAGIC, OpenReader, Passphrase},
};
use crate::{CommandResult, check, cli::RestoreOptions, keys, state_dir::StateDir};

/// `coffer admin restore`.
pub fn restore(options: &RestoreOptions) -> CommandResult {
    let state = StateDir::dev(Some(&options.state_dir))?;
    let _lock = state.open()?;
    if state.store().exists() {
        let path = state.store();
        return Err(format!("{} exists: a restore overwrites no state; move it away first", path.display()).into());
    }
    let partial = state.restoring();
    if partial.exists() {
        // An earlier restore that was interrupted: none of it was used.
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir(&partial)?;
    let done = put_together(options, &state, &partial).and_then(|()| put_in_place(&state, &partial));
    match &done {
        Ok(()) => fs::remove_dir_all(&partial)?,
        Err(_) if state.store().exists() => {}
        Err(_) => drop(fs::remove_dir_all(&partial)),
    }
    done?;
    eprintln!("restored into {}; start coffer, then: coffer admin check {}", state.path().display(), state.words());
    Ok(())
}

/// Unpacks and verifies everything beside its place.
fn put_together(options: &RestoreOptions, state: &StateDir, partial: &Path) -> CommandResult {
    let named = |error: String| format!("{}: {error}", options.file.display());
    let mut file = BufReader::new(File::open(&options.file).map_err(|error| named(error.to_string()))?);
    let is_sealed = file.fill_buf()?.starts_with(MAGIC);
    let reader: Box<dyn Read> = match (is_sealed, &options.passphrase_file) {
        (true, Some(path)) => Box::new(OpenReader::start(file, &Passphrase::read(path)?).map_err(named)?),
        (true, None) => return Err(named("it is encrypted: name its --passphrase-file".into()).into()),
        (false, _) => Box::new(file),
    };
    let manifest = archive::unpack(reader, partial).map_err(named)?;
    for name in [KEY, USERS, CONFIG] {
        let (new, old) = (partial.join(name), state.path().join(name));
        if new.exists() && old.exists() && fs::read(&new)? != fs::read(&old)? {
            let old = old.display();
            return Err(format!("{old} is there and differs from the backup's: move it away first").into());
        }
    }
    let key = if partial.join(KEY).exists() { partial.join(KEY) } else { state.deployment_key() };
    if !key.exists() {
        let key = key.display();
        return Err(format!("the backup is without the deployment key: put it at {key} first, mode 0600").into());
    }
    let vault = keys::read(&key)?.vault;
    if !partial.join(STORE).is_dir() {
        return Err(named("there is no store in it".into()).into());
    }
    let store = Store::open(&partial.join(STORE))?;
    for finding in check::rows(&store, Some(&vault))?.1 {
        match &finding.problem {
            Problem::Unreadable { .. } | Problem::Sealed { .. } => {
                return Err(named(format!("{}; coffer {} wrote it", finding.problem, manifest.coffer)).into());
            }
            other => eprintln!("coffer: as in the backed up store: {other}"),
        }
    }
    // Agents refuse an older owner than they have seen, and other messages under a number that they have seen.
    let epoch = raise_epochs(&store, SystemClock::default().now())?;
    eprintln!(
        "backup of coffer {}, {} files; the next epoch is above {epoch}",
        manifest.coffer,
        manifest.members.len()
    );
    Ok(())
}

/// The store comes last: with it the restore is complete.
fn put_in_place(state: &StateDir, partial: &Path) -> CommandResult {
    for name in [KEY, USERS, CONFIG, STORE] {
        let (new, place) = (partial.join(name), state.path().join(name));
        if new.exists() && !place.exists() {
            File::open(&new)?.sync_all()?;
            fs::rename(new, place)?;
            File::open(state.path())?.sync_all()?;
        }
    }
    Ok(())
}
