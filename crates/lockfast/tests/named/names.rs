//! Names, and the processes that share them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use lockfast::binding_support::AnyOptions;
use lockfast::{Lock, ReentrantLock, RwLock, Scope, Semaphore};
use lockfast_testing::{trial, trial_needing};

use crate::actor::{Actor, NOBODY, PERMITS, SCOPE, USER};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("processes_exclude_each_other_by_name", exclusion),
        trial(
            "neither_session_nor_variables_change_which_lock_it_is",
            neither_session_nor_variables,
        ),
        trial("processes_share_the_permits_of_a_name", permits),
        trial(
            "a_lock_and_an_rwlock_of_one_name_exclude_each_other",
            a_lock_and_an_rwlock_of_one_name_exclude_each_other,
        ),
        trial(
            "a_lock_and_a_semaphore_of_one_name_exclude_each_other",
            a_lock_and_a_semaphore_of_one_name_exclude_each_other,
        ),
        trial(
            "a_reentrant_lock_and_a_lock_of_one_name_exclude_each_other",
            a_reentrant_lock_and_a_lock_of_one_name_exclude_each_other,
        ),
        trial(
            "names_are_checked_before_anything_is_created",
            names_are_checked_before_anything_is_created,
        ),
        trial(
            "options_that_no_semaphore_has_are_refused_by_name_too",
            options_that_no_semaphore_has_are_refused_by_name_too,
        ),
        trial_needing!(
            "all_users_share_the_machines_locks",
            has_machines_locks(),
            all_users_share_the_machines_locks,
        ),
        trial_needing!(
            "users_have_locks_of_their_own",
            is_root(),
            users_have_locks_of_their_own,
        ),
    ]
}

fn is_root() -> Result<(), String> {
    if nix::unistd::geteuid().is_root() {
        Ok(())
    } else {
        Err("only root can be two users".into())
    }
}

/// Not all systems have a directory for them, and some have it for root alone.
fn has_machines_locks() -> Result<(), String> {
    let name = unique("probe");
    let lock = Lock::options().scope(Scope::Machine).open_named(&name);
    let lock = lock.map_err(|error| error.to_string())?;
    fs::remove_file(lock.path()).map_err(|error| error.to_string())
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it exists").mode() & 0o7777
}

fn exclusion() {
    let name = unique("exclusion::by_name");
    let mut holder = Actor::start(&name, &[]);
    let path = PathBuf::from(holder.answer());
    assert!(path.ends_with(format!("{name}.lock")), "{}", path.display());
    assert_eq!(mode(&path) & 0o777, 0o600);
    assert_eq!(mode(path.parent().expect("it has one")), 0o700);

    let refused = Actor::answer_of(&name, &[]);
    let held = format!("held by pid {}", holder.child.id());
    assert!(
        refused.contains(&format!("{name}.lock")) && refused.contains(&held),
        "{refused}"
    );
    let other_name = unique("exclusion::other");
    let other = Actor::answer_of(&other_name, &[]);
    assert!(other.ends_with(&format!("{other_name}.lock")), "{other}");

    holder.kill();
    let next = Actor::answer_of(&name, &[]);
    assert_eq!(Path::new(&next), path);
    fs::remove_file(path).expect("removed");
    fs::remove_file(other).expect("removed");
}

fn neither_session_nor_variables() {
    let name = unique("session");
    let session = tempfile::tempdir().expect("a directory");
    fs::set_permissions(session.path(), Permissions::from_mode(0o700)).expect("its mode");
    let session = session.path().to_str().expect("a plain path");
    let mut holder = Actor::start(&name, &[]);
    let path = holder.answer();
    for variable in ["XDG_RUNTIME_DIR", "TMPDIR", "HOME", "XDG_STATE_HOME"] {
        let refused = Actor::answer_of(&name, &[(variable, session)]);
        assert!(refused.contains("held by pid"), "{variable}: {refused}");
    }
    holder.end();
    fs::remove_file(path).expect("removed");
}

fn permits() {
    let name = unique("shared-permits");
    let environment = [(PERMITS, "2")];
    let mut holders = [(); 2].map(|()| Actor::start(&name, &environment));
    let paths = [0, 1].map(|holder| PathBuf::from(holders[holder].answer()));
    assert_eq!(paths[0], paths[1]);
    assert_eq!(mode(&paths[0]) & 0o777, 0o600);
    let refused = Actor::answer_of(&name, &environment);
    assert!(refused.contains("cannot acquire a permit"), "{refused}");
    let refused = Actor::answer_of(&name, &[(PERMITS, "3")]);
    assert!(refused.contains("3 permits here and 2 where"), "{refused}");

    let [killed, other] = holders;
    killed.kill();
    let next = Actor::answer_of(&name, &environment);
    assert_eq!(Path::new(&next), paths[0]);
    other.end();
    fs::remove_file(next).expect("removed");
}

fn a_lock_and_an_rwlock_of_one_name_exclude_each_other() {
    let name = unique("both");
    let readers = RwLock::named(&name).expect("a lock");
    let reader = readers.read().expect("free");
    let lock = lockfast::Lock::named(&name).expect("a lock");
    assert!(lock.try_lock().expect_err("held").is_contended());
    drop(reader);
    drop(lock.try_lock().expect("free"));
    fs::remove_file(lock.path()).expect("removed");
}

fn a_lock_and_a_semaphore_of_one_name_exclude_each_other() {
    let name = unique("permits");
    let pool = Semaphore::named(&name, 2).expect("a semaphore");
    let permit = pool.acquire().expect("free");
    assert_eq!(
        Semaphore::named(&name, 2)
            .expect("it")
            .available_permits()
            .ok(),
        Some(1)
    );
    let lock = lockfast::Lock::named(&name).expect("a lock");
    assert!(lock.try_lock().expect_err("held").is_contended());
    drop(permit);
    drop(lock.try_lock().expect("free"));
    fs::remove_file(lock.path()).expect("removed");
}

fn a_reentrant_lock_and_a_lock_of_one_name_exclude_each_other() {
    let name = unique("reentrant");
    let lock = ReentrantLock::named(&name).expect("a lock");
    let guards = (lock.lock().expect("free"), lock.lock().expect("again"));
    let other = lockfast::Lock::named(&name).expect("a lock");
    assert!(other.try_lock().expect_err("held").is_contended());
    drop(guards);
    drop(other.try_lock().expect("free"));
    fs::remove_file(other.path()).expect("removed");
}

fn names_are_checked_before_anything_is_created() {
    for name in ["", "..", "a/b", ".hidden", "a\0"] {
        for refused in [
            Lock::named(name).map(drop),
            RwLock::named(name).map(drop),
            ReentrantLock::named(name).map(drop),
            Semaphore::named(name, 2).map(drop),
        ] {
            let error = refused.expect_err("not a name");
            assert!(error.is_invalid_path(), "{error}");
            assert_eq!(error.path(), Path::new(name));
        }
    }
}

fn options_that_no_semaphore_has_are_refused_by_name_too() {
    let name = unique("refused");
    let path = lockfast::Lock::named(&name)
        .expect("a lock")
        .path()
        .to_owned();
    fs::remove_file(&path).expect("removed");
    let removing = Semaphore::options().set_remove_on_release(true);
    for refused in [Semaphore::named(&name, 0), removing.open_named(&name, 2)] {
        assert_eq!(refused.expect_err("refused").path(), path);
        assert!(!path.exists());
    }
}

fn all_users_share_the_machines_locks() {
    let name = unique("machine");
    let lock = Lock::options().scope(Scope::Machine).open_named(&name);
    let lock = lock.expect("a lock");
    assert!(
        lock.path()
            .ends_with(format!("lock/lockfast-{name}.lock").as_str()),
        "{lock:?}"
    );
    assert_eq!(mode(lock.path()), 0o666);
    let mut environment = vec![(SCOPE, "machine")];
    let nobody = NOBODY.to_string();
    if is_root().is_ok() {
        environment.push((USER, &nobody));
    }
    let guard = lock.lock().expect("free");
    let refused = Actor::answer_of(&name, &environment);
    assert!(
        refused.contains("cannot take lock") && refused.contains("held by pid"),
        "{refused}"
    );
    drop(guard);
    let path = Actor::answer_of(&name, &environment);
    assert_eq!(Path::new(&path), lock.path());

    let pool = Semaphore::options().scope(Scope::Machine);
    let pool = pool.open_named(&name, 2).expect("a semaphore");
    assert_eq!(pool.path(), lock.path());
    environment.push((PERMITS, "2"));
    let permit = pool.acquire().expect("free");
    let path = Actor::answer_of(&name, &environment);
    assert_eq!(Path::new(&path), lock.path());
    let other = pool.acquire().expect("free");
    let refused = Actor::answer_of(&name, &environment);
    assert!(refused.contains("cannot"), "{refused}");
    drop((permit, other));
    fs::remove_file(lock.path()).expect("removed");
}

fn users_have_locks_of_their_own() {
    let name = unique("users");
    let as_user = |user: &str| PathBuf::from(Actor::answer_of(&name, &[(USER, user)]));
    let (one, other) = (as_user("0"), as_user(&NOBODY.to_string()));
    assert_ne!(one, other);
    for (path, owner) in [(one, 0), (other, NOBODY)] {
        let directory = path.parent().expect("it has one");
        assert_eq!(mode(directory), 0o700, "{}", path.display());
        let found = directory.metadata().expect("it is there").uid();
        assert_eq!(found, owner);
        fs::remove_file(path).expect("removed");
    }
}

/// A name that no other run has.
pub(crate) fn unique(what: &str) -> String {
    format!("lockfast-test-{what}-{}", std::process::id())
}
