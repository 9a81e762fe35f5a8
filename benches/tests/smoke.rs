//! Every bench works and prints its lines, at sizes that measure nothing.

use std::process::Command;

/// A word of each bench's first line.
const LINES: [&str; 8] = [
    "durable commands through one partition",
    "GET one instance",
    "POST instance",
    "state change over HTTP",
    "heartbeats folded",
    "on disk for each stored instance",
    "kill -9 to the first answered GET",
    "create to ACTIVE and HEALTHY",
];

#[test]
fn every_bench_prints_its_figures() {
    let output = Command::new(env!("CARGO_BIN_EXE_coffer-bench")).arg("--smoke").output().unwrap();
    let (table, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");
    for line in LINES {
        let found = table.lines().find(|row| row.contains(line)).unwrap_or_else(|| panic!("no {line:?} in\n{table}"));
        let ours = found.split('|').nth(2).and_then(|figure| figure.split_whitespace().next()).unwrap_or_default();
        assert!(ours.replace(',', "").parse::<f64>().is_ok_and(|figure| figure > 0.0), "{found}");
    }
    assert!(!table.contains("NaN"), "{table}");
}

#[test]
fn a_bench_that_does_not_exist_is_refused_by_name() {
    let output = Command::new(env!("CARGO_BIN_EXE_coffer-bench")).arg("comands").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("comands"));
}
