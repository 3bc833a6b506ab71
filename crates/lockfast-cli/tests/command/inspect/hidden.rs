//! Reports name what could not be seen: other users' processes, and those outside a container.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::inspect::{file, locker};
use crate::lockless;
use crate::stage::{AS_NOBODY, Stage, hold, outcome, program_for_everybody};

/// Another user can't look into the holder. The report says so, and shows everything that is
/// public.
#[test]
fn another_user_learns_that_something_could_not_be_seen() {
    if !nix::unistd::geteuid().is_root() {
        lockfast_testing::skip!("to become another user takes root");
    }
    let stage = Stage::new();
    let program = program_for_everybody(&stage);
    let as_nobody = |arguments: &[&OsStr]| {
        let mut command = Command::new("env");
        outcome(command.args(AS_NOBODY).arg(&program).args(arguments))
    };
    // An exclusive lock of lockfast names its holder in the locked bytes.
    let named = stage.path("named.lock");
    let holder = hold(&named);
    let told = as_nobody(&["status".as_ref(), named.as_ref()]);
    assert_eq!(told.code, Some(75), "{told:?}");
    let who = format!("pid {} (", holder.pid());
    assert!(told.output[1].contains(&who), "{told:?}");
    assert_eq!(told.output.len(), 2, "{told:?}");

    let unnamed = file(&stage, "unnamed.lock");
    let mut holder = locker();
    holder.tell(&format!("ofd {}", unnamed.display()));
    holder.says("locked");
    let told = as_nobody(&["status".as_ref(), unnamed.as_ref()]);
    assert_eq!(told.code, Some(75), "{told:?}");
    assert_eq!(told.output[1], "  holding exclusive: an unknown process");
    assert!(
        told.output[2].contains("not everything could be seen"),
        "{told:?}"
    );
    assert!(
        told.output[2].contains("of other users may not"),
        "{told:?}"
    );
    // The file is found by its inode number.
    let listed = as_nobody(&["ls".as_ref(), stage.path("").as_os_str()]);
    let line = format!("{}\tholding\texclusive\tofd\t?", unnamed.display());
    assert!(
        listed.output.iter().any(|text| text.starts_with(&line)),
        "{listed:?}"
    );
    let last = listed.output.last().expect("a line");
    assert!(last.contains("not everything could be seen"), "{listed:?}");
    let json = as_nobody(&["ls".as_ref(), "--json".as_ref(), stage.path("").as_os_str()]);
    let json: Value = serde_json::from_str(&json.output.join("\n")).expect("it is JSON");
    let incomplete = &json["incomplete"];
    assert!(
        incomplete["unreadable_processes"].as_u64() > Some(0),
        "{json}"
    );
    assert!(incomplete["unnamed"].as_u64() > Some(0), "{json}");
    let text = incomplete["text"].as_str().expect("a text");
    assert!(text.starts_with("not everything could be seen"), "{json}");
    let others = [
        "hidden_processes",
        "other_pid_namespaces",
        "other_machines",
        "shared_unseen",
    ];
    for other in others {
        assert!(incomplete[other].is_boolean(), "{other}: {json}");
    }
}

/// The report tells hidden processes of other users apart from unreadable ones.
#[test]
fn a_proc_that_hides_processes_is_named() {
    let stage = Stage::new();
    let path = file(&stage, "job.lock");
    let mut holder = locker();
    holder.tell(&format!("ofd {}", path.display()));
    holder.says("locked");
    let program = program_for_everybody(&stage);
    let status = |options: &str| {
        let text = "mount -t proc -o \"$0\" proc /proc || exit 99; exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", text, options]);
        // Root sees everything.
        outcome(
            command
                .args(AS_NOBODY)
                .arg(&program)
                .arg("status")
                .arg(&path),
        )
    };
    let plain = status("hidepid=0");
    if plain.code != Some(75) {
        lockfast_testing::skip!("it takes root to mount /proc anew: {plain:?}");
    }
    let hidden = status("hidepid=2");
    for (told, is_hidden) in [(plain, false), (hidden, true)] {
        assert_eq!(told.code, Some(75), "{told:?}");
        let last = told.output.last().expect("a line");
        assert!(last.contains("not everything could be seen"), "{told:?}");
        assert_eq!(last.contains("hidepid"), is_hidden, "{told:?}");
    }
}

#[test]
fn without_proc_nothing_is_said_to_be_free() {
    let stage = Stage::new();
    let path = stage.path("job.lock");
    let _holder = hold(&path);
    for command in ["status", "ls"] {
        let text = "umount -l /proc || exit 99; exec \"$0\" \"$@\"";
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", text, env!("CARGO_BIN_EXE_lockfast")]);
        let told = outcome(unshare.arg(command).arg(&path));
        if told.code == Some(99) || told.errors.contains("unshare") {
            lockfast_testing::skip!("it takes root to be without /proc: {told:?}");
        }
        assert_eq!((told.code, told.output.len()), (Some(71), 0), "{told:?}");
        let expected = "/proc, which shows the locks, cannot be read: ";
        assert!(told.errors.contains(expected), "{told:?}");
    }
}

/// In a separate pid namespace, as in a container, locks from outside are listed without names.
#[test]
fn a_container_shows_its_own_locks_and_mentions_others() {
    let inner = |arguments: &[&OsStr]| {
        let mut command = Command::new("unshare");
        command.args([
            "--pid",
            "--fork",
            "--mount-proc",
            env!("CARGO_BIN_EXE_lockfast"),
        ]);
        outcome(command.args(arguments))
    };
    let stage = Stage::new();
    let path = stage.path("job.lock");
    if inner(&["status".as_ref(), path.as_ref()]).code != Some(0) {
        assert!(
            !nix::unistd::geteuid().is_root(),
            "root may have namespaces"
        );
        lockfast_testing::skip!("a namespace of pids takes root");
    }
    let _holder = hold(&path);
    let told = inner(&["status".as_ref(), path.as_ref()]);
    assert_eq!(told.code, Some(75), "{told:?}");
    assert_eq!(
        told.output[1],
        "  holding exclusive writer: an unknown process"
    );
    assert!(
        told.output[2].contains("outside of this container"),
        "{told:?}"
    );

    let own = stage.path("own.lock");
    let text = "exec \"$0\" status \"$1\"";
    let program = OsStr::new(env!("CARGO_BIN_EXE_lockfast"));
    let words = ["--", "sh", "-c", text].map(OsStr::new);
    let mut arguments = vec![OsStr::new("run"), own.as_os_str()];
    arguments.extend(words);
    arguments.extend([program, own.as_os_str()]);
    let told = inner(&arguments);
    assert_eq!(told.code, Some(75), "{told:?}");
    assert!(
        told.output[1].contains("holding exclusive writer: pid 1 ("),
        "{told:?}"
    );
    // That is everything that can be seen; there may be more.
    for subject in [&own, &stage.path("")] {
        for command in ["status", "ls"] {
            let told = inner(&[command.as_ref(), subject.as_os_str()]);
            let last = told.output.last().expect("a line");
            assert!(last.contains("outside of this container"), "{told:?}");
        }
    }
}

/// The kernel knows nothing of locks that a server keeps.
#[test]
fn locks_of_other_machines_are_not_thought_to_be_free() {
    let stage = Stage::new();
    let directory = stage.path("mounted");
    fs::create_dir(&directory).expect("a directory");
    let session = lockless::mount(&directory, 0).expect("a file system");
    let path = directory.join("job.lock");
    fs::write(&path, "").expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockfast"));
    let told = outcome(command.arg("status").arg(&path));
    assert_eq!(told.output[0], format!("{}: free", path.display()));
    assert!(
        told.output[1].contains("locks of other machines"),
        "{told:?}"
    );
    drop(session);
}

#[test]
fn a_path_that_cannot_be_inspected_gives_71_and_the_others_are_shown() {
    let stage = Stage::new();
    let (lock, impossible) = (stage.path("job.lock"), stage.path("x".repeat(300)));
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockfast"));
    let told = outcome(command.arg("status").args([&impossible, &lock]));
    assert_eq!(told.code, Some(71), "{told:?}");
    assert!(told.errors.contains(impossible.to_str().expect("text")));
    let missing = format!("{}: free (no such file)", lock.display());
    assert_eq!(told.output, [missing]);
}
