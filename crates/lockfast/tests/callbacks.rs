//! Waits that call functions of the program.
#![cfg(target_os = "linux")]

use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use lockfast::{Lock, Waiting};

#[test]
fn a_panic_while_it_is_granted_leaves_nothing_locked() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.lock");
    let open = |path| Lock::open(path).expect("opened");
    let held = Mutex::new(Some(open(&path).lock().expect("it is free")));
    let (calls, other) = (AtomicU32::new(0), open(&path));
    let panics = move |_: &Waiting<'_>| {
        if calls.fetch_add(1, Ordering::Relaxed) > 0 {
            drop(held.lock().expect("nobody panics").take());
            // Once it was refused, the thread that waits has it.
            while other.try_lock().is_ok() {
                thread::yield_now();
            }
            panic::resume_unwind(Box::new("ouch"));
        }
        ControlFlow::Continue(())
    };
    let lock = Lock::options()
        .on_wait(panics)
        .wait_interval(Duration::from_millis(1))
        .open(&path)
        .expect("opened");
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| lock.lock()));
    let payload = outcome.expect_err("the panic goes on here");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"ouch"));
    let free = open(&path).try_lock_for(Duration::from_secs(10));
    assert!(free.is_ok(), "{free:?}");
    drop(lock);
}
