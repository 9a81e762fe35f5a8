//! The engine's option file: safe defaults, sized from the flavor and the volume.

use super::PORT;
use crate::supervisor::settings::Settings;

/// Below this much memory the performance schema is off: it takes some tens of MiB by itself.
const PERFORMANCE_SCHEMA_MIN_MIB: u64 = 1024;

/// The option file. Paths are given on the command line.
pub(super) fn render(settings: &Settings, listen_address: &str) -> String {
    let Settings { memory_mib, .. } = *settings;
    let performance_schema = if memory_mib >= PERFORMANCE_SCHEMA_MIN_MIB { "ON" } else { "OFF" };
    let table_cache = if memory_mib >= PERFORMANCE_SCHEMA_MIN_MIB { 2000 } else { 400 };
    format!(
        "# Written by coffer-agent at each start of the engine.
[mariadbd]
bind-address = {listen_address}
port = {PORT}
skip-name-resolve
skip-symbolic-links
local-infile = OFF
skip-log-bin
character-set-server = utf8mb4
collation-server = utf8mb4_general_ci
default-storage-engine = InnoDB
default-time-zone = +00:00
max-connections = {max_connections}
table-open-cache = {table_cache}
table-definition-cache = {table_cache}
performance-schema = {performance_schema}
innodb-buffer-pool-size = {buffer_pool}M
innodb-log-file-size = {redo_log}M
innodb-flush-log-at-trx-commit = 1
",
        max_connections = max_connections(memory_mib),
        buffer_pool = buffer_pool_mib(memory_mib),
        redo_log = redo_log_mib(settings),
    )
}

/// Half of a small machine's memory, two thirds of one above 4 GiB, whose other needs do not grow alike.
fn buffer_pool_mib(memory_mib: u64) -> u64 {
    const SMALL_MIB: u64 = 4096;
    /// The engine's own minimum with 16 KiB pages is 5 MiB; below this it is of no use.
    const MIN_MIB: u64 = 32;
    let share = if memory_mib <= SMALL_MIB { memory_mib / 2 } else { memory_mib / 3 * 2 };
    share.max(MIN_MIB)
}

/// A connection at work takes some MiB (stack, sort and join buffers): one per 4 MiB, most of them being idle.
fn max_connections(memory_mib: u64) -> u64 {
    (memory_mib / 4).clamp(32, 2000)
}

/// A twentieth of the volume, as a redo log beyond a quarter of the buffer pool brings nothing and slows recovery.
pub(super) fn redo_log_mib(settings: &Settings) -> u64 {
    let of_volume = u64::from(settings.volume_gib) * 1024 / 20;
    of_volume.min(buffer_pool_mib(settings.memory_mib) / 4).clamp(16, 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(memory_mib: u64, volume_gib: u32) -> Settings {
        Settings { datastore_version: "10.11".into(), memory_mib, vcpus: 1, volume_gib }
    }

    #[test]
    fn sizes_follow_memory_and_volume() {
        for (memory_mib, volume_gib, buffer_pool, connections, redo_log) in
            [(32, 1, 32, 32, 16), (512, 1, 256, 128, 51), (4096, 10, 2048, 1024, 512), (65536, 500, 43690, 2000, 1024)]
        {
            assert_eq!(buffer_pool_mib(memory_mib), buffer_pool, "{memory_mib}");
            assert_eq!(max_connections(memory_mib), connections, "{memory_mib}");
            assert_eq!(redo_log_mib(&settings(memory_mib, volume_gib)), redo_log, "{memory_mib} {volume_gib}");
        }
    }

    #[test]
    fn a_small_engine_has_no_performance_schema() {
        let small = render(&settings(512, 1), "127.1.2.3");
        assert!(small.contains("performance-schema = OFF"));
        assert!(small.contains("bind-address = 127.1.2.3\n"));
        assert!(render(&settings(1024, 1), "127.1.2.3").contains("performance-schema = ON"));
    }
}
