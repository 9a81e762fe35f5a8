//! Some hundred histories, and the proof that they are worth it: repeatable, and nothing left out.

use std::env;

use coffer_sim::{
    faults::{FAULTS, Tally},
    run, run_all,
};

/// Seeds lived through unless `COFFER_SIM_SEEDS` asks for another number.
const SEEDS: u64 = 300;
/// With so many, every kind of fault has come up.
const ENOUGH: u64 = 100;

#[test]
fn whatever_goes_wrong_the_promises_are_kept() {
    let seeds = env::var("COFFER_SIM_SEEDS").map_or(SEEDS, |text| text.parse().expect("COFFER_SIM_SEEDS: a number"));
    let runs = run_all(1, seeds, |_| {}).unwrap();
    let mut tally = Tally::default();
    runs.iter().for_each(|run| tally.add(&run.tally));
    let failed: Vec<String> = runs
        .iter()
        .filter_map(|run| Some(format!("ops/sim --replay {}: {}", run.seed, run.violation.as_ref()?)))
        .collect();
    assert!(failed.is_empty(), "{} of {seeds} seeds failed:\n{}", failed.len(), failed.join("\n"));
    if seeds >= ENOUGH {
        let missing: Vec<String> =
            FAULTS.iter().filter(|(fault, _)| tally.of(*fault) == 0).map(|(fault, _)| fault.to_string()).collect();
        assert!(missing.is_empty(), "never happened: {missing:?}");
    }
}

#[test]
fn the_same_seed_goes_the_same_way() {
    for seed in [1, 2, 3, 5, 8, 13] {
        let (first, second) = (run(seed, false).unwrap(), run(seed, false).unwrap());
        assert_eq!((first.hash, first.lines), (second.hash, second.lines), "seed {seed}");
        assert_ne!(first.hash, run(seed + 100, false).unwrap().hash, "another seed goes another way");
    }
}
