//! Pending while held, woken by the release, ready.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use lockfast::{Lock, RwLock, Semaphore};

use crate::by_hand::ByHand;
use crate::stage::{By, Place, Way};

#[test]
fn pending_while_held_and_woken_by_the_release() {
    for way in Way::ALL {
        for by in [By::ThisHandle, By::AnotherHandle] {
            let place = Place::new();
            let (held, waits) = way.held(&place, by);
            let mut wait = ByHand::waiting(waits);
            assert!(wait.poll().is_pending(), "{way:?} {by:?}");
            drop(held);
            wait.is_woken();
            let guard = wait.finish().expect("it is free now");
            drop(guard);
            way.is_free(&place);
        }
    }
}

#[test]
fn a_file_that_replaces_the_lock_file_is_locked_instead() {
    let place = Place::new();
    let [waits, holds] = [(); 2].map(|()| Lock::open(place.lock()).expect("opened"));
    let held = holds.lock().expect("it is free");
    let wait = ByHand::waiting(waits.lock_async());
    fs::remove_file(place.lock()).expect("removed");
    let new = Lock::open(place.lock()).expect("created anew");
    drop(held);
    let guard = wait.finish().expect("the new one is free");
    assert!(guard.is_current().expect("looked at"));
    assert!(new.try_lock().is_err_and(|error| error.is_contended()));
}

#[test]
fn the_first_poll_takes_a_free_lock() {
    let place = Place::new();
    let lock = Lock::open(place.lock()).expect("opened");
    let mut wait = ByHand::new(lock.lock_async());
    assert!(matches!(wait.poll(), Poll::Ready(Ok(_))));
}

#[test]
fn nothing_happens_before_the_first_poll() {
    let place = Place::new();
    let lock = Lock::open(place.lock()).expect("opened");
    let wait = ByHand::new(lock.lock_async());
    assert!(lock.try_lock().is_ok());
    drop(wait);
}

#[test]
fn tasks_of_one_handle_get_it_in_the_order_of_their_first_poll() {
    let place = Place::new();
    let lock = Lock::open(place.lock()).expect("opened");
    let mut held = lock.lock().expect("it is free");
    let waits: Vec<_> = (0..8).map(|_| ByHand::waiting(lock.lock_async())).collect();
    for wait in waits {
        assert!(lock.try_lock().unwrap_err().is_contended());
        drop(held);
        wait.is_woken();
        held = wait.finish().expect("its turn");
    }
}

#[test]
fn the_last_waker_is_the_one_that_is_woken() {
    for by in [By::ThisHandle, By::AnotherHandle] {
        let place = Place::new();
        let (held, waits) = Way::Lock.held(&place, by);
        let mut future = waits;
        let first = ByHand::waiting(std::future::pending::<()>());
        // Polled here with a waker that does nothing, and then by another task.
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
        drop(first);
        let mut second = ByHand::new(future);
        assert!(second.poll().is_pending());
        drop(held);
        second.is_woken();
        assert!(second.finish().is_ok());
    }
}

/// A waker may do anything, also use the very lock.
#[test]
fn a_waker_may_use_the_handle() {
    struct Meddler {
        lock: Lock,
        found: AtomicU32,
    }
    impl Wake for Meddler {
        fn wake(self: Arc<Self>) {
            let contended = self.lock.try_lock().is_err();
            self.found.store(1 + u32::from(contended), Ordering::SeqCst);
        }
    }
    let place = Place::new();
    let lock = Lock::open(place.lock()).expect("opened");
    let held = lock.lock().expect("it is free");
    let meddler = Arc::new(Meddler {
        lock: lock.clone(),
        found: AtomicU32::new(0),
    });
    let waker = Waker::from(Arc::clone(&meddler));
    let mut wait = Box::pin(lock.lock_async());
    let mut context = Context::from_waker(&waker);
    assert!(wait.as_mut().poll(&mut context).is_pending());
    drop(held);
    assert_eq!(meddler.found.load(Ordering::SeqCst), 2, "its turn is taken");
    assert!(matches!(
        wait.as_mut().poll(&mut context),
        Poll::Ready(Ok(_))
    ));
}

#[test]
fn on_wait_is_told_once_and_may_give_up() {
    let place = Place::new();
    let held = Lock::open(place.lock()).expect("opened");
    let held = held.lock().expect("it is free");
    let told = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&told);
    let lock = Lock::options()
        .on_wait(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        })
        .open(place.lock())
        .expect("opened");
    let mut wait = ByHand::waiting(lock.lock_async());
    assert!(wait.poll().is_pending());
    assert_eq!(told.load(Ordering::SeqCst), 1);
    drop(wait);
    let given_up = ByHand::new(lock.lock_async()).finish();
    assert!(given_up.unwrap_err().is_cancelled());
    drop(held);
}

#[test]
fn errors_are_the_same_as_for_a_thread() {
    let place = Place::new();
    let pool = Semaphore::open(place.lock(), 2).expect("opened");
    let error = ByHand::new(pool.acquire_many_async(3))
        .finish()
        .unwrap_err();
    assert!(error.to_string().contains("can never be had"), "{error}");

    let flock = RwLock::options().protocol(lockfast::Protocol::Flock);
    let flock = flock.open(place.lock()).expect("opened");
    let error = ByHand::new(flock.upgradable_read_async()).finish();
    assert!(error.unwrap_err().is_unsupported());

    let lock = Lock::open(place.lock()).expect("opened");
    let error = ByHand::new(async move { lockfast::lock_all_async([&lock, &lock]).await });
    assert!(error.finish().unwrap_err().is_deadlock());
}
