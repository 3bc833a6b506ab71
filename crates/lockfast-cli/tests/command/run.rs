//! `lockfast run`: one lock, several locks, and the exit codes.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::stage::{Actor, HOLD, Stage, hold, is_free, outcome, run, script};

#[test]
fn runs_the_command_under_the_lock_and_returns_its_code() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut holder = Actor::start(&mut script(&lock, "echo ready; read code; exit $code"));
    holder.says("ready");
    assert!(!is_free(&lock));
    holder.tell("42");
    assert_eq!(holder.end().code(), Some(42));
    assert!(is_free(&lock));
}

#[test]
fn arguments_reach_the_command_as_they_are() {
    let stage = Stage::new();
    let mut command = run([stage.path("job.lock")]);
    command.args(["--", "printf", "%s|", "-n", "--", "a b"]);
    command.arg(OsStr::from_bytes(b"\xff"));
    assert_eq!(outcome(&mut command).output, ["-n|--|a b|\u{fffd}|"]);
}

#[test]
fn a_path_need_not_be_utf8() {
    let stage = Stage::new();
    let lock = stage.path(OsStr::from_bytes(b"\xff.lock"));
    let holder = hold(&lock);
    assert!(lock.exists());
    assert!(!is_free(&lock));
    drop(holder);
}

#[test]
fn without_waiting_a_conflict_has_its_code_and_names_path_and_holder() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let holder = hold(&lock);
    let path = lock.display();

    let conflict = outcome(run([OsStr::new("-n"), lock.as_ref()]).args(["--", "echo", "in"]));
    assert_eq!(conflict.code, Some(75));
    assert!(conflict.output.is_empty(), "{conflict:?}");
    let pid = holder.pid();
    let expected = format!("lockfast: cannot take lock {path}: it is held by pid {pid} (");
    assert!(conflict.errors.starts_with(&expected), "{conflict:?}");
    // Its command line.
    assert!(conflict.errors.contains(" -- sh -c \""), "{conflict:?}");

    let mut command = run(["-n", "-E", "0"]);
    assert_eq!(
        outcome(command.arg(&lock).args(["--", "false"])).code,
        Some(0)
    );
}

#[test]
fn a_timeout_has_its_code_and_names_path_and_holder() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let holder = hold(&lock);
    let path = lock.display();
    for (timeout, code) in [("20ms", "75"), ("0.02", "9"), ("0", "255")] {
        let mut command = run(["-w", timeout, "-E", code]);
        let gave_up = outcome(command.arg(&lock).args(["--", "echo", "in"]));
        assert_eq!(gave_up.code, code.parse().ok());
        assert!(gave_up.output.is_empty(), "{gave_up:?}");
        let (start, end) = (
            format!("lockfast: gave up on lock {path} after "),
            format!(": it is held by pid {} (", holder.pid()),
        );
        assert!(gave_up.errors.starts_with(&start), "{gave_up:?}");
        assert!(gave_up.errors.contains(&end), "{gave_up:?}");
    }
}

#[test]
fn a_waiter_gets_the_lock_when_it_is_released() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut holder = hold(&lock);
    let mut command = run(["-w", "10m"]);
    let mut waiter = Actor::start(command.arg(&lock).args(["--", "echo", "in"]));
    assert!(waiter.complaint().contains("waiting for lock"));
    holder.tell("end");
    waiter.says("in");
    assert_eq!(waiter.end().code(), Some(0));
}

#[test]
fn several_locks_are_taken_all_or_none() {
    let stage = Stage::new();
    let (first, second) = (stage.path("a.lock"), stage.path("b.lock"));
    let mut holder = hold(&second);
    let mut command = run([&first, &second]);
    assert_eq!(outcome(command.args(["-n", "--", "true"])).code, Some(75));
    assert!(is_free(&first));
    holder.tell("end");
    assert_eq!(holder.end().code(), Some(0));

    let mut command = run([&first, &second]);
    let mut both = Actor::start(command.args(["--", "sh", "-c", HOLD]));
    both.says("ready");
    assert!(!is_free(&first) && !is_free(&second));
    both.tell("end");
    both.end();
    assert!(is_free(&first) && is_free(&second));
}

/// A waiter for the first lock in the order holds none of the later ones, however they were named.
#[test]
fn the_order_is_that_of_the_real_paths() {
    let stage = Stage::new();
    let (first, last) = (stage.path("a.lock"), stage.path("z.lock"));
    symlink(stage.path(""), stage.path("0")).expect("a link");
    let last_by_link = stage.path("0").join("z.lock");
    for second_name in [&last, &last_by_link] {
        let mut holder = hold(&first);
        let mut command = run([second_name, &first]);
        let mut waiter = Actor::start(command.args(["--", "echo", "in"]));
        let complaint = waiter.complaint();
        assert!(complaint.contains("a.lock"), "{complaint}");
        assert!(is_free(&last));
        holder.tell("end");
        waiter.says("in");
        assert_eq!(waiter.end().code(), Some(0));
    }
}

#[test]
fn two_commands_with_opposite_orders_do_not_deadlock() {
    const ROUNDS: usize = 100;
    let stage = Stage::new();
    let (one, other) = (&stage.path("a.lock"), &stage.path("b.lock"));
    std::thread::scope(|scope| {
        for locks in [[one, other], [other, one]] {
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let mut command = run(locks);
                    assert_eq!(outcome(command.args(["-q", "--", "true"])).code, Some(0));
                }
            });
        }
    });
}

#[test]
fn one_lock_by_several_names_is_taken_once() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    fs::write(&lock, "").expect("a file");
    fs::hard_link(&lock, stage.path("hard.lock")).expect("a link");
    symlink(stage.path(""), stage.path("link")).expect("a link");
    let mut command = run([
        lock.as_path(),
        &lock,
        &stage.path("hard.lock"),
        &stage.path("link").join("job.lock"),
        &stage.path("./link/../job.lock"),
    ]);
    assert_eq!(outcome(command.args(["-n", "--", "true"])).code, Some(0));
}

#[test]
fn usage_errors_give_64() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let wrong: [&[&str]; 16] = [
        &[],
        &["--", "true"],
        &["LOCK"],
        &["LOCK", "--"],
        &["LOCK", "true"],
        &["--no-such-option", "LOCK", "--", "true"],
        &["-n", "-w", "1", "LOCK", "--", "true"],
        &["-w", "-1", "LOCK", "--", "true"],
        &["-w", "nan", "LOCK", "--", "true"],
        &["-w", "inf", "LOCK", "--", "true"],
        &["-w", "soon", "LOCK", "--", "true"],
        &["-E", "256", "LOCK", "--", "true"],
        &["-E", "-1", "LOCK", "--", "true"],
        &["--mode", "9", "LOCK", "--", "true"],
        &["--protocol", "paper", "LOCK", "--", "true"],
        &["--inherit", "--close", "LOCK", "--", "true"],
    ];
    for arguments in wrong {
        let lock = lock.to_str().expect("a plain name");
        let named = arguments
            .iter()
            .map(|&word| if word == "LOCK" { lock } else { word });
        let refused = outcome(&mut run(named));
        assert_eq!(refused.code, Some(64), "{arguments:?} {refused:?}");
        assert!(
            refused.errors.contains("--help"),
            "{arguments:?} {refused:?}"
        );
    }
    assert!(!lock.exists());
    assert_eq!(outcome(&mut run(["--help"])).code, Some(0));
}

#[test]
fn a_path_that_cannot_be_a_lock_gives_73() {
    let stage = Stage::new();
    let file = stage.path("file");
    fs::write(&file, "").expect("a file");
    let refused = |path: &Path| {
        let refused = outcome(&mut script(path, "echo in"));
        assert_eq!(refused.code, Some(73), "{refused:?}");
        assert!(refused.output.is_empty(), "{refused:?}");
        let path = path.display().to_string();
        assert!(refused.errors.contains(&path), "{refused:?}");
        // Messages name options of the command, not methods of the library.
        for of_rust in ["(true)", "::", "`open`"] {
            assert!(!refused.errors.contains(of_rust), "{refused:?}");
        }
    };
    refused(&stage.path(""));
    refused(&file.join("job.lock"));
    symlink(&file, stage.path("link.lock")).expect("a link");
    refused(&stage.path("link.lock"));

    // Root may write everywhere except in procfs.
    let unwritable = stage.path("unwritable");
    fs::create_dir(&unwritable).expect("a directory");
    fs::set_permissions(&unwritable, fs::Permissions::from_mode(0o500)).expect("its mode");
    if nix::unistd::geteuid().is_root() {
        refused(Path::new("/proc/job.lock"));
    } else {
        refused(&unwritable.join("job.lock"));
    }
}

#[test]
fn directories_that_are_missing_are_created() {
    let stage = Stage::new();
    let lock = stage.path("run/jobs/job.lock");
    assert_eq!(outcome(&mut script(&lock, "exit 3")).code, Some(3));
    assert!(lock.exists());
}

#[test]
fn a_command_that_cannot_run_gives_126_or_127() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let plain = stage.path("plain");
    fs::write(&plain, "").expect("a file");
    for (command, code) in [
        (plain.as_os_str(), 126),
        (OsStr::new("no-such-command"), 127),
    ] {
        let failed = outcome(run([&lock]).arg("--").arg(command));
        assert_eq!(failed.code, Some(code), "{failed:?}");
        let name = command.to_string_lossy();
        assert!(failed.errors.contains(&*name), "{failed:?}");
    }
    assert!(is_free(&lock));
}

/// It can't be prevented, but should be reported to those who did it by mistake.
#[test]
fn deleting_a_held_lock_file_is_reported() {
    let stage = Stage::new();
    let path = stage.path("job.lock");
    let command = |options: &[&str], text: &str| {
        let mut command = run(options);
        outcome(command.arg(&path).args(["--", "sh", "-c", text]).arg(&path))
    };
    let expected = format!(
        "lockfast: lock file {} was deleted or replaced while held",
        path.display()
    );
    for options in [&[][..], &["--shared"], &["--permits", "2"]] {
        for text in [
            "rm \"$0\"; exit 7",
            "touch \"$0.new\"; mv \"$0.new\" \"$0\"; exit 7",
        ] {
            let told = command(options, text);
            assert_eq!(told.code, Some(7), "{told:?}");
            assert!(told.errors.starts_with(&expected), "{options:?}: {told:?}");
            std::fs::remove_file(&path).ok();
        }
    }
    for options in [&[][..], &["--remove"]] {
        let told = command(options, "exit 7");
        assert_eq!((told.code, told.errors.as_str()), (Some(7), ""));
    }
}
