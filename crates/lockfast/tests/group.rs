//! Several locks: all or none, and no circle of waiters.

use std::path::PathBuf;
use std::time::Duration;

use lockfast::{
    Lock, Member, MemberGuard, RwLock, Semaphore, lock_all, try_lock_all, try_lock_all_for,
};
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn lock(&self, name: &str) -> Lock {
        Lock::open(self.path(name)).expect("opened")
    }

    fn rwlock(&self, name: &str) -> RwLock {
        RwLock::open(self.path(name)).expect("opened")
    }
}

#[test]
fn all_or_none() {
    let place = Place::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| place.lock(name));
    for held in ["a", "b", "c"] {
        let holder = place.lock(held);
        let guard = holder.lock().expect("the lock");
        let short = Duration::from_millis(5);
        let refused = try_lock_all([&c, &a, &b]).expect_err("one is held");
        assert!(refused.is_contended());
        assert_eq!(refused.path(), holder.path());
        let late = try_lock_all_for([&c, &a, &b], short).expect_err("one is held");
        assert!(late.is_timed_out());
        let free = [&a, &b, &c].map(|lock| lock.try_lock().is_ok());
        let expected = ["a", "b", "c"].map(|name| name != held);
        assert_eq!(free, expected);
        drop(guard);
    }
    let guards = lock_all([&c, &a, &b]).expect("all of them");
    assert!([&a, &b, &c].iter().all(|lock| lock.try_lock().is_err()));
    guards.release().expect("released");
    assert!([&a, &b, &c].iter().all(|lock| lock.try_lock().is_ok()));
}

#[test]
fn guards_come_in_the_order_of_the_members() {
    let place = Place::new();
    let (z, a) = (place.rwlock("z"), place.lock("a"));
    let members = [Member::Write(&z), Member::Lock(&a)];
    let guards = lock_all(members).expect("both").into_guards();
    let [MemberGuard::Write(_), MemberGuard::Lock(_)] = &guards[..] else {
        panic!("{guards:?}");
    };
}

#[test]
fn modes_are_the_requested_ones() {
    let place = Place::new();
    let (read, upgradable, write) = (place.rwlock("r"), place.rwlock("u"), place.rwlock("w"));
    let members = [
        Member::Read(&read),
        Member::Upgradable(&upgradable),
        Member::Write(&write),
    ];
    let guards = lock_all(members).expect("all");
    let others = [place.rwlock("r"), place.rwlock("u"), place.rwlock("w")];
    assert_eq!(
        others.each_ref().map(|lock| lock.try_read().is_ok()),
        [true, true, false]
    );
    assert_eq!(
        others
            .each_ref()
            .map(|lock| lock.try_upgradable_read().is_ok()),
        [true, false, false]
    );
    assert!(others.iter().all(|lock| lock.try_write().is_err()));
    drop(guards);
    assert!(others.iter().all(|lock| lock.try_write().is_ok()));
}

#[test]
fn one_lock_twice_is_a_deadlock_unless_it_is_read() {
    let place = Place::new();
    let (a, again) = (place.lock("a"), place.lock("a"));
    for members in [[&a, &a], [&a, &again]] {
        assert!(lock_all(members).expect_err("twice").is_deadlock());
        assert!(try_lock_all(members).expect_err("twice").is_deadlock());
    }
    let rw = place.rwlock("a");
    drop(lock_all([Member::Read(&rw), Member::Read(&rw)]).expect("readers share"));
    let mixed = [Member::Read(&rw), Member::Write(&rw)];
    assert!(lock_all(mixed).expect_err("both").is_deadlock());
    assert!(a.try_lock().is_ok());
}

#[cfg(unix)]
#[test]
fn opposite_orders_and_other_ways_to_write_a_path_end() {
    const ROUNDS: usize = 300;
    let place = Place::new();
    std::os::unix::fs::symlink(place.path(""), place.path("0")).expect("a link");
    let orders = [
        ["a", "b", "c"],
        ["c", "b", "a"],
        ["b", "0/a", "c"],
        ["0/c", "a", "b"],
    ];
    std::thread::scope(|scope| {
        for names in orders {
            let locks = names.map(|name| place.lock(name));
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    drop(lock_all(&locks).expect("all of them"));
                }
            });
        }
    });
}

#[test]
fn permits_go_with_locks() {
    let place = Place::new();
    let (lock, pool) = (
        place.lock("a"),
        Semaphore::open(place.path("pool"), 1).expect("opened"),
    );
    let guards = lock_all([Member::Permit(&pool), Member::Lock(&lock)]).expect("both");
    assert!(pool.try_acquire().expect_err("taken").is_contended());
    let refused = try_lock_all([Member::Permit(&pool)]).expect_err("taken");
    assert_eq!(refused.path(), pool.path());
    guards.release().expect("released");
    drop(pool.try_acquire().expect("it is free"));
}

#[test]
fn none_is_nothing() {
    drop(lock_all([] as [&Lock; 0]).expect("nothing to wait for"));
}
