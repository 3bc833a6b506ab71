//! The JSON matches its documentation.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;

use crate::inspect::{json, lockfast, until_waiting};
use crate::stage::{Actor, HOLD, Stage, run, script};

/// The documentation.
const PAGE: &str = include_str!("../../../../../docs/json.md");

/// Returns the names of all fields, at any depth.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                found.insert(name.clone());
                fields(member, found);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| fields(element, found)),
        _ => {}
    }
}

#[test]
fn every_field_is_documented_and_a_lock_has_the_promised_ones() {
    let stage = Stage::new();
    let path = stage.path("job.lock");
    let mut command = run(["--record", "--label", "nightly backup"]);
    let holder = Actor::start(command.arg(&path).args(["--", "sh", "-c", HOLD]));
    holder.says("ready");
    let waiter = Actor::start(script(&path, "true").arg("-q"));
    until_waiting(&path, waiter.pid());
    let mut command = run(["--permits", "4"]);
    command.arg(stage.path("pool.lock"));
    command.args(["--", "sh", "-c", HOLD]);
    let no_text = OsStr::from_bytes(b"caf\xe9");
    let permit = Actor::start(command.arg(no_text));
    permit.says("ready");
    let mut found = BTreeSet::new();
    fields(&json(lockfast(["ls"]).arg(stage.path(""))), &mut found);
    for words in [&["ls"][..], &["ls", "--deadlocks"], &["status"]] {
        fields(&json(lockfast(words).arg(&path)), &mut found);
    }
    for field in &found {
        // Fields of permits are in an example.
        let forms = [format!("`{field}`"), format!("\"{field}\"")];
        let is_told = forms.iter().any(|form| PAGE.contains(form));
        assert!(is_told, "docs/json.md does not tell of {field}");
    }
    let promised = [
        "schema",
        "status",
        "locks",
        "deadlocks",
        "path",
        "free",
        "deleted",
        "device",
        "inode",
        "state",
        "mode",
        "kind",
        "role",
        "permits",
        "count",
        "of",
        "first_byte",
        "last_byte",
        "since",
        "label",
        "processes",
        "pid",
        "parent",
        "uid",
        "user",
        "name",
        "command",
        "command_bytes",
        "started",
        "threads",
    ];
    for field in promised {
        assert!(found.contains(field), "{field} is not among {found:?}");
    }
}
