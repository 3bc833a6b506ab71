//! The promises that are about several processes, each kept by real ones.
//!
//! This program is test runner and actor in one: a test starts it again as `actor`, any number of
//! times, and has the actors do things step by step by messages. Nothing is ordered by sleeping.

mod actor;
mod actor_signals;
mod crash;
mod exclusion;
mod fork;
mod identity;
mod inputs;
mod kernel;
mod lockless;
mod release;
mod stage;
mod waiting;
mod witness;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    if arguments.get(1).is_some_and(|first| first == "actor") {
        actor::run();
        return ExitCode::SUCCESS;
    }
    let trials = [
        exclusion::trials(),
        crash::trials(),
        release::trials(),
        fork::trials(),
        waiting::trials(),
        identity::trials(),
        inputs::trials(),
        kernel::trials(),
    ];
    libtest_mimic::run(
        &Arguments::from_args(),
        trials.into_iter().flatten().collect(),
    )
    .exit_code()
}

/// A test by its name; it fails by panicking.
fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// The trials of a module, each named after its function.
#[macro_export]
macro_rules! trials {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().expect("a module has a name");
            vec![$($crate::trial(&format!("{module}::{}", stringify!($name)), $name)),*]
        }
    };
}
