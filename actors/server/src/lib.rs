//! What of the server the benches put together in another way; everything else is in the binary.

pub mod control;
