//! How full the data volume is.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::statvfs;

/// Space of a volume, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub used_bytes: u64,
    /// Absent when the volume is only a directory: the file system's size says nothing of it.
    pub total_bytes: Option<u64>,
}

/// The space of the volume at `root`. Blocks for as long as it takes to walk the tree when the volume is a directory.
pub fn space(root: &Path) -> io::Result<Space> {
    if is_mount_point(root)? {
        let stat = statvfs(root)?;
        let used = stat.f_blocks.saturating_sub(stat.f_bfree);
        return Ok(Space { used_bytes: used * stat.f_frsize, total_bytes: Some(stat.f_blocks * stat.f_frsize) });
    }
    Ok(Space { used_bytes: allocated_bytes(root)?, total_bytes: None })
}

fn is_mount_point(root: &Path) -> io::Result<bool> {
    match root.parent() {
        None => Ok(true),
        Some(parent) => Ok(fs::metadata(root)?.dev() != fs::metadata(parent)?.dev()),
    }
}

/// What the files below `root` occupy. A file that goes while they are counted is not counted; links are not followed.
fn allocated_bytes(root: &Path) -> io::Result<u64> {
    /// The unit of `st_blocks`, whatever the file system's own (stat(3type)).
    const BLOCK_BYTES: u64 = 512;
    let mut total = 0;
    let mut pending: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            let Ok(entry) = entry else { continue };
            let Ok(metadata) = entry.metadata() else { continue };
            total += metadata.blocks() * BLOCK_BYTES;
            if metadata.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_counted_by_what_its_files_occupy() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("below");
        fs::create_dir(&below).unwrap();
        let before = space(&below).unwrap();
        fs::write(below.join("data"), vec![1_u8; 3 << 20]).unwrap();
        // Delayed allocation: blocks are given at the latest when the file is synced.
        fs::File::open(below.join("data")).unwrap().sync_all().unwrap();
        let after = space(&below).unwrap();
        assert!(after.used_bytes - before.used_bytes >= 3 << 20);
        assert_eq!(after.total_bytes, None);
    }

    #[test]
    fn a_mount_is_asked_for_its_size() {
        let proc = space(Path::new("/proc")).unwrap();
        assert!(proc.total_bytes.is_some());
    }
}
