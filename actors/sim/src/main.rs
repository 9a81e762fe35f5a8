//! `coffer-sim`: lives seeds through, prints those that fail, tells the story of one.

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use coffer_domain::time::{HOUR, SECOND};
use coffer_sim::{
    Run,
    faults::{FAULTS, Tally},
    run, run_all,
};

/// Simulates the whole circle on a virtual clock.
#[derive(Parser)]
#[command(name = "coffer-sim")]
struct Arguments {
    /// How many seeds to live through.
    #[arg(long, default_value_t = 100, conflicts_with = "replay")]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1, conflicts_with = "replay")]
    from: u64,
    /// Tells the story of this seed.
    #[arg(long)]
    replay: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let failed = match arguments.replay {
        Some(seed) => run(seed, true).map(|run| {
            print_end(&run);
            usize::from(run.violation.is_some())
        }),
        None => simulate(arguments.from, arguments.seeds),
    };
    match failed {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("coffer-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns how many seeds have failed.
fn simulate(from: u64, seeds: u64) -> Result<usize, String> {
    let started = Instant::now();
    let runs = run_all(from, seeds, |run| {
        if let Some(violation) = &run.violation {
            println!("seed {} fails: {violation}\n  ops/sim --replay {}", run.seed, run.seed);
        }
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let mut tally = Tally::default();
    runs.iter().for_each(|run| tally.add(&run.tally));
    println!("what went wrong:");
    for (fault, _) in FAULTS {
        println!("  {:<18} {:>9}", fault.to_string(), tally.of(fault));
    }
    let failed = runs.iter().filter(|run| run.violation.is_some()).count();
    let hours = runs.iter().map(|run| run.lasted).sum::<i64>() / HOUR;
    let commits: u64 = runs.iter().map(|run| run.commits).sum();
    let lives: u64 = runs.iter().map(|run| run.lives).sum();
    let unrest = runs.iter().map(|run| run.longest_unrest).max().unwrap_or_default() / SECOND;
    println!(
        "{seeds} seeds, {failed} failed; {hours} h of virtual time in {seconds:.1} s, {:.1} seeds a second; \
         {commits} commits, {lives} lives of the control plane; at rest after {unrest} s at most",
        seeds as f64 / seconds
    );
    Ok(failed)
}

fn print_end(run: &Run) {
    println!("{} lines, trace {:016x}", run.lines, run.hash);
    match &run.violation {
        Some(violation) => println!("seed {} fails: {violation}", run.seed),
        None => println!("seed {} goes well", run.seed),
    }
}
