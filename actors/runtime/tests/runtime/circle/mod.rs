//! Everything together: from a command to a database that its agent reports healthy, across stops and lost brokers.

mod intake;
mod lifecycle;
mod restarts;
mod tasks;
