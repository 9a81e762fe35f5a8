//! Holds the wire format still: every message that this build can write stands in a file under `tests/golden`, and
//! every such file is read back to the same value. A difference breaks agents that are already deployed.
//!
//! `COFFER_BLESS=1 cargo test -p coffer-protocol` writes the files anew; read the difference before committing it.

mod golden;
mod messages;
mod sealed;
