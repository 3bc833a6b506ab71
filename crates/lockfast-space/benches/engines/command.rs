//! The command beside etcd's own.

use std::ffi::OsStr;
use std::process::Command;

use lockfast_servers::etcd::Release;

use crate::report::{Report, time};

pub(crate) fn measure(
    report: &mut Report,
    rounds: usize,
    lockfast: &OsStr,
    url: &str,
    endpoint: &str,
) {
    let programs = Release::Debian.find().expect("it is installed");
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(time(|| {
            let mut command = Command::new(lockfast);
            end(command.args(["run", "--on", url, "command", "--", "true"]));
        }));
        bare.push(time(|| {
            let mut command = Command::new(programs.client());
            command.env("ETCDCTL_API", "3");
            command.args(["--endpoints", endpoint, "lock", "command", "true"]);
            end(&mut command);
        }));
    }
    let label = "lockfast run --on etcd://... x -- true / etcdctl lock x true";
    report.compare(label, &ours, &bare, 0.5);
}

fn end(command: &mut Command) {
    let output = command.output().expect("started");
    assert!(output.status.success(), "{command:?}: {output:?}");
}
