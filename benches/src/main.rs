//! `coffer-bench`: runs benches by name, or all of them, and closes with one table.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use coffer_bench::{
    figures::BENCHES,
    http::{bare, child::Serve, plane},
    measure::Scale,
    table,
};
use mimalloc::MiMalloc;

/// As the server has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures the control plane against limits and peers of the same run.
#[derive(Parser)]
#[command(name = "coffer-bench")]
struct Arguments {
    /// Tiny sizes: shows that the benches work, and measures nothing.
    #[arg(long)]
    smoke: bool,
    /// Which benches to run; all of them when none is named.
    names: Vec<String>,
    /// What this process is for, when a bench has started it.
    #[arg(long, hide = true, requires = "home")]
    serve: Option<Serve>,
    #[arg(long, hide = true)]
    home: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let (Some(serve), Some(home)) = (arguments.serve, &arguments.home) {
        let served = match serve {
            Serve::Plane => plane::serve(home),
            Serve::Bare => bare::serve(home),
        };
        return served.map_or_else(|error| failed(&error.to_string()), |()| ExitCode::SUCCESS);
    }
    let known = |name: &String| BENCHES.iter().any(|(bench, _)| bench == name);
    if let Some(unknown) = arguments.names.iter().find(|name| !known(name)) {
        let names: Vec<&str> = BENCHES.iter().map(|(name, _)| *name).collect();
        return failed(&format!("there is no bench {unknown:?}; there are {}", names.join(", ")));
    }
    let wanted = |name: &str| arguments.names.is_empty() || arguments.names.iter().any(|wanted| wanted == name);
    let (mut lines, mut failures) = (Vec::new(), false);
    for (name, bench) in BENCHES.iter().filter(|(name, _)| wanted(name)) {
        eprintln!("bench {name}");
        match bench(Scale { smoke: arguments.smoke }) {
            Ok(mut figures) => {
                eprint!("{}", table::render(&figures));
                lines.append(&mut figures);
            }
            Err(error) => {
                failures = true;
                eprintln!("coffer-bench: {name}: {error}");
            }
        }
    }
    print!("{}", table::render(&lines));
    if failures { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("coffer-bench: {why}");
    ExitCode::FAILURE
}
