//! `lockfast` as its users see it: real processes, ordered by what they say.

mod doctor;
mod documents;
mod flock;
#[cfg(target_os = "linux")]
mod inspect;
#[cfg(target_os = "linux")]
mod leases;
#[path = "../../../lockfast/tests/processes/lockless.rs"]
mod lockless;
mod options;
mod order;
mod output;
mod record;
mod run;
mod signals;
mod stage;
mod terminal;
#[cfg(target_os = "linux")]
mod tmux;
#[cfg(target_os = "linux")]
mod top;
