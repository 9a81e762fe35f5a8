//! See `coffer_fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| coffer_fuzz::config::check(data));
