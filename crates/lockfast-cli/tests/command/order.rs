//! Order of waiters: `--shared` with exclusive waiters, and `--fifo`.

use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};

use crate::stage::{Actor, HOLD, Stage, outcome, run};

/// Runs until told to end; it holds the lock when this returns.
fn holder(lock: &Path, options: &[&str]) -> Actor {
    let holder = begin(lock, options);
    holder.says("ready");
    holder
}

/// Returns once the process has reported that it waits.
fn waiter(lock: &Path, options: &[&str]) -> Actor {
    let waiter = begin(lock, options);
    let complaint = waiter.complaint();
    assert!(complaint.contains("waiting for lock"), "{complaint}");
    waiter
}

fn begin(lock: &Path, options: &[&str]) -> Actor {
    Actor::start(run(options).arg(lock).args(["--", "sh", "-c", HOLD]))
}

fn attempt(lock: &Path, options: &[&str]) -> Option<i32> {
    outcome(run(options).arg("-n").arg(lock).args(["--", "true"])).code
}

fn end(mut actor: Actor) {
    actor.tell("end");
    assert_eq!(actor.end().code(), Some(0));
}

#[test]
fn a_shared_lock_does_not_overtake_an_exclusive_waiter() {
    let stage = Stage::new();
    for more in [&[][..], &["--protocol", "both"], &["--fifo"]] {
        let lock = stage.path("data.lock");
        let shared = [&["--shared"], more].concat();
        let reader = holder(&lock, &shared);
        assert_eq!(attempt(&lock, &shared), Some(0), "{more:?}");
        let writer = waiter(&lock, more);
        assert_eq!(attempt(&lock, &shared), Some(75), "{more:?}");
        end(reader);
        writer.says("ready");
        end(writer);
    }
}

#[test]
fn a_waiter_in_strict_order_is_not_overtaken() {
    let stage = Stage::new();
    // The free lock is reserved for the first waiter, although it does not run; otherwise anyone
    // can take it, a while after it became free.
    for (options, newcomer) in [(&["--fifo"][..], Some(75)), (&[], Some(0))] {
        let lock = stage.path(format!("{newcomer:?}"));
        let first = holder(&lock, options);
        let second = waiter(&lock, options);
        second.signal(Signal::SIGSTOP);
        let stopped = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT;
        waitid(Id::Pid(second.pid()), stopped).expect("it stops");
        end(first);
        assert_eq!(attempt(&lock, options), newcomer, "{options:?}");
        second.signal(Signal::SIGCONT);
        second.says("ready");
        end(second);
    }
}
