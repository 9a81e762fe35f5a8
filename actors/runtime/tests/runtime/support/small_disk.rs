//! A file system of some MiB, that can be filled. Making one needs root.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

pub struct SmallDisk {
    mount: TempDir,
}

impl SmallDisk {
    /// A tmpfs of this size; `None`, with a word on standard error, where it cannot be mounted.
    pub fn of_mib(size_mib: u64) -> Option<Self> {
        let mount = tempfile::tempdir().unwrap();
        let size = format!("size={size_mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(mount.path()).output();
        if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: a small file system can be mounted by root only ({mounted:?})");
            return None;
        }
        Some(Self { mount })
    }

    pub fn path(&self) -> &Path {
        self.mount.path()
    }

    /// Takes all that is left.
    pub fn fill(&self) {
        let mut ballast = File::options().append(true).create(true).open(self.ballast()).unwrap();
        for size in [1 << 20, 1 << 12] {
            while ballast.write_all(&vec![1; size]).is_ok() {}
        }
    }

    /// Leaves so much free.
    pub fn leave_mib(&self, free_mib: u64) {
        self.fill();
        let ballast = File::options().write(true).open(self.ballast()).unwrap();
        let taken = ballast.metadata().unwrap().len();
        ballast.set_len(taken.checked_sub(free_mib << 20).expect("the disk is larger")).unwrap();
    }

    pub fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a store may still be closing.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
