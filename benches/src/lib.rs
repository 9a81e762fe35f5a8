//! Benches of the control plane. Each prints its figure, a limit or a peer that was measured in the same run, and their
//! ratio. `ops/docs/performance.md` says how to read them.
//!
//! * [`measure`], [`table`] – rounds that take turns, medians, percentiles, and what is printed;
//! * [`samples`], [`outside`] – instances, and a cloud and a broker that cost nothing;
//! * [`one_partition`], [`http`] – what is measured: a partition alone, or the whole API in a process of its own;
//! * [`bare`] – what it is held against;
//! * [`figures`] – the benches themselves.

pub mod bare;
pub mod figures;
pub mod http;
pub mod measure;
pub mod one_partition;
pub mod outside;
pub mod samples;
pub mod table;

/// Why a bench has no figure.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs `work` as the server runs its own: in an actix system on a multi-thread runtime.
pub fn in_system<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    const WORKER_THREADS: usize = 2;
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build();
    // Threads and timers are available when a bench starts.
    let system = actix::System::with_tokio_rt(|| runtime().expect("a runtime can be made"));
    system.block_on(work)
}
