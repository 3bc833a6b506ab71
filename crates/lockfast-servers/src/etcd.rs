//! Servers of etcd: [`Server`] is one member on the loopback interface, [`Cluster`] three on a network of their own.

mod cluster;
mod member;
mod release;
mod server;

use std::process::Command;

pub use cluster::Cluster;
pub use release::{Programs, RELEASES, Release};
pub use server::{Clients, Options, Server};

/// Returns a command that runs `etcdctl` on these servers.
fn etcdctl(programs: &Programs, endpoints: &str) -> Command {
    let mut command = Command::new(programs.client());
    command.env("ETCDCTL_API", "3");
    command.arg(format!("--endpoints={endpoints}"));
    command
}

/// Returns what the command prints. It must succeed.
fn output(command: &mut Command) -> String {
    let done = command.output().expect("the command can be started");
    assert!(done.status.success(), "{command:?}: {done:?}");
    String::from_utf8(done.stdout).expect("text")
}
