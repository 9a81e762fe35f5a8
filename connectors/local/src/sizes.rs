//! What becomes of the sizes that a flavor names, in words for operators.
//!
//! Cgroup v2 could hold a guest to its memory and its processors. This provider does not use it: a flavor sizes the
//! settings of the engine, and nothing stops a guest that takes more.

use std::{fs, path::Path};

/// Where the kernel says what is mounted.
const MOUNTS: &str = "/proc/self/mountinfo";
const KIND: &str = "cgroup2";

/// That sizes are not enforced, and what this host would offer for it.
pub fn words() -> String {
    words_for(offered(&fs::read_to_string(MOUNTS).unwrap_or_default()).as_deref())
}

fn words_for(offered: Option<&str>) -> String {
    let host = match offered {
        Some(controllers) => format!("this host offers cgroup v2 with {controllers}, which is not used"),
        None => "this host offers no controllers of cgroup v2".into(),
    };
    format!(
        "the kernel does not hold guests to the memory and vCPUs of their flavor, which size the engine's settings \
         only; {host}"
    )
}

/// The controllers at the root of what is mounted; `None` when there are none.
fn offered(mounts: &str) -> Option<String> {
    let controllers = fs::read_to_string(Path::new(hierarchy(mounts)?).join("cgroup.controllers")).ok()?;
    let controllers: Vec<&str> = controllers.split_whitespace().collect();
    (!controllers.is_empty()).then(|| controllers.join(", "))
}

/// Where cgroup v2 is mounted: `ID PARENT DEVICE ROOT PLACE OPTIONS… - KIND …` (proc_pid_mountinfo(5)).
fn hierarchy(mounts: &str) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        (tail.split(' ').next()? == KIND).then(|| head.split(' ').nth(4))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a host tells it that has a cgroup v2 at this place.
    fn mounts_with(place: &Path) -> String {
        format!(
            "24 1 254:0 / / rw - ext4 /dev/vda rw\n\
             30 24 0:27 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n\
             31 24 0:28 / {} rw,relatime shared:10 master:2 - cgroup2 cgroup2 rw,nsdelegate\n",
            place.display()
        )
    }

    #[test]
    fn the_controllers_of_the_host_are_named() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("cgroup.controllers"), "cpuset cpu memory\n").unwrap();
        assert_eq!(offered(&mounts_with(root.path())).as_deref(), Some("cpuset, cpu, memory"));
        fs::write(root.path().join("cgroup.controllers"), "\n").unwrap();
        assert_eq!(offered(&mounts_with(root.path())), None, "they are all with cgroup v1");
        assert_eq!(offered("24 1 254:0 / / rw - ext4 /dev/vda rw\n"), None, "there is no cgroup v2");
    }

    #[test]
    fn it_is_said_plainly_whatever_the_host_offers() {
        for offered in [Some("cpu, memory"), None] {
            assert!(words_for(offered).contains("does not hold guests to the memory and vCPUs"));
        }
        assert!(words_for(Some("cpu, memory")).ends_with("with cpu, memory, which is not used"));
    }
}
