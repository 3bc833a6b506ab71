//! Handles and guards that are gone have left no descriptor open.
#![cfg(target_os = "linux")]

use lockfast::{Lock, ReentrantLock, RwLock};

/// A single test, as all tests of a program share its descriptors.
#[test]
fn nothing_is_left_open() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.lock");
    let open = || {
        let descriptors = std::fs::read_dir("/proc/self/fd").expect("the list");
        descriptors.count()
    };
    let before = open();
    for _ in 0..50 {
        let lock = Lock::open(&path).expect("opened");
        lock.lock().expect("locked").release().expect("released");
        drop(lock.try_lock().expect("locked"));

        let lock = RwLock::open(&path).expect("opened");
        let (one, other) = (lock.read().expect("in"), lock.clone().read().expect("in"));
        assert!(lock.try_write().is_err());
        drop((one, other));
        let upgradable = lock.upgradable_read().expect("in");
        let writer = upgradable.upgrade().expect("upgraded");
        drop(writer.downgrade().expect("downgraded"));

        let lock = ReentrantLock::open(&path).expect("opened");
        let (outer, inner) = (lock.lock().expect("locked"), lock.lock().expect("again"));
        drop((outer, inner));

        let (outer, inner) = (lock.lock().expect("locked"), lock.lock().expect("again"));
        inner.release().expect("left");
        outer.release().expect("released");
    }
    assert_eq!(open(), before);
}
