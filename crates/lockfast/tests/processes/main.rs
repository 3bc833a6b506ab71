//! The promises that are about several processes, each kept by real ones.
//!
//! This program is test runner and actor in one: a test starts it again as `actor`, any number of
//! times, and has the actors do things step by step by messages. Nothing is ordered by sleeping.

mod actor;
mod actor_descriptors;
mod actor_forks;
mod actor_line;
mod actor_many;
mod actor_owner;
mod actor_race;
mod actor_reentrant;
mod actor_rwlock;
mod actor_semaphore;
mod actor_signals;
mod actor_tasks;
mod actor_threads;
mod asleep;
mod cancelling;
mod chaos;
mod crash;
mod deadlock;
mod descriptors;
mod diary;
mod exclusion;
mod fifo;
mod fork;
mod identity;
mod inputs;
mod interop;
// On 32 bits what it is written with has no record of 64 bits, and the kernel no other.
#[cfg(target_pointer_width = "64")]
mod kernel;
mod leases;
mod line;
mod linger;
mod lockless;
mod many;
mod mixed;
mod mixture;
mod one_file;
mod owner;
mod ownership;
mod race;
mod release;
mod remote;
mod rwlock;
mod semaphore;
mod server;
mod servers;
mod shared_memory;
mod stage;
mod tally;
mod tasks;
mod temporary;
mod threads;
mod waiting;
mod witness;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["actor"] => {
            actor::run();
            return ExitCode::SUCCESS;
        }
        ["peer", path, variant] => {
            interop::rust::run(Path::new(path), variant);
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let trials = [
        exclusion::trials(),
        crash::trials(),
        chaos::trials(),
        line::trials(),
        release::trials(),
        fork::trials(),
        waiting::trials(),
        cancelling::trials(),
        tasks::trials(),
        remote::trials(),
        owner::trials(),
        identity::trials(),
        descriptors::trials(),
        leases::trials(),
        many::trials(),
        servers::trials(),
        inputs::trials(),
        ownership::trials(),
        rwlock::trials(),
        fifo::trials(),
        fifo::line::trials(),
        race::trials(),
        semaphore::trials(),
        mixed::trials(),
        temporary::trials(),
        deadlock::trials(),
        threads::trials(),
        linger::trials(),
        mixture::trials(),
        #[cfg(target_pointer_width = "64")]
        kernel::trials(),
        interop::trials(),
    ];
    libtest_mimic::run(
        &Arguments::from_args(),
        trials.into_iter().flatten().collect(),
    )
    .exit_code()
}

/// The trials of a module, each named after the module and its function.
#[macro_export]
macro_rules! trials {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            let (_, module) = module_path!().split_once("::").expect("a module of this program");
            vec![$(lockfast_testing::trial(&format!("{module}::{}", stringify!($name)), $name)),*]
        }
    };
}
