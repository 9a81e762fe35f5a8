//! The local provider on this host, with a shell script in place of the agent: real processes, real addresses.

mod addresses;
mod common;
mod faults;
mod servers;
mod users;
mod volumes;

/// Not a test: what the supervisor's command line starts (see `common::Host`).
#[test]
#[ignore = "the entry point of the supervisor process that the tests start"]
fn supervisor_entry() {
    if let Some(root) = std::env::var_os(common::ROOT_VARIABLE) {
        coffer_local::supervisor::run(root.as_ref()).expect("a supervisor");
    }
}
