//! Promises on Windows, kept by several processes: exclusion, crashes, waits that end, conversions, files
//! that are deleted, and programs that know nothing of lockfast.
//!
//! This program is test runner and actor in one, as `processes` is for Unix. `cargo xtask platforms
//! windows` runs it.

#[cfg(windows)]
mod actor;
#[cfg(windows)]
mod content;
#[cfg(windows)]
mod crash;
#[cfg(windows)]
mod exclusion;
#[cfg(windows)]
mod foreign;
#[cfg(windows)]
mod identity;
#[cfg(all(windows, feature = "inspect"))]
mod inspect;
#[cfg(windows)]
mod named;
#[cfg(windows)]
mod rwlock;
#[cfg(windows)]
mod semaphore;
#[cfg(windows)]
mod stage;
#[cfg(windows)]
mod unsupported;
#[cfg(windows)]
mod waiting;

#[cfg(windows)]
fn main() -> std::process::ExitCode {
    use libtest_mimic::Arguments;

    if std::env::args().nth(1).as_deref() == Some("actor") {
        actor::run();
        return std::process::ExitCode::SUCCESS;
    }
    let trials = [
        exclusion::trials(),
        crash::trials(),
        waiting::trials(),
        rwlock::trials(),
        identity::trials(),
        content::trials(),
        semaphore::trials(),
        foreign::trials(),
        named::trials(),
        unsupported::trials(),
        #[cfg(feature = "inspect")]
        inspect::trials(),
    ];
    libtest_mimic::run(
        &Arguments::from_args(),
        trials.into_iter().flatten().collect(),
    )
    .exit_code()
}

#[cfg(not(windows))]
fn main() {}

/// The trials of a module, each named after its function.
#[cfg(windows)]
#[macro_export]
macro_rules! trials {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            let module = module_path!().rsplit("::").next().expect("a module has a name");
            let name = |test: &str| format!("{module}::{test}");
            vec![$(libtest_mimic::Trial::test(name(stringify!($name)), || {
                $name();
                Ok(())
            })),*]
        }
    };
}
