//! Runs a test as a user without name, as the engine refuses to run as root: a test started by root starts itself
//! again under an anonymous number.

use std::{
    env, fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use coffer_guest::host::random;

/// The first number of those that stand for local guests; none of them has an entry in the password file.
const FIRST_UID: u32 = 700_001;
const AGENT_VARIABLE: &str = "COFFER_TEST_AGENT";
/// Set where the temporary files are on a small disk.
const SMALL_DISK_VARIABLE: &str = "COFFER_TEST_SMALL_DISK";

/// Runs `body` on a runtime like the agent's, as an ordinary user.
pub fn run<F: Future<Output = ()>>(body: impl FnOnce() -> F) {
    if rustix::process::geteuid().is_root() {
        return again(&test_name(&body), None);
    }
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body());
}

/// As [`run`], with all temporary files on a file system of this size. Whoever is not root cannot make one: the test is
/// then skipped, which it says.
pub fn run_on_small_disk<F: Future<Output = ()>>(size_mib: u32, body: impl FnOnce() -> F) {
    if rustix::process::geteuid().is_root() {
        return again(&test_name(&body), Some(size_mib));
    }
    if env::var_os(SMALL_DISK_VARIABLE).is_none() {
        eprintln!("skipped: only root can mount a small file system");
        return;
    }
    run(body);
}

/// The agent's program, where an ordinary user can start it.
pub fn agent_program() -> PathBuf {
    env::var_os(AGENT_VARIABLE).map_or_else(|| env!("CARGO_BIN_EXE_coffer-agent").into(), PathBuf::from)
}

/// The path of the test that a closure was written in: `it::module::test::{{closure}}` without both ends.
pub fn test_name<T>(_closure: &T) -> String {
    let path = std::any::type_name::<T>();
    let (_, path) = path.split_once("::").expect("a closure's name begins with its crate");
    path.split("::{{closure}}").next().unwrap_or(path).to_owned()
}

/// Runs the test again as an ordinary user.
fn again(test: &str, disk_mib: Option<u32>) {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
    let uid = FIRST_UID + u32::from(u16::from_le_bytes(random::bytes().unwrap()));
    let work = place.join("work");
    fs::create_dir(&work).unwrap();
    let _disk = disk_mib.map(|size_mib| SmallDisk::mount(&work, size_mib));
    chown(&work, Some(uid), Some(uid)).unwrap();
    let program = readable_copy(&env::current_exe().unwrap(), place);
    let agent = readable_copy(Path::new(env!("CARGO_BIN_EXE_coffer-agent")), place);

    let mut command = Command::new(program);
    command.args(["--exact", test, "--nocapture", "--include-ignored"]);
    command.env("TMPDIR", &work).env(AGENT_VARIABLE, agent).current_dir(&work).uid(uid).gid(uid);
    if disk_mib.is_some() {
        command.env(SMALL_DISK_VARIABLE, "1");
    }
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("1 passed"), "{test} as uid {uid}: {}\n{stdout}\n{stderr}", output.status);
    print!("{stdout}");
}

/// Builds lie in a home directory that others may not enter.
fn readable_copy(program: &Path, to: &Path) -> PathBuf {
    let copy = to.join(program.file_name().unwrap());
    fs::copy(program, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

/// A mounted file system, until the test ends.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(place: &Path, size_mib: u32) -> Self {
        let size = format!("size={size_mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place).status();
        assert!(mounted.is_ok_and(|status| status.success()), "a tmpfs of {size_mib} MiB cannot be mounted");
        Self(place.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
