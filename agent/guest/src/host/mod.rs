//! Linux: processes, `/proc`, files that survive a crash, and disk space.

pub mod disk;
pub mod files;
pub mod proc;
pub mod process;
pub mod random;
