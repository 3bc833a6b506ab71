//! A space that is a directory.

#![cfg(not(lockfast_unsupported))]

use std::process;

use lockfast::{Member, lock_all};
use lockfast_conformance::Place;
use lockfast_space::{Any, Lock, RwLock, Semaphore, Space};
use tempfile::TempDir;

struct Directory {
    space: Space,
    _dir: TempDir,
}

impl Directory {
    fn new() -> Self {
        Self::with("")
    }

    fn with(options: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let url = url_of(&dir);
        let space = Space::open(&format!("{url}{options}")).expect("opened");
        Self { space, _dir: dir }
    }
}

fn url_of(dir: &TempDir) -> String {
    let path = dir.path().display().to_string().replace('\\', "/");
    format!("file:///{}", path.trim_start_matches('/'))
}

impl Place for Directory {
    type Engine = Any;

    fn lock(&self, name: &str) -> Lock {
        self.space.lock(name).expect("opened")
    }

    fn rwlock(&self, name: &str) -> RwLock {
        self.space.rwlock(name).expect("opened")
    }

    fn semaphore(&self, name: &str, permits: u32) -> Semaphore {
        self.space.semaphore(name, permits).expect("opened")
    }

    fn waiters(&self, name: &str) -> Option<usize> {
        let entry = self.space.holders(name).expect("known");
        Some(entry.map_or(0, |entry| entry.waiters.len()))
    }
}

mod conformance {
    lockfast_conformance::suite!(super::Directory::new());
}

// The kernel shows who waits.
#[cfg(target_os = "linux")]
mod conformance_in_order {
    lockfast_conformance::suite!(super::Directory::with("?fifo=yes"));
}

#[test]
fn names_of_all_engines_have_the_same_rules() {
    let Directory { space, .. } = Directory::new();
    let long = "x".repeat(4096);
    for name in ["", ".hidden", "a/b", "..", "a\0b", "a\nb", &long] {
        let errors = [
            space.lock(name).map(drop),
            space.rwlock(name).map(drop),
            space.semaphore(name, 1).map(drop),
            space.holders(name).map(drop),
            space.break_token(name, 1).map(drop),
        ];
        for error in errors {
            let error = error.expect_err(name);
            assert!(error.is_invalid_path(), "{error}");
            assert!(error.to_string().contains(space.url()), "{error}");
            assert!(error.to_string().len() < 400, "{error}");
        }
    }
    for name in [
        "a",
        "jobs:nightly",
        "50%",
        "über",
        "a b.lock",
        &"x".repeat(200),
    ] {
        drop(space.lock(name).expect("a name").lock().expect("free"));
    }
}

#[test]
fn a_space_is_one_directory() {
    let (here, there) = (Directory::new(), Directory::new());
    let again = here.space.clone();
    let held = here.lock("a").lock().expect("free");
    assert!(again.lock("a").expect("opened").try_lock().is_err());
    assert!(there.lock("a").try_lock().is_ok());
    drop(held);
    let members = [here.lock("b"), there.lock("a"), here.lock("a")];
    let guards = lock_all(members.iter().map(Member::Lock)).expect("free");
    assert_eq!(guards.len(), 3);
}

#[test]
fn waiters_keep_their_order_if_they_are_to() {
    assert!(Directory::with("?fifo=yes").space.capabilities().fifo);
    assert!(Directory::with("?fifo=yes").lock("a").capabilities().fifo);
    assert!(!Directory::new().lock("a").capabilities().fifo);
    let (space, lock) = (Directory::new().space, Directory::new().lock("a"));
    assert_eq!(space.capabilities(), lock.capabilities());
}

#[cfg(target_os = "linux")]
#[test]
fn holders_and_waiters_are_listed() {
    let place = Directory::new();
    let space = &place.space;
    assert_eq!(space.list("").expect("known"), []);
    let _lock = place.lock("jobs.b").lock().expect("free");
    let _permits = place.semaphore("jobs.a", 3).acquire_many(2).expect("free");
    let _reader = place.rwlock("other").read().expect("free");
    drop(place.lock("free").lock().expect("free"));
    let names = |prefix| -> Vec<_> {
        let entries = space.list(prefix).expect("known");
        entries.into_iter().map(|entry| entry.name).collect()
    };
    assert_eq!(names(""), ["jobs.a", "jobs.b", "other"]);
    assert_eq!(names("jobs."), ["jobs.a", "jobs.b"]);
    let entry = space.holders("jobs.a").expect("known").expect("held");
    assert_eq!(entry.kind, lockfast_space::Kind::Semaphore(3));
    let holder = &entry.holders[0];
    assert_eq!((holder.pid, holder.permits), (Some(process::id()), 2));
    let error = space
        .break_token("jobs.b", 1)
        .expect_err("the kernel keeps it");
    assert!(error.is_unsupported(), "{error}");
}

#[test]
fn a_directory_that_keeps_locks_is_diagnosed() {
    let place = Directory::new();
    let checks = place.space.diagnose();
    assert_eq!(checks[0].verdict, lockfast_space::Verdict::Ok, "{checks:?}");
    assert_eq!(place.space.list("").expect("known"), []);
    let error = Space::open("file:///dev/null/locks").expect("nothing is opened yet");
    assert_eq!(error.diagnose()[0].verdict, lockfast_space::Verdict::Fail);
}

#[cfg(not(feature = "etcd"))]
#[test]
fn a_scheme_without_its_feature_names_it() {
    let error = Space::open("etcd://me:hunter2@localhost:2379").expect_err("not built");
    assert_eq!(error.kind(), lockfast::ErrorKind::Unsupported);
    let text = error.to_string();
    assert!(
        text.contains("feature `etcd`") && !text.contains("hunter2"),
        "{text}"
    );
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_scheme_of_postgresql_without_its_feature_names_it() {
    let error = Space::open("postgres://localhost/db").expect_err("not built");
    assert_eq!(error.kind(), lockfast::ErrorKind::Unsupported);
    assert!(error.to_string().contains("feature `postgres`"), "{error}");
}
