//! Common mistakes, and the messages about them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::stage::{
    AS_NOBODY, Actor, HOLD, Outcome, Stage, hold, outcome, program_for_everybody, run,
};

fn lockfast(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockfast"));
    command.args(words);
    command
}

#[test]
fn a_missing_double_dash_gets_a_hint() {
    for (words, hint) in [
        (
            &["a.lock", "echo", "hi"][..],
            "lockfast run a.lock -- echo hi",
        ),
        (
            &["-w", "10", "a.lock", "ls", "-l"],
            "lockfast run a.lock -- ls -l",
        ),
        (&["a.lock"], "lockfast run a.lock -- COMMAND"),
        (
            &["a.lock", "-c", "make all"],
            "lockfast run LOCK -- sh -c 'make all'",
        ),
    ] {
        let refused = outcome(&mut run(words));
        assert_eq!(refused.code, Some(64), "{refused:?}");
        assert!(refused.errors.ends_with(hint), "{refused:?}");
    }
}

#[test]
fn the_words_of_flock_are_understood() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let runs = |options: &[&str]| outcome(run(options).arg(&lock).args(["--", "echo", "in"]));
    for option in ["-x", "-e", "--exclusive"] {
        assert_eq!(runs(&[option]).output, ["in"], "{option}");
    }
    assert_eq!(runs(&["-x", "-s"]).code, Some(64));
    let holder = hold(&lock);
    for options in [
        &["-n"][..],
        &["--nb"],
        &["--nonblock"],
        &["--nonblocking"],
        &["--no-wait"],
        &["-w", "0.01"],
        &["--wait", "0.01"],
        &["--timeout", "0.01"],
    ] {
        let refused = runs(options);
        assert_eq!(refused.code, Some(75), "{options:?} {refused:?}");
    }
    drop(holder);
}

/// Each obstacle to locking a file ends with one code, and with advice.
#[test]
fn an_unwritable_file_gets_advice() {
    if !nix::unistd::geteuid().is_root() {
        lockfast_testing::skip!("only root can make files that others may not write to");
    }
    let stage = Stage::new();
    let program = program_for_everybody(&stage);
    let lock = stage.path("job.lock");
    let attempt = |options: &[&str], lock: &Path| {
        let mut command = Command::new(AS_NOBODY[0]);
        command.args(&AS_NOBODY[1..]).arg(&program).arg("run");
        outcome(command.args(options).arg(lock).args(["--", "echo", "in"]))
    };
    for mode in [0o644, 0o444, 0o600, 0o000] {
        fs::write(&lock, "").expect("a file");
        fs::set_permissions(&lock, fs::Permissions::from_mode(mode)).expect("its mode");
        let refused = attempt(&[], &lock);
        assert_eq!(refused.code, Some(73), "{mode:o} {refused:?}");
        for word in ["root", &format!("{mode:04o}"), "--shared", "chmod"] {
            assert!(refused.errors.contains(word), "{mode:o} {refused:?}");
        }
        if mode & 0o004 != 0 {
            for options in [&["--shared"][..], &["--protocol", "flock"]] {
                assert_eq!(attempt(options, &lock).output, ["in"], "{mode:o}");
            }
        }
    }
    let refused = attempt(&[], &stage.path("new.lock"));
    assert_eq!(refused.code, Some(73), "{refused:?}");
    assert!(
        refused.errors.contains("may not create files in"),
        "{refused:?}"
    );
}

#[test]
fn attributes_of_a_file_get_advice() {
    let stage = Stage::new();
    for (attribute, word) in [("i", "immutable"), ("a", "append-only")] {
        let lock = stage.path(word);
        fs::write(&lock, "").expect("a file");
        let change = |sign: &str| {
            let mut command = Command::new("chattr");
            outcome(command.arg(format!("{sign}{attribute}")).arg(&lock))
        };
        let set = change("+");
        if set.code != Some(0) {
            lockfast_testing::skip!("the file system here has no such attribute: {}", set.errors);
        }
        let refused = outcome(run([&lock]).args(["--", "true"]));
        let _ = change("-");
        assert_eq!(refused.code, Some(73), "{refused:?}");
        let help = format!("chattr -{attribute}");
        for word in [word, &help, "--shared"] {
            assert!(refused.errors.contains(word), "{refused:?}");
        }
    }
}

#[test]
fn a_read_only_file_system_gets_advice() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    fs::write(&lock, "").expect("a file");
    let directory = stage.path("");
    let text = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && echo mounted && shift && \"$@\"";
    let attempt = |options: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", text, "sh"])
            .arg(&directory);
        command
            .arg(env!("CARGO_BIN_EXE_lockfast"))
            .arg("run")
            .args(options);
        outcome(command.arg(&lock).args(["--", "echo", "in"]))
    };
    let refused = attempt(&[]);
    if refused.output != ["mounted"] {
        lockfast_testing::skip!("nothing can be mounted here: {}", refused.errors);
    }
    assert_eq!(refused.code, Some(73), "{refused:?}");
    assert!(
        refused.errors.contains("file system is read-only"),
        "{refused:?}"
    );
    assert!(refused.errors.contains("--shared"), "{refused:?}");
    assert_eq!(attempt(&["--shared"]).output, ["mounted", "in"]);
    assert_eq!(attempt(&["--protocol", "flock"]).output, ["mounted", "in"]);
}

/// Running out of descriptors is a system error at any point.
#[test]
fn too_few_descriptors_are_a_system_error() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut refused = 0;
    for limit in 3..12 {
        let text = format!("ulimit -n {limit}; exec \"$0\" run -q \"$1\" -- true");
        let mut command = Command::new("bash");
        command.args(["-c", &text, env!("CARGO_BIN_EXE_lockfast")]);
        let ended = outcome(command.arg(&lock));
        if ended.errors.contains("Too many open files") || ended.errors.contains("error 24") {
            assert_eq!(ended.code, Some(71), "{limit} {ended:?}");
            refused += 1;
        }
    }
    assert!(refused > 0, "no limit was low enough");
}

#[test]
fn a_script_that_names_no_interpreter_runs_in_each_way_of_starting() {
    let stage = Stage::new();
    let script = stage.path("script");
    lockfast_testing::write_script(&script, "echo \"ran $1\"\n");
    let search = format!("{}:{}", stage.path("").display(), env!("PATH"));
    for options in [
        &[][..],
        &["--close"],
        &["--kill-with-parent=false"],
        &["--close", "--kill-with-parent=false"],
        &["--exec"],
    ] {
        for name in [script.as_os_str(), "script".as_ref()] {
            let mut command = run(options);
            command.env("PATH", &search).arg(stage.path("l"));
            let ran = outcome(command.arg("--").arg(name).arg("a b"));
            assert_eq!(ran.output, ["ran a b"], "{options:?} {ran:?}");
        }
    }
}

#[test]
fn the_status_of_a_file_that_is_not_there_says_so() {
    let stage = Stage::new();
    let path = stage.path("nosuch.lock");
    let told = outcome(lockfast(&["status"]).arg(&path));
    assert_eq!(told.code, Some(0), "{told:?}");
    let line = format!("{}: free (no such file)", path.display());
    assert_eq!(told.output, [line]);
    fs::write(&path, "").expect("a file");
    let told = outcome(lockfast(&["status"]).arg(&path));
    assert_eq!(told.output, [format!("{}: free", path.display())]);
}

/// A crontab with only one line moved to lockfast has no exclusion any more, and nothing fails.
#[cfg(target_os = "linux")]
#[test]
fn a_holder_with_the_other_kind_of_lock_is_a_warning() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let warned = |options: &[&str]| {
        let Outcome {
            code,
            output,
            errors,
        } = outcome(run(options).arg(&lock).args(["--", "echo", "in"]));
        assert_eq!((code, output), (Some(0), vec!["in".to_owned()]));
        errors
    };
    let mut flock = Command::new("flock");
    let mut holder = Actor::start(flock.arg(&lock).args(["sh", "-c", HOLD]));
    holder.says("ready");
    let warning = warned(&[]);
    let who = format!("warning: pid {} (flock ", holder.pid());
    assert!(warning.contains(&who), "{warning}");
    assert!(warning.contains("--protocol both"), "{warning}");
    assert_eq!(warned(&["--quiet"]), "");
    holder.tell("end");
    holder.end();
    assert_eq!(warned(&[]), "");

    let mut ours = hold(&lock);
    let warning = warned(&["--protocol", "flock"]);
    assert!(warning.contains("--protocol both"), "{warning}");
    ours.tell("end");
    ours.end();

    // A user of both kinds of locks knows about both.
    let mut both = Command::new("flock");
    both.arg(&lock)
        .args([env!("CARGO_BIN_EXE_lockfast"), "run"]);
    let both = outcome(both.arg(&lock).args(["--", "echo", "in"]));
    assert_eq!(
        (both.output, both.errors),
        (vec!["in".to_owned()], String::new())
    );
}
