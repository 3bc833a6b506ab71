//! Trust in places, on directories made for each test.

#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use tempfile::TempDir;

use super::*;
use crate::sys::Others;

const NOBODY: u32 = 65_534;
const OWN: &str = "lockfast-me";

fn is_root() -> bool {
    let own = tempfile::tempfile().expect("a file");
    own.metadata().expect("known").uid() == 0
}

/// The ownership of a directory with that mode.
fn found(is_systems: bool, is_users: bool, mode: u32) -> Ownership {
    let (_base, path) = directory(mode);
    Ownership {
        is_systems,
        is_users,
        ..ownership(&path).expect("it is there")
    }
}

/// A directory of the user's with that mode, in one that is the user's alone.
fn directory(mode: u32) -> (TempDir, PathBuf) {
    let base = tempfile::tempdir().expect("a directory");
    let path = base.path().join("place");
    fs::create_dir(&path).expect("a directory in it");
    set_mode(&path, mode);
    (base, path)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
}

fn places(base: &Path) -> Places {
    Places {
        locks: base.join("missing"),
        temporary: base.to_path_buf(),
        own: OWN.to_owned(),
    }
}

fn assert_refused(directory: &Directory, because: &str) {
    let error = directory.make_safe().expect_err("it is not safe");
    assert!(error.is_invalid_path(), "{error}");
    assert_eq!(error.path(), directory.path());
    assert!(error.to_string().contains(because), "{error}");
}

#[test]
fn an_own_directory_is_made_for_the_user_alone_and_kept() {
    let base = tempfile::tempdir().expect("a directory");
    let own = Directory::Own(base.path().join("lockfast"));
    for _ in 0..2 {
        own.make_safe().expect("a safe directory");
        let found = ownership(own.path()).expect("it is there");
        assert!(found.is_users && !found.others.enter);
        let mode = fs::metadata(own.path()).expect("it is there").mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[test]
fn a_planted_link_is_not_followed() {
    let (base, target) = directory(0o700);
    for (name, target) in [
        ("link", target.clone()),
        ("dangling", base.path().join("no")),
    ] {
        let link = base.path().join(name);
        symlink(target, &link).expect("a link");
        assert_refused(&Directory::Own(link), "symbolic link");
    }
    assert!(!base.path().join("no").exists());
    assert_eq!(fs::read_dir(target).expect("readable").count(), 0);
}

#[test]
fn a_planted_file_is_no_directory() {
    let base = tempfile::tempdir().expect("a directory");
    let path = base.path().join("file");
    fs::write(&path, "planted").expect("a file");
    assert_refused(&Directory::Own(path), "something else than a directory");
}

#[test]
fn a_directory_that_others_can_enter_is_refused() {
    for mode in [0o777, 0o1777, 0o710, 0o701, 0o755] {
        let (_base, path) = directory(mode);
        assert_refused(&Directory::Own(path), "others can enter");
    }
}

#[test]
fn a_directory_of_another_user_is_refused() {
    let (_base, own) = directory(0o700);
    // Only root can give a directory away; everybody else has root's to try.
    let theirs = if is_root() {
        chown(&own, Some(NOBODY), None).expect("given away");
        own
    } else {
        PathBuf::from("/")
    };
    assert_refused(&Directory::Own(theirs), "belongs to another user");
}

#[test]
fn the_directory_for_locks_comes_first_if_users_may_create_files_in_it() {
    let (base, locks) = directory(0o1777);
    let with = |locks: &Path| Places {
        locks: locks.to_path_buf(),
        ..places(base.path())
    };
    let chosen = |places: Places| choose(places).expect("a place");
    assert_eq!(chosen(with(&locks)), locks.join(OWN));

    let base = base.path().canonicalize().expect("a path");
    let elsewhere = base.join(OWN);
    set_mode(&locks, 0o777);
    assert_eq!(chosen(with(&locks)), elsewhere);
    assert_eq!(chosen(with(&base.join("missing"))), elsewhere);
}

#[test]
fn a_place_that_cannot_be_looked_at_sends_nobody_elsewhere() {
    let base = tempfile::tempdir().expect("a directory");
    let file = base.path().join("file");
    fs::write(&file, "").expect("a file");
    let locks = file.join("lock");
    let places = Places {
        locks: locks.clone(),
        ..places(base.path())
    };
    assert_eq!(choose(places).expect_err("no directory").path(), locks);
}

#[test]
fn a_planted_directory_sends_nobody_elsewhere() {
    let (base, locks) = directory(0o1777);
    let own = locks.join(OWN);
    fs::write(&own, "planted").expect("a file");
    let places = Places {
        locks,
        ..places(base.path())
    };
    assert_eq!(choose(places).expect("a place"), own);
}

#[test]
fn a_place_from_which_others_can_move_things_is_refused() {
    for (mode, fits) in [
        (0o777, false),
        (0o775, false),
        (0o1777, true),
        (0o755, true),
    ] {
        let (_base, path) = directory(mode);
        let chosen = choose(places(&path));
        assert_eq!(chosen.is_ok(), fits, "{mode:o}: {chosen:?}");
    }
    let foreign = found(false, false, 0o1777);
    assert!(parent_fault(foreign).is_some());
    assert!(!may_create_in(foreign));
}

#[test]
fn a_shared_place_is_used_only_if_the_user_can_create_there() {
    assert!(may_create_in(found(true, false, 0o1777)));
    assert!(may_create_in(found(true, true, 0o755)));
    assert!(!may_create_in(found(true, false, 0o755)));
    assert!(!may_create_in(found(true, false, 0o777)));
}

#[test]
fn the_machines_directory_must_be_the_systems_and_nobody_removes_what_is_in_it() {
    assert_eq!(public_fault(found(true, false, 0o1777)), None);
    assert_eq!(public_fault(found(true, false, 0o755)), None);
    assert!(public_fault(found(true, false, 0o777)).is_some());
    assert!(public_fault(found(true, false, 0o775)).is_some());
    assert!(public_fault(found(false, true, 0o1777)).is_some());
    let link = Ownership {
        sort: FileSort::Symlink,
        ..found(true, false, 0o755)
    };
    assert!(public_fault(link).is_some());

    let (_base, path) = directory(0o777);
    let error = Directory::Public(path).make_safe().expect_err("not safe");
    assert!(error.is_invalid_path(), "{error}");
    // Its own parts differ as well as made-up ones.
    let found = Others {
        enter: true,
        create: true,
        remove: true,
    };
    let (_base, path) = directory(0o777);
    assert_eq!(ownership(&path).expect("it is there").others, found);
}

#[test]
fn names_that_are_not_file_names_are_refused_with_the_rule() {
    for (name, rule) in [
        ("", "empty"),
        (".", "dot"),
        ("..", "dot"),
        (".hidden", "dot"),
        ("a/b", "`/`"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        (&"x".repeat(MAX_NAME + 1), "200 bytes"),
    ] {
        let error = check(name).expect_err(name);
        assert!(error.is_invalid_path(), "{error}");
        assert!(error.to_string().contains(rule), "{name:?}: {error}");
    }
    for name in [
        "nightly",
        "my_crate::jobs::run",
        "a.b-c",
        "größe",
        &"x".repeat(MAX_NAME),
    ] {
        assert!(check(name).is_ok(), "{name:?}");
    }
}

#[test]
fn a_name_is_found_by_its_file() {
    for name in ["a", "jobs:nightly", "50%", "%41", "a.lock", "%", "%zz"] {
        let file = file_of(name).expect("a name");
        assert_eq!(name_of(&file).as_deref(), Some(name));
    }
    for other in ["a", "notes.txt", ".lock", ".a.lock"] {
        assert_eq!(name_of(other), None, "{other}");
    }
    assert!(file_of("a/b").is_err());
}
