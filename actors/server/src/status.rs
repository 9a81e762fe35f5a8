//! `coffer status`: this node, and all partitions as it sees them.

use coffer_domain::time::{Millis, SECOND, Timestamp};
use coffer_runtime::{
    clock::{Clock, SystemClock},
    nodes::status::PartitionStatus,
};
use serde_json::json;

use crate::{
    CommandResult,
    admin::place,
    cli::Place,
    local_api::{Request, Status, ask},
};

/// Prints what the running service says.
pub fn print(named: &Place, json: bool) -> CommandResult {
    let (state, _) = place(named)?;
    let status: Status = ask(state.path(), &Request::Status)?;
    let partitions: Vec<PartitionStatus> = ask(state.path(), &Request::Partitions)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&json!({ "node": status, "partitions": partitions }))?);
        return Ok(());
    }
    let ready = if status.is_ready { "ready" } else { "not ready" };
    println!("coffer {} · process {} · {ready} · {}", status.version, status.pid, status.api);
    let own = partitions.iter().filter(|partition| partition.is_own).count();
    println!("{own} of {} partitions are this node's own\n", partitions.len());
    println!(
        "{:>9}  {:<20} {:<20} {:>6}  {:<8} {:>8} {:>8} {:>5} {:>8}",
        "partition", "owner", "since", "epoch", "here", "applied", "behind", "open", "oldest"
    );
    let now = SystemClock::default().now();
    for partition in &partitions {
        println!("{}", line(partition, now));
    }
    Ok(())
}

fn line(partition: &PartitionStatus, now: Timestamp) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    format!(
        "{:>9}  {:<20} {:<20} {:>6}  {:<8} {:>8} {:>8} {:>5} {:>8}",
        partition.partition,
        or_dash(partition.owner.clone()),
        or_dash(partition.owned_since.map(|since| format!("{}Z", since.iso()))),
        partition.epoch,
        if partition.is_own { "own" } else { "standby" },
        or_dash(partition.applied_at.map(|at| age(now - at))),
        or_dash(partition.behind.map(|records| records.to_string())),
        partition.open_operations,
        or_dash(partition.oldest_ms.map(age)),
    )
}

fn age(span: Millis) -> String {
    match span / SECOND {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_whose_a_partition_is_and_how_far_it_is_here() {
        let now = Timestamp(1_800_000_000_000);
        let partition = PartitionStatus {
            partition: 3,
            is_own: false,
            owner: Some("node-b".into()),
            owned_since: Some(now + -1000 * SECOND),
            epoch: 7,
            applied_at: Some(now + -5 * SECOND),
            behind: Some(12),
            open_operations: 2,
            oldest_ms: Some(180 * SECOND),
        };
        let words: Vec<String> = line(&partition, now).split_whitespace().map(str::to_owned).collect();
        let expected = ["3", "node-b", "2027-01-15T07:43:20Z", "7", "standby", "5", "s", "12", "2", "3", "min"];
        assert_eq!(words, expected);
        let alone = PartitionStatus { is_own: true, applied_at: None, behind: None, oldest_ms: None, ..partition };
        assert!(line(&alone, now).ends_with("own             -        -     2        -"), "{:?}", line(&alone, now));
    }
}
