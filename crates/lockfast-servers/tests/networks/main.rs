//! Clusters on a network of their own: members are cut off, one way or both, and die.

#[cfg(unix)]
mod cluster;

#[cfg(unix)]
fn main() {
    lockfast_servers::network::enter();
    let arguments = libtest_mimic::Arguments::from_args();
    libtest_mimic::run(&arguments, cluster::trials()).exit();
}

#[cfg(not(unix))]
fn main() {}
