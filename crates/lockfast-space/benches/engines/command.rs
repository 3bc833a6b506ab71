//! The command beside etcd's own, and what it can't do without.

use std::ffi::OsStr;
use std::process::Command;

use lockfast_servers::etcd::Release;

use crate::raw::Raw;
use crate::report::{Report, time};

pub(crate) fn measure(
    report: &mut Report,
    rounds: usize,
    lockfast: &OsStr,
    url: &str,
    endpoint: &str,
) {
    let programs = Release::Debian.find().expect("it is installed");
    let (mut ours, mut least, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(time(|| {
            let mut command = Command::new(lockfast);
            end(command.args(["run", "--on", url, "command", "--", "true"]));
        }));
        least.push(time(|| {
            end(Command::new(lockfast).arg("--version"));
            // Connects, and gets a lease.
            let mut raw = Raw::new(endpoint, "raw/command");
            let revision = raw.create();
            end(&mut Command::new("true"));
            raw.delete(revision);
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
    let label = "the start of both programs, and the requests one by one / etcdctl lock x true";
    report.compare(label, &least, &bare, 0.5);
}

fn end(command: &mut Command) {
    let output = command.output().expect("started");
    assert!(output.status.success(), "{command:?}: {output:?}");
}
