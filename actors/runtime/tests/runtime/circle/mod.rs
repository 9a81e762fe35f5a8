//! Everything together: from a command to a database that its agent reports healthy, across stops and lost brokers.

mod full_disk;
mod intake;
mod lifecycle;
mod repair;
mod restarts;
mod tasks;
