//! Locks by name: in the user's profile, or where programs keep what all users share.

use std::path::Path;

use lockfast::{Lock, ReentrantLock, RwLock, Scope, Semaphore};

use crate::stage::{Actor, is_wine};
use crate::trials;

trials![
    a_name_is_one_lock_for_all_processes_of_the_user,
    each_primitive_has_names,
    names_that_windows_would_take_for_something_else_are_names,
    a_lock_of_the_machine_needs_a_directory_of_the_system,
];

/// A name that no other test has; its file is removed at the end.
struct Name(String);

impl Name {
    fn new(what: &str) -> Self {
        Self(format!("lockfast-test-{}-{what}", std::process::id()))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if let Ok(lock) = Lock::named(&self.0) {
            let path = lock.path().to_owned();
            drop(lock);
            let _ = std::fs::remove_file(path);
        }
    }
}

fn a_name_is_one_lock_for_all_processes_of_the_user() {
    let name = Name::new("one");
    let lock = Lock::named(&name.0).expect("a lock");
    let directory = lock.path().parent().expect("it is in one");
    assert!(directory.ends_with(r"AppData\Local\lockfast"), "{lock:?}");
    let mut actor = Actor::start();
    actor.ask(&format!("named a {}", name.0));
    actor.ask("take a g");
    assert!(lock.try_lock().expect_err("held").is_contended());
    actor.kill();
    drop(lock.lock().expect("its holder is gone"));
}

fn each_primitive_has_names() {
    let name = Name::new("each");
    let rw = RwLock::named(&name.0).expect("a lock");
    let reader = rw.read().expect("free");
    let lock = lockfast::Lock::named(&name.0).expect("a lock");
    assert!(lock.try_lock().expect_err("read").is_contended());
    drop(reader);
    let reentrant = ReentrantLock::named(&name.0).expect("a lock");
    let guard = reentrant.lock().expect("free");
    assert!(lock.try_lock().expect_err("held").is_contended());
    drop(guard);
    let permits = Semaphore::named(&name.0, 2).expect("a semaphore");
    let permit = permits.try_acquire().expect("free");
    assert!(
        lock.try_lock()
            .expect_err("a permit is held")
            .is_contended()
    );
    drop(permit);
    drop(lock.try_lock().expect("free"));
}

fn names_that_windows_would_take_for_something_else_are_names() {
    let names = ["a::b", r"a\b", "a?b", "a%b"].map(Name::new);
    let locks = names
        .each_ref()
        .map(|name| Lock::named(&name.0).expect("a lock"));
    let guards = locks
        .each_ref()
        .map(|lock| lock.try_lock().expect("its own lock"));
    for lock in &locks {
        let file = lock.path().file_name().expect("a name");
        assert!(
            lock.path().is_file() && Path::new(file).extension().is_some(),
            "{lock:?}"
        );
    }
    drop(guards);
    let device = Lock::named("nul").expect("a lock");
    assert!(device.path().is_file(), "{device:?}");
    drop(device.try_lock().expect("free"));
    for name in ["a/b", "", ".a"] {
        assert!(Lock::named(name).expect_err("no name").is_invalid_path());
    }
}

fn a_lock_of_the_machine_needs_a_directory_of_the_system() {
    let name = Name::new("machine");
    let opened = Lock::options().scope(Scope::Machine).open_named(&name.0);
    if is_wine() {
        // There everything belongs to the one user.
        let error = opened.expect_err("its directory is the user's");
        assert!(error.is_invalid_path(), "{error}");
        assert!(
            error.to_string().contains("belongs neither to the system"),
            "{error}"
        );
        lockfast_testing::skip!("Wine's directory for the locks of the machine is the user's");
    }
    let lock = opened.expect("a lock");
    let mut actor = Actor::start();
    actor.ask(&format!("named-for-all a {}", name.0));
    actor.ask("take a g");
    assert!(lock.try_lock().expect_err("held").is_contended());
    actor.kill();
    let path = lock.path().to_owned();
    drop(lock);
    std::fs::remove_file(path).expect("the user's own");
}
