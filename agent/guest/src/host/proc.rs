//! What `/proc` tells of processes.

use std::{ffi::OsString, fs, os::unix::ffi::OsStringExt};

use coffer_protocol::question::EngineProcess;
use rustix::process::Pid;

/// What a process has used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// User and system time of all its threads, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
}

/// All living processes whose arguments (program first) `matches`. Zombies have no arguments and are not found.
pub fn find(matches: impl Fn(&[OsString]) -> bool) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(|pid| arguments(*pid).is_some_and(|arguments| matches(&arguments)))
        .collect()
}

/// The arguments of a process, program first; `None` when it is gone or a zombie.
pub fn arguments(pid: Pid) -> Option<Vec<OsString>> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    if line.is_empty() {
        return None;
    }
    Some(line.split(|byte| *byte == 0).map(|argument| OsString::from_vec(argument.to_vec())).collect())
}

/// What a process has used so far; `None` when it is gone.
pub fn usage(pid: Pid) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&stat, rustix::param::clock_ticks_per_second(), rustix::param::page_size() as u64)
}

/// What the kernel says of a process; `None` when it is gone.
pub fn status(pid: Pid) -> Option<EngineProcess> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(EngineProcess {
        threads: field(&text, "Threads")?,
        fd_size: field(&text, "FDSize")?,
        vm_size_kib: field(&text, "VmSize")?,
        vm_peak_kib: field(&text, "VmPeak")?,
        vm_rss_kib: field(&text, "VmRSS")?,
        vm_hwm_kib: field(&text, "VmHWM")?,
    })
}

/// The number of a line `NAME: NUMBER`, which may have a unit.
pub fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

/// What a process has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Processor time, in clock ticks.
    pub ticks: u64,
    /// Bytes that it has read and written.
    pub transferred_bytes: u64,
    /// A thread of it works, or waits for a disk or for a processor.
    pub is_at_work: bool,
}

/// Processor time of a process that waits: its threads look at the clock now and then. (An idle MariaDB: one tick in
/// 25 s.)
const IDLE_TICKS: u64 = 10;

impl Activity {
    /// Whether the process was up to something since `before`.
    pub fn is_more_than(self, before: Self) -> bool {
        self.is_at_work || self.transferred_bytes != before.transferred_bytes || self.ticks > before.ticks + IDLE_TICKS
    }
}

/// What a process has done so far; `None` when it is gone.
pub fn activity(pid: Pid) -> Option<Activity> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (ticks_a_second, page_bytes) = (1, 1);
    let ticks = parse_stat(&stat, ticks_a_second, page_bytes)?.cpu_seconds as u64;
    let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let values = io.lines().filter_map(|line| line.split_once(": ")?.1.parse::<u64>().ok());
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let is_at_work = threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok())
        .any(|stat| matches!(stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]), Some(b'R' | b'D')));
    Some(Activity { ticks, transferred_bytes: values.sum(), is_at_work })
}

/// The fields of `proc_pid_stat(5)`: 14 and 15 are user and system time in clock ticks, 24 the resident pages. The
/// program's name (field 2) is in parentheses and may hold spaces and parentheses itself.
fn parse_stat(stat: &str, ticks_per_second: u64, page_bytes: u64) -> Option<Usage> {
    const FIRST_FIELD_AFTER_NAME: usize = 3;
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - FIRST_FIELD_AFTER_NAME)?.parse::<u64>().ok();
    let ticks = field(14)? + field(15)?;
    Some(Usage { cpu_seconds: ticks as f64 / ticks_per_second as f64, resident_bytes: field(24)? * page_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let stat =
            "17 (a) b (c) S 1 17 17 0 -1 4194560 900 0 3 0 250 50 0 0 20 0 9 0 777 123456789 4096 18446744073709";
        assert_eq!(parse_stat(stat, 100, 4096), Some(Usage { cpu_seconds: 3.0, resident_bytes: 16 << 20 }));
        assert_eq!(parse_stat("17 (short) S 1", 100, 4096), None);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "VmPeak:\t  200 kB\nVmPeakLess: 1\nThreads:\t7\n";
        assert_eq!((field(text, "VmPeak"), field(text, "Threads")), (Some(200), Some(7)));
        assert_eq!((field(text, "Vm"), field("MemTotal: much", "MemTotal")), (None, None));
    }

    #[test]
    fn this_process_is_found_by_its_arguments_and_uses_memory() {
        let me = rustix::process::getpid();
        let mine = arguments(me).unwrap();
        assert!(find(|arguments| arguments == mine).contains(&me));
        assert!(usage(me).unwrap().resident_bytes > 0);
        let status = status(me).unwrap();
        assert!(status.threads > 0 && status.vm_rss_kib > 0 && status.vm_hwm_kib <= status.vm_peak_kib);
        let doing_this = activity(me).unwrap();
        assert!(doing_this.is_at_work && doing_this.is_more_than(doing_this));
        let asleep = Activity { is_at_work: false, ..doing_this };
        assert!(!Activity { ticks: asleep.ticks + 1, ..asleep }.is_more_than(asleep));
        assert!(Activity { ticks: asleep.ticks + 100, ..asleep }.is_more_than(asleep));
        assert!(Activity { transferred_bytes: asleep.transferred_bytes + 1, ..asleep }.is_more_than(asleep));
    }
}
