//! The state directory: whose it is, who may pass, the key, and whether there is room.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::{fs::statvfs, process::geteuid};

use super::Patient;
use crate::{check::Finding, keys};

/// Less room than this is too little, whatever the disk's size.
const LEAST_FREE_BYTES: u64 = 1 << 30;
/// Less than this share is too little, in per cent.
const LEAST_FREE_PERCENT: u64 = 5;
/// A file that is this much newer than now says that the clock was set back.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

pub fn examine(patient: &Patient) -> Vec<Finding> {
    let state = &patient.state;
    let path = state.path();
    let shown = path.display();
    let Ok(directory) = fs::metadata(path) else {
        let what = format!("the state directory {shown} is not there, or cannot be seen");
        return vec![Finding::new("state.missing", what, format!("coffer dev {}", state.words()))];
    };
    let mut findings = Vec::new();
    if directory.uid() != geteuid().as_raw() {
        let what = format!("{shown} belongs to user {}, this is user {}", directory.uid(), geteuid().as_raw());
        let mend = format!("run coffer as the owner, or: chown --recursive {} {shown}", geteuid().as_raw());
        findings.push(Finding::new("state.owner", what, mend));
    }
    let wanted = if directory.uid() == 0 { 0o711 } else { 0o700 };
    if directory.mode() & 0o777 != wanted {
        let what = format!("{shown} has mode {:04o}, not {wanted:04o}", directory.mode() & 0o7777);
        findings.push(Finding::new("state.mode", what, format!("chmod {wanted:o} {shown}")));
    }
    if !state.is_ours() {
        let what = format!("{shown} does not carry coffer's mark: coffer does not take it for its own");
        findings.push(Finding::new("state.mark", what, "name another directory, or an empty one"));
    }
    if directory.uid() == 0 {
        findings.extend(path.ancestors().skip(1).filter_map(closed));
    }
    if state.store().exists()
        && let Err(error) = keys::read(&state.deployment_key())
    {
        let mode = fs::metadata(state.deployment_key()).map_or(0, |file| file.mode() & 0o077);
        let key = state.deployment_key();
        let mend = if mode == 0 { keys::MEND.to_owned() } else { format!("chmod 600 {}", key.display()) };
        findings.push(Finding::new("state.key", error.to_string(), mend));
    }
    if let Err(error) = state.check_not_restoring() {
        findings.push(Finding::new("state.restoring", error.to_string(), "repeat the restore"));
    }
    findings.extend(room(path));
    findings.extend(clock(&state.store()));
    findings
}

/// Guests of root run as users of their own, and pass through every directory above.
fn closed(parent: &Path) -> Option<Finding> {
    let mode = fs::metadata(parent).ok()?.mode();
    let shown = parent.display();
    let what = format!("{shown} is closed to other users: the databases' own users do not get through");
    (mode & 0o001 == 0).then(|| Finding::new("state.closed", what, format!("chmod o+x {shown}")))
}

fn room(path: &Path) -> Vec<Finding> {
    let Ok(disk) = statvfs(path) else { return Vec::new() };
    let shown = path.display();
    let (free, all) = (disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize));
    let is_short = |free: u64, all: u64| free.saturating_mul(100) < all.saturating_mul(LEAST_FREE_PERCENT);
    let mut findings = Vec::new();
    if free < LEAST_FREE_BYTES || is_short(free, all) {
        let what = format!("{} MiB of {} MiB are free below {shown}", free >> 20, all >> 20);
        let mend = format!("du --one-file-system --max-depth=3 --human-readable {shown}    # then make room");
        findings.push(Finding::new("state.disk", what, mend));
    }
    // Some file systems count no inodes.
    if disk.f_files > 0 && is_short(disk.f_favail, disk.f_files) {
        let what = format!("{} of {} inodes are free below {shown}", disk.f_favail, disk.f_files);
        let mend = format!("du --inodes --one-file-system --max-depth=3 {shown}    # then make room");
        findings.push(Finding::new("state.inodes", what, mend));
    }
    findings
}

/// Timers, tokens and epochs go by the clock.
fn clock(store: &Path) -> Option<Finding> {
    let entries = fs::read_dir(store).ok()?.flatten();
    let newest = entries.filter_map(|entry| entry.metadata().ok()?.modified().ok()).max()?;
    let ahead = newest.duration_since(SystemTime::now()).ok().filter(|ahead| *ahead > CLOCK_TOLERANCE)?;
    let what = format!("the store was written {} s in the future: the clock was set back", ahead.as_secs());
    Some(Finding::new("host.clock", what, "timedatectl set-ntp true    # and wait until the clock is right"))
}
