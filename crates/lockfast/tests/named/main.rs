//! Locks by name.
//!
//! This program is test runner and other process in one. Where a test is about the directories of the
//! system, it has directories of its own in their places (`machine`).

#[cfg(unix)]
mod actor;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(unix)]
mod names;
#[cfg(target_os = "linux")]
mod places;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    use libtest_mimic::Arguments;

    let words: Vec<_> = std::env::args().collect();
    if let [_, word, name] = &words[..] {
        if word == actor::ACTOR {
            actor::run(name);
            return std::process::ExitCode::SUCCESS;
        }
    }
    let trials = names::trials();
    // Elsewhere no directory can take the place of another for one process.
    #[cfg(target_os = "linux")]
    let trials = trials.into_iter().chain(places::trials()).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

#[cfg(not(unix))]
fn main() {}
