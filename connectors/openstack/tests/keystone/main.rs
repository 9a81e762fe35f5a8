//! The connector against a Keystone that misbehaves on demand. The real one is in `ops/test keystone`.

mod answers;
mod fake;
mod faults;
