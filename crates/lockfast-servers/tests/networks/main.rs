//! Clusters on a network of their own: members are cut off, one way or both, and die.

#[cfg(target_os = "linux")]
mod cluster;

#[cfg(target_os = "linux")]
fn main() {
    lockfast_servers::network::enter();
    let arguments = libtest_mimic::Arguments::from_args();
    libtest_mimic::run(&arguments, cluster::trials()).exit();
}

#[cfg(not(target_os = "linux"))]
fn main() {}
