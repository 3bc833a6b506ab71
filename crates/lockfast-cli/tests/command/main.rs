//! Tests of `lockfast` with real processes, ordered by their output.

mod doctor;
mod documents;
mod ending;
#[cfg(target_os = "linux")]
mod first_process;
mod flock;
mod inheritance;
#[cfg(target_os = "linux")]
mod inspect;
#[cfg(target_os = "linux")]
mod leases;
#[path = "../../../lockfast/tests/processes/lockless.rs"]
mod lockless;
mod mistakes;
mod named;
mod nested;
mod on;
#[cfg(all(target_os = "linux", feature = "etcd", feature = "postgres"))]
mod on_server;
#[cfg(target_os = "linux")]
mod once;
#[allow(dead_code, reason = "the tests of the library also look at the calls")]
#[path = "../../../lockfast/tests/processes/one_file.rs"]
mod one_file;
mod options;
mod order;
mod output;
mod record;
mod run;
mod signals;
mod stage;
mod terminal;
mod time_limit;
#[cfg(all(target_os = "linux", feature = "top"))]
mod tmux;
#[cfg(all(target_os = "linux", feature = "top"))]
mod top;
