//! Readers and writers of one handle: guards that move, and waits that are dropped.
#![cfg(target_os = "linux")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use lockfast::{Protocol, RwLock, Waiting};
use lockfast_testing::DEADLINE;
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.lock");
    (directory, path)
}

fn open(path: &Path) -> RwLock {
    RwLock::open(path).expect("opened")
}

fn polled<R>(wait: &mut Pin<&mut impl Future<Output = R>>) -> Poll<R> {
    let mut context = Context::from_waker(Waker::noop());
    wait.as_mut().poll(&mut context)
}

/// Whether nobody, of this process or another, has anything of the lock.
fn is_free(path: &Path) -> bool {
    open(path).try_write_for(Duration::from_secs(10)).is_ok()
}

#[test]
fn waits_that_are_dropped_leave_nothing_locked() {
    let (_directory, path) = place();
    let lock = open(&path);
    let reader = lock.read().expect("it is free");
    let mut writes = Box::pin(lock.write_async());
    assert!(polled(&mut writes.as_mut()).is_pending());
    let mut reads = Box::pin(lock.read_async());
    assert!(polled(&mut reads.as_mut()).is_pending());
    // From now on the second reader has the turn.
    drop(writes);
    drop(reader);
    drop(reads);
    assert!(is_free(&path));
}

#[test]
fn a_task_that_is_not_polled_keeps_nobody_elsewhere_out() {
    let (_directory, path) = place();
    let lock = open(&path);
    let reader = lock.read().expect("it is free");
    let mut writes = Box::pin(lock.write_async());
    assert!(polled(&mut writes.as_mut()).is_pending());
    let mut reads = Box::pin(lock.read_async());
    assert!(polled(&mut reads.as_mut()).is_pending());
    drop(writes);
    drop(reader);
    let elsewhere = open(&path).try_write_for(DEADLINE).expect("it is free");
    drop(elsewhere);
    assert!(smol::block_on(reads).is_ok());
}

#[test]
fn a_thread_does_not_read_beside_the_upgrade_that_it_polls() {
    let (_directory, path) = place();
    let lock = open(&path);
    let reader = open(&path).read().expect("it is free");
    let upgradable = lock.upgradable_read().expect("beside a reader");
    let mut upgrades = pin!(upgradable.upgrade_async());
    assert!(polled(&mut upgrades).is_pending());
    assert!(lock.try_read().unwrap_err().is_contended());
    drop(reader);
    let writer = smol::block_on(upgrades).expect("the reader has left");
    assert!(lock.try_read().unwrap_err().is_contended());
    drop(writer);
}

#[test]
fn a_thread_does_not_read_beside_the_upgrade_of_a_guard_that_it_sent_away() {
    let (_directory, path) = place();
    let (waits, waited) = mpsc::channel();
    let waits = move |_: &Waiting<'_>| {
        waits.send(()).expect("the writer lives");
        ControlFlow::Continue(())
    };
    let lock = RwLock::options().on_wait(waits).open(&path);
    let lock = lock.expect("opened");
    let reader = open(&path).read().expect("it is free");
    let upgradable = lock.upgradable_read().expect("beside a reader");
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        scope.spawn(move || {
            let writer = upgradable.upgrade().expect("the reader leaves");
            while waited.try_recv().is_ok() {}
            tell.send(()).expect("the test listens");
            waited
                .recv_timeout(DEADLINE)
                .expect("the first thread waits");
            drop(writer);
        });
        // Until the upgrade waits, the thread is let in: it reads, as far as anybody knows.
        while lock.try_read().is_ok() {
            thread::yield_now();
        }
        drop(reader);
        told.recv_timeout(DEADLINE).expect("it is the writer");
        assert!(lock.try_read().unwrap_err().is_contended());
        // Nor does it count as the writer.
        drop(lock.read().expect("it waits for another thread"));
    });
}

#[test]
fn a_thread_that_reads_as_well_is_let_in_before_its_upgrade() {
    let (_directory, path) = place();
    let lock = open(&path);
    let upgradable = lock.upgradable_read().expect("it is free");
    let reader = lock.read().expect("beside itself");
    let mut upgrades = pin!(upgradable.upgrade_async());
    assert!(polled(&mut upgrades).is_pending());
    // The upgrade waits for this thread.
    let again = lock.try_read().expect("it reads already");
    drop((reader, again));
    drop(smol::block_on(upgrades).expect("the readers have left"));
}

#[test]
fn an_upgrade_waits_for_readers_that_belong_to_no_thread() {
    let (_directory, path) = place();
    let lock = open(&path);
    for handed_over in [false, true] {
        let upgradable = smol::block_on(lock.upgradable_read_async()).expect("it is free");
        let reader = if handed_over {
            let mut reader = lock.read().expect("beside it");
            reader.hand_over();
            reader
        } else {
            smol::block_on(lock.read_async()).expect("beside it")
        };
        thread::scope(|scope| {
            let upgrades = scope.spawn(|| upgradable.upgrade());
            while lock.try_read().is_ok() {
                assert!(!upgrades.is_finished(), "it waits for the reader");
                thread::yield_now();
            }
            drop(reader);
            let writer = upgrades.join().expect("no panic");
            drop(writer.expect("the reader has left"));
        });
    }
}

#[test]
fn an_upgrade_that_would_wait_for_its_own_thread_is_a_deadlock() {
    let (_directory, path) = place();
    let (lock, other) = (open(&path), open(&path));
    // Whichever thread has taken the upgradable guard, and by whichever handle this one reads.
    for reads_by in [&lock, &other] {
        for sent in [false, true] {
            let upgradable = if sent {
                let taken = thread::scope(|scope| {
                    let taken = scope.spawn(|| lock.upgradable_read());
                    taken.join().expect("no panic")
                });
                taken.expect("it is free")
            } else {
                lock.upgradable_read().expect("it is free")
            };
            let reader = reads_by.read().expect("beside it");
            let refused = upgradable.upgrade().expect_err("it would wait for ever");
            assert!(refused.error().is_deadlock(), "{refused}");
            drop(reader);
        }
    }
}

#[test]
fn flock_has_no_upgradable_readers_beside_readers_either() {
    let (_directory, path) = place();
    let lock = RwLock::options().protocol(Protocol::Flock).open(&path);
    let lock = lock.expect("opened");
    let reader = lock.read().expect("it is free");
    let refused = lock
        .try_upgradable_read()
        .expect_err("it can't be upgraded");
    assert!(refused.is_unsupported(), "{refused}");
    drop(reader);
}
