//! The engine on real servers: the suite of all engines, faults, and bad input. Each test runs on each release that is
//! installed.

#[cfg(target_os = "linux")]
mod data;
#[cfg(target_os = "linux")]
mod duties;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(target_os = "linux")]
mod inspection;
#[cfg(target_os = "linux")]
mod refusals;
#[cfg(target_os = "linux")]
mod releases;
#[cfg(target_os = "linux")]
mod waits;

#[cfg(target_os = "linux")]
fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let mut trials = Vec::new();
    for release in releases::all() {
        trials.extend(duties::trials(&release));
        trials.extend(waits::trials(&release));
        trials.extend(faults::trials(&release));
        trials.extend(inspection::trials(&release));
        trials.extend(refusals::trials(&release));
        trials.extend(data::trials(&release));
    }
    libtest_mimic::run(&arguments, trials).exit_if_failed();
}

#[cfg(not(target_os = "linux"))]
fn main() {}
