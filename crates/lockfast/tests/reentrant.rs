//! A thread takes its lock again; everybody else waits until the last guard is gone.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lockfast::{Lock, ReentrantLock};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.lock");
    (directory, path)
}

#[test]
fn it_is_held_until_the_last_guard_goes_in_whatever_order() {
    let (_directory, path) = place();
    let lock = ReentrantLock::open(&path).expect("opened");
    let other = Lock::open(&path).expect("opened");
    for first_goes_first in [true, false] {
        let first = lock.lock().expect("the lock");
        let second = lock.try_lock().expect("again");
        let third = lock.try_lock_for(Duration::ZERO).expect("and again");
        assert!(other.try_lock().is_err());
        let last = if first_goes_first {
            drop(first);
            second.release().expect("released");
            third
        } else {
            drop(third);
            second.release().expect("released");
            first
        };
        assert!(other.try_lock().expect_err("still held").is_contended());
        last.release().expect("released");
        drop(other.try_lock().expect("it is free"));
    }
}

#[test]
fn another_thread_waits_for_the_last_guard() {
    let (_directory, path) = place();
    let lock = ReentrantLock::open(&path).expect("opened");
    let (outer, inner) = (lock.lock().expect("the lock"), lock.lock().expect("again"));
    let (tell, told) = mpsc::channel();
    let others = lock.clone();
    let thread = thread::spawn(move || {
        assert!(others.try_lock().expect_err("held").is_contended());
        let short = Duration::from_millis(5);
        assert!(others.try_lock_for(short).expect_err("held").is_timed_out());
        tell.send("tried").expect("heard");
        let guard = others.lock().expect("the lock, at last");
        tell.send("locked").expect("heard");
        drop(guard);
    });
    assert_eq!(told.recv(), Ok("tried"));
    drop(outer);
    assert!(told.try_recv().is_err());
    drop(inner);
    assert_eq!(told.recv(), Ok("locked"));
    thread.join().expect("no panic");
}

#[test]
fn another_handle_is_another_lock() {
    let (_directory, path) = place();
    let lock = ReentrantLock::open(&path).expect("opened");
    let other = ReentrantLock::open(&path).expect("opened");
    let _guard = lock.lock().expect("the lock");
    assert!(other.lock().expect_err("this thread has it").is_deadlock());
    assert!(other.try_lock().expect_err("held").is_contended());
}

#[test]
fn a_panic_releases_all_of_it() {
    let (_directory, path) = place();
    let lock = ReentrantLock::open(&path).expect("opened");
    let panicking = lock.clone();
    let outcome = thread::spawn(move || {
        let _outer = panicking.lock().expect("the lock");
        let _inner = panicking.lock().expect("again");
        std::panic::resume_unwind(Box::new("while holding"));
    });
    assert!(outcome.join().is_err());
    drop(lock.try_lock().expect("it is free"));
}
