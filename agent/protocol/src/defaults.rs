//! What an engine is given when nobody says otherwise. The agent writes it into the engine's option file; the control plane
//! shows it to tenants.

/// A parameter and its value, in the words of the engine's option file.
pub type Setting = (&'static str, String);

/// Below this much memory the performance schema is off: it takes some tens of MiB by itself.
const PERFORMANCE_SCHEMA_MIN_MIB: u64 = 1024;

/// The defaults of the manager `mysql` that depend on neither address nor path, for a flavor with this much memory and a
/// volume of this size.
pub fn mysql(memory_mib: u64, volume_gib: u32) -> Vec<Setting> {
    let is_roomy = memory_mib >= PERFORMANCE_SCHEMA_MIN_MIB;
    let table_cache = if is_roomy { "2000" } else { "400" };
    vec![
        ("character_set_server", "utf8mb4".into()),
        ("collation_server", "utf8mb4_general_ci".into()),
        ("default_storage_engine", "InnoDB".into()),
        ("default_time_zone", "+00:00".into()),
        ("innodb_buffer_pool_size", format!("{}M", buffer_pool_mib(memory_mib))),
        ("innodb_flush_log_at_trx_commit", "1".into()),
        ("innodb_log_file_size", format!("{}M", mysql_redo_log_mib(memory_mib, volume_gib))),
        ("max_connections", max_connections(memory_mib).to_string()),
        ("performance_schema", if is_roomy { "ON" } else { "OFF" }.into()),
        ("table_definition_cache", table_cache.into()),
        ("table_open_cache", table_cache.into()),
    ]
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
pub fn mysql_redo_log_mib(memory_mib: u64, volume_gib: u32) -> u64 {
    let of_volume = u64::from(volume_gib) * 1024 / 20;
    of_volume.min(buffer_pool_mib(memory_mib) / 4).clamp(16, 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_memory_and_volume() {
        for (memory_mib, volume_gib, buffer_pool, connections, redo_log) in
            [(32, 1, 32, 32, 16), (512, 1, 256, 128, 51), (4096, 10, 2048, 1024, 512), (65536, 500, 43690, 2000, 1024)]
        {
            assert_eq!(buffer_pool_mib(memory_mib), buffer_pool, "{memory_mib}");
            assert_eq!(max_connections(memory_mib), connections, "{memory_mib}");
            assert_eq!(mysql_redo_log_mib(memory_mib, volume_gib), redo_log, "{memory_mib} {volume_gib}");
        }
    }

    #[test]
    fn a_small_engine_has_no_performance_schema() {
        let schema =
            |memory_mib| mysql(memory_mib, 1).into_iter().find(|(name, _)| *name == "performance_schema").unwrap().1;
        assert_eq!((schema(512), schema(1024)), ("OFF".to_owned(), "ON".to_owned()));
    }
}
