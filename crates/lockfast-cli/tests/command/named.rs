//! `--named`: locks by name.

use std::process::Command;

use lockfast::{Lock, Scope};

use crate::stage::{outcome, run};

/// A name that no other test uses.
fn unique(name: &str) -> String {
    format!("lockfast-test-{name}-{}", std::process::id())
}

fn run_named(options: &[&str], name: &str) -> Command {
    let mut command = run(options);
    command
        .arg(name)
        .args(["--", "sh", "-c", "echo \"$LOCKFAST_HELD\""]);
    command
}

#[test]
fn a_name_is_a_lock_of_the_user() {
    let name = unique("user");
    let lock = Lock::named(&name).expect("a lock");
    let ran = outcome(&mut run_named(&["-n", "--named"], &name));
    let path = std::fs::canonicalize(lock.path()).expect("a file");
    assert_eq!(ran.output, [path.to_str().expect("plain")], "{ran:?}");
    let guard = lock.lock().expect("it is free");
    for scope in ["--named", "--named=user"] {
        let refused = outcome(&mut run_named(&["-n", scope], &name));
        assert_eq!(refused.code, Some(75), "{refused:?}");
    }
    drop(guard);
    std::fs::remove_file(path).expect("removed");
}

#[test]
fn a_name_can_be_a_lock_of_the_machine() {
    let name = unique("machine");
    let lock = Lock::options()
        .scope(Scope::Machine)
        .open_named(&name)
        .expect("a lock");
    let guard = lock.lock().expect("it is free");
    let refused = outcome(&mut run_named(&["-n", "--named=machine"], &name));
    assert_eq!(refused.code, Some(75), "{refused:?}");
    drop(guard);
    let removed = outcome(&mut run_named(
        &["-n", "--named=machine", "--remove"],
        &name,
    ));
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert!(!lock.path().exists());
}

#[test]
fn permits_can_have_a_name() {
    let name = unique("permits");
    let ran = outcome(&mut run_named(&["-n", "--named", "--permits", "2"], &name));
    assert_eq!((ran.code, ran.output.len()), (Some(0), 1), "{ran:?}");
    std::fs::remove_file(&ran.output[0]).expect("removed");
}

#[test]
fn invalid_names_are_refused() {
    for wrong in ["a/b", "a\nb"] {
        let refused = outcome(&mut run_named(&["-n", "--named"], wrong));
        assert_ne!(refused.code, Some(0), "{wrong:?}: {refused:?}");
        assert!(refused.errors.contains("name"), "{wrong:?}: {refused:?}");
    }
}
