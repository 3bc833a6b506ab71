//! Where the file of a name is, and which directories are refused.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use lockfast_testing::trial_needing;

use crate::actor::{Actor, EXPOSE, NOBODY, PERMITS, USER};
use crate::machine::{self, LOCKS, TEMPORARY, set_mode};

pub(crate) fn trials() -> Vec<Trial> {
    let here = |name, test: fn()| trial_needing!(name, machine::can_be_made(), test);
    vec![
        here("a_user_goes_where_the_system_lets_users", by_system),
        here("there_is_no_third_place", no_third_place),
        here("a_planted_directory_is_refused", planted_directory),
        here("a_planted_link_is_refused", planted_link),
        here("a_private_directory_is_refused", private_directory),
        here(
            "the_directory_is_looked_at_whenever_the_file_is_opened",
            looked_at_again,
        ),
        trial_needing!(
            "systemd_cleans_no_lock_away",
            machine::can_be_made().and_then(|()| has_tmpfiles()),
            cleaned,
        ),
    ]
}

const NAME: &str = "place";
const TMPFILES: &str = "systemd-tmpfiles";

/// The answer of a process of that user which takes the lock.
fn answer(user: u32) -> String {
    Actor::answer_of(NAME, &[(USER, &user.to_string())])
}

fn is_empty(path: &str) -> bool {
    fs::read_dir(path).expect("readable").next().is_none()
}

fn by_system() {
    let in_locks = |user| format!("{LOCKS}/lockfast-{user}/{NAME}.lock");
    let in_temporary = |user| format!("{TEMPORARY}/lockfast-{user}/{NAME}.lock");
    machine::with(0o1777, 0o1777, || {
        assert_eq!(answer(NOBODY), in_locks(NOBODY));
        assert_eq!(answer(0), in_locks(0));
        assert!(is_empty(TEMPORARY));
    });
    machine::with(0o755, 0o1777, || {
        assert_eq!(answer(NOBODY), in_temporary(NOBODY));
        assert_eq!(answer(0), in_locks(0));
        let file = fs::metadata(in_temporary(NOBODY)).expect("it is there");
        // With the bit that keeps it from being cleaned away.
        assert_eq!((file.mode() & 0o7777, file.uid()), (0o1600, NOBODY));
    });
}

fn no_third_place() {
    for temporary in [0o755, 0o777] {
        machine::with(0o755, temporary, || {
            let refused = answer(NOBODY);
            assert!(
                refused.starts_with("cannot keep named locks in /var/tmp"),
                "{refused}"
            );
            assert!(is_empty(LOCKS) && is_empty(TEMPORARY));
        });
    }
}

fn planted_directory() {
    for (locks, place) in [(0o1777, LOCKS), (0o755, TEMPORARY)] {
        machine::with(locks, 0o1777, || {
            let planted = format!("{place}/lockfast-{NOBODY}");
            fs::create_dir(&planted).expect("planted");
            set_mode(&planted, 0o777);
            let refused = answer(NOBODY);
            assert!(
                refused.starts_with(&format!("cannot keep named locks in {planted}: "))
                    && refused.contains("another user"),
                "{refused}"
            );
            assert!(is_empty(&planted));
            // Root is no exception.
            let planted = format!("{place}/lockfast-0");
            fs::create_dir(&planted).expect("planted");
            chown(&planted, Some(NOBODY), None).expect("given away");
            if place == LOCKS {
                assert!(answer(0).contains("another user"));
            }
        });
    }
}

fn planted_link() {
    machine::with(0o1777, 0o1777, || {
        let elsewhere = format!("{TEMPORARY}/elsewhere");
        fs::create_dir(&elsewhere).expect("a directory");
        set_mode(&elsewhere, 0o777);
        symlink(&elsewhere, format!("{LOCKS}/lockfast-{NOBODY}")).expect("a link");
        let refused = answer(NOBODY);
        assert!(refused.contains("symbolic link"), "{refused}");
        assert!(is_empty(&elsewhere));
    });
}

fn private_directory() {
    machine::with(0o755, 0o1777, || {
        let private = Path::new(LOCKS).join("systemd-private-0123-cron.service-AbCdEf/tmp");
        fs::create_dir_all(&private).expect("a directory");
        set_mode(&private, 0o1777);
        machine::bind(&private, TEMPORARY);
        let refused = answer(NOBODY);
        assert!(
            refused.contains("/var/tmp") && refused.contains("PrivateTmp"),
            "{refused}"
        );
        assert!(is_empty(TEMPORARY));
    });
}

fn has_tmpfiles() -> Result<(), String> {
    match Command::new(TMPFILES).arg("--version").output() {
        Ok(told) if told.status.success() => Ok(()),
        _ => Err(format!("it needs {TMPFILES}")),
    }
}

fn cleaned() {
    machine::with(0o755, 0o1777, || {
        let user = NOBODY.to_string();
        let mut holder = Actor::start(NAME, &[(USER, &user)]);
        let path = holder.answer();
        let other = format!("{TEMPORARY}/other");
        fs::write(&other, "").expect("written");
        let rules = tempfile::NamedTempFile::new().expect("a file");
        // However young a file is, it is too old.
        fs::write(rules.path(), format!("d {TEMPORARY} 1777 root root 0\n")).expect("written");
        let clean = Command::new(TMPFILES)
            .arg("--clean")
            .arg(rules.path())
            .status();
        assert!(clean.expect("started").success());
        assert!(!Path::new(&other).exists());
        assert!(Path::new(&path).exists());
        assert!(answer(NOBODY).contains("held by pid"));
        holder.end();
    });
}

fn looked_at_again() {
    machine::with(0o1777, 0o1777, || {
        for permits in [None, Some((PERMITS, "2"))] {
            let user = NOBODY.to_string();
            let mut environment = vec![(USER, &*user), (EXPOSE, "1")];
            environment.extend(permits);
            let refused = Actor::answer_of(NAME, &environment);
            assert!(
                refused.contains("cannot keep named locks in")
                    && refused.contains("others can enter"),
                "{refused}"
            );
            set_mode(format!("{LOCKS}/lockfast-{NOBODY}"), 0o700);
        }
    });
}
