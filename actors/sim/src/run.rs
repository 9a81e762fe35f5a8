//! Lives seeds through, one after the other or several at a time.

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use coffer_domain::time::Millis;
use tempfile::TempDir;
use tokio::{runtime::Builder, select, task::yield_now, time::sleep_until};

use crate::{
    case::{Case, Ending},
    cluster::Disks,
    desk::Event,
    faults::Tally,
    panics, plane,
    world::{Shared, World, lock},
};

/// Memory file system: a sync costs nothing there.
const FAST_DIRECTORY: &str = "/dev/shm";

/// How a seed went.
#[derive(Debug, Clone)]
pub struct Run {
    pub seed: u64,
    /// Of the whole story; see [`crate::trace`].
    pub hash: u64,
    pub lines: u64,
    /// Virtual time from beginning to end.
    pub lasted: Millis,
    pub commits: u64,
    /// Lives of the control plane.
    pub lives: u64,
    pub longest_unrest: Millis,
    pub tally: Tally,
    /// What must never happen, if it did.
    pub violation: Option<String>,
}

/// Lives one seed through; `aloud` prints its story.
///
/// # Errors
/// When there is no directory for the store, or no runtime.
pub fn run(seed: u64, aloud: bool) -> Result<Run, String> {
    in_a_world(
        |disks| World::create(seed, disks, aloud),
        |locked| Run {
            seed,
            hash: locked.desk.trace.hash(),
            lines: locked.desk.trace.lines(),
            lasted: locked.desk.now(),
            commits: locked.commits,
            lives: locked.lives,
            longest_unrest: locked.longest_unrest,
            tally: locked.desk.tally,
            violation: locked.desk.violation().map(str::to_owned),
        },
    )
}

/// Lives through a history with one planted fault; `aloud` prints its story.
///
/// # Errors
/// Those of [`run`].
pub fn run_case(case: &Case, seed: u64, aloud: bool) -> Result<Ending, String> {
    in_a_world(
        |disks| World::scripted(seed, disks, aloud, case.plan(), &case.acts()),
        |locked| Ending {
            seen: locked.script().seen.clone().flatten(),
            struck: locked.desk.plan.struck,
            violation: locked.desk.violation().map(str::to_owned),
        },
    )
}

/// Lives a world through, on a store of its own and a virtual clock, and tells what is left to tell of it.
fn in_a_world<T>(
    create: impl FnOnce(Disks) -> Result<Shared, String>,
    tell: impl FnOnce(&World) -> T,
) -> Result<T, String> {
    panics::watch();
    let directory = directory().map_err(|error| format!("no directory for the store: {error}"))?;
    let disks = Disks::new(directory.path().to_owned());
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    let system = actix::System::with_tokio_rt(|| runtime);
    system.block_on(async {
        let world = create(disks)?;
        live(&world).await;
        let locked = lock(&world);
        Ok(tell(&locked))
    })
}

/// Lives `count` seeds through from `first` on, on all cores, and hands each to `done` as it ends.
///
/// # Errors
/// Those of [`run`].
pub fn run_all(first: u64, count: u64, done: impl Fn(&Run) + Sync) -> Result<Vec<Run>, String> {
    let next = AtomicU64::new(first);
    let runs = Mutex::new(Vec::new());
    let work = || -> Result<(), String> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first.saturating_add(count) {
                return Ok(());
            }
            let run = run(seed, false)?;
            done(&run);
            runs.lock().unwrap_or_else(PoisonError::into_inner).push(run);
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker has panicked".to_owned())?)
    })?;
    let mut runs = runs.into_inner().unwrap_or_else(PoisonError::into_inner);
    runs.sort_by_key(|run| run.seed);
    Ok(runs)
}

async fn live(world: &Shared) {
    loop {
        let (event, next_at, changed) = {
            let mut locked = lock(world);
            if let Some(panic) = panics::take() {
                locked.desk.violated(format!("a panic: {panic}"));
            }
            if locked.is_over() {
                return;
            }
            let event = locked.desk.due();
            let next_at = locked.desk.next_at().map(|at| locked.desk.clock.instant(at));
            (event, next_at, locked.desk.changed.clone())
        };
        match event {
            Some(Event::PlaneStarts) => plane::start(world).await,
            Some(Event::PlaneEnds { life }) => plane::end(world, life).await,
            Some(event) => lock(world).handle(event),
            None => {
                let Some(next_at) = next_at else { return };
                select! {
                    biased;
                    () = changed.notified() => {}
                    () = sleep_until(next_at) => {}
                }
            }
        }
        // Those who were told something go on before the next event of this instant.
        yield_now().await;
    }
}

fn directory() -> std::io::Result<TempDir> {
    let builder = &mut tempfile::Builder::new();
    let builder = builder.prefix("coffer-sim-");
    builder.tempdir_in(Path::new(FAST_DIRECTORY)).or_else(|_| builder.tempdir())
}
