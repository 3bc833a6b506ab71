//! The duties of every engine, on a cluster of three members.

#[cfg(target_os = "linux")]
mod duties;
#[cfg(target_os = "linux")]
#[path = "../etcd/prefix.rs"]
mod prefix;

#[cfg(target_os = "linux")]
fn main() {
    lockfast_servers::network::enter();
    let arguments = libtest_mimic::Arguments::from_args();
    libtest_mimic::run(&arguments, duties::trials()).exit_if_failed();
}

#[cfg(not(target_os = "linux"))]
fn main() {}
