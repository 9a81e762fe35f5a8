//! Topic names, record keys and the partitioner.
//!
//! Records are keyed by tenant on every shared topic, so that all that concerns a tenant meets in one partition.

/// Commands of clients and of the control plane itself; keyed by tenant.
pub const COMMANDS: &str = "coffer.commands";
/// Sealed reports of the agents; keyed by tenant.
pub const TELEMETRY: &str = "coffer.telemetry";

/// What partitions have committed, a row a record; by partition, not by key.
pub const STATE: &str = "coffer.state";

/// Answers of a partition's owner to other nodes, sealed; without a key.
pub const ANSWERS: &str = "coffer.answers";
/// The group by which nodes share out the partitions: those of [`COMMANDS`].
pub const NODES: &str = "coffer.nodes";

/// Record header of what a node asks on the topic of commands: the value is sealed.
pub const ASKED_HEADER: &str = "coffer-asked";

/// Record header with the id of the key that a sealed message was made with: an agent skips the messages of its
/// neighbours in the cell without parsing them.
pub const KEY_ID_HEADER: &str = "coffer-key-id";

/// The partitioner that every producer must be told to use (`partitioner` in librdkafka's configuration); it is
/// the Java client's default for keyed records.
pub const PARTITIONER: &str = "murmur2_random";

/// The topic on which the agents of one cell are told what to do. It has one partition.
pub fn agents(cell: &str) -> String {
    format!("coffer.agents.{cell}")
}

/// The partition, of `count`, that a record with this key belongs to.
///
/// # Panics
/// When `count` is zero.
pub fn partition_of(key: &str, count: u32) -> u32 {
    (murmur2(key.as_bytes()) & 0x7fff_ffff) % count
}

/// Kafka's murmur2 (`org.apache.kafka.common.utils.Utils.murmur2`), seed 0x9747b28c.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_b28c_u32 ^ length;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> R;
        k = k.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_agrees_with_the_java_client() {
        // The vectors of Apache Kafka's own UtilsTest.
        for (text, expected) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()) as i32, expected, "{text}");
        }
    }

    #[test]
    fn a_tenant_stays_in_its_partition() {
        assert!(partition_of("9f0c", 16) < 16);
        assert_eq!(partition_of("9f0c", 16), partition_of("9f0c", 16));
        assert_eq!(partition_of("anything", 1), 0);
    }
}
