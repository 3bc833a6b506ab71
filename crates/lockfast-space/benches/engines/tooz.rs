//! Python's locks on etcd: lockfast next to tooz.

use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::report::Report;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/engines/peers.py");

pub(crate) fn measure(
    report: &mut Report,
    rounds: usize,
    python: &OsStr,
    url: &str,
    endpoint: &str,
) {
    let mut command = Command::new(python);
    command.arg(SCRIPT).arg(url);
    command.arg(format!("etcd3+http://{endpoint}"));
    let output = command.arg(rounds.to_string()).output().expect("started");
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return report.leave_out("tooz", why.lines().last().unwrap_or_default());
    }
    let times: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let labels = [
        ("pair", "Python on etcd x3: lock + unlock / tooz"),
        ("hand-over", "Python on etcd x3: hand-over / tooz"),
    ];
    for (key, label) in labels {
        let [ours, theirs] = [0, 1].map(|side| seconds(&times[key][side]));
        report.compare(label, &ours, &theirs, 1.0);
    }
}

fn seconds(list: &Value) -> Vec<Duration> {
    let list = list.as_array().expect("a list");
    let seconds = list.iter().map(|time| time.as_f64().expect("a number"));
    seconds.map(Duration::from_secs_f64).collect()
}
