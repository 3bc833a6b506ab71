//! Waits of tasks, by hand and on the runtimes that people use.
#![cfg(target_os = "linux")]

mod by_hand;
mod dropping;
mod polling;
mod runtimes;
mod stage;
