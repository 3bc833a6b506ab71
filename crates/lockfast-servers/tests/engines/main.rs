//! Engines under faults: clients of several processes with threads and tasks, while servers and clients are killed,
//! stopped and cut off, and checkers of what the clients saw.
//!
//! This program is test runner and client in one: a test starts it again as `client`.

#[cfg(target_os = "linux")]
mod chaos;
#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod diary;
#[cfg(target_os = "linux")]
mod dice;
#[cfg(target_os = "linux")]
mod etcd;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(target_os = "linux")]
mod fence;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod history;
#[cfg(target_os = "linux")]
mod place;
#[cfg(target_os = "linux")]
mod postgres;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod steps;

#[cfg(target_os = "linux")]
fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("client") => return client::run(&arguments[1..]),
        Some("steps") => return steps::answer(&arguments[1..]),
        _ => {}
    }
    lockfast_servers::network::enter();
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [
        files::trials(),
        faults::trials(),
        etcd::trials(),
        postgres::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit();
}

#[cfg(not(target_os = "linux"))]
fn main() {}
