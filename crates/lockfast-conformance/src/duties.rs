//! The duties of every engine.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use lockfast::{
    CancelToken, ErrorKind, HoldState, Lock, Member, ReentrantLock, lock_all, try_lock_all,
};

use crate::place::Place;

/// Longer than any wait that ends with the lock.
const LONG: Duration = Duration::from_secs(60);

/// Counts those inside, and fails if there is more than one.
#[derive(Default)]
struct Alone {
    inside: AtomicU32,
    visits: AtomicU32,
}

impl Alone {
    fn visit(&self) {
        assert_eq!(self.inside.fetch_add(1, Ordering::SeqCst), 0);
        self.visits.fetch_add(1, Ordering::Relaxed);
        thread::yield_now();
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) fn threads_keep_each_other_out<P: Place>(place: &P) {
    let alone = Alone::default();
    let shared = place.lock("a");
    thread::scope(|scope| {
        for lock in [shared.clone(), shared, place.lock("a"), place.lock("a")] {
            let alone = &alone;
            scope.spawn(move || {
                for _ in 0..place.rounds() {
                    let _guard = lock.lock().expect("granted");
                    alone.visit();
                }
            });
        }
    });
    assert_eq!(alone.visits.into_inner(), 4 * place.rounds());
}

pub(crate) fn tasks_keep_each_other_out<P: Place>(place: &P) {
    let alone = Arc::new(Alone::default());
    let shared = place.lock("a");
    let executor = smol::Executor::new();
    let tasks: Vec<_> = [shared.clone(), shared, place.lock("a"), place.lock("a")]
        .into_iter()
        .map(|lock| {
            let alone = Arc::clone(&alone);
            executor.spawn(async move {
                for _ in 0..place.rounds() {
                    let _guard = lock.lock_async().await.expect("granted");
                    alone.visit();
                    smol::future::yield_now().await;
                }
            })
        })
        .collect();
    smol::block_on(executor.run(async {
        for task in tasks {
            task.await;
        }
    }));
    assert_eq!(alone.visits.load(Ordering::Relaxed), 4 * place.rounds());
}

/// tokio has a task pause after 128 operations, and a thread that waits inside of the task never gets to that.
pub(crate) fn a_thread_waits_inside_a_task<P: Place>(place: &P) {
    let lock = place.lock("a");
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.build().expect("a runtime");
    runtime.block_on(async {
        for _ in 0..150 {
            lock.lock().expect("free").release().expect("held");
        }
    });
}

pub(crate) fn readers_share_and_a_writer_is_alone<P: Place>(place: &P) {
    let (one, other) = (place.rwlock("a"), place.rwlock("a"));
    let readers = (one.read().expect("free"), other.read().expect("shared"));
    for lock in [&one, &other] {
        assert!(lock.try_write().expect_err("it is read").is_contended());
    }
    drop(readers);
    let writer = one.write().expect("free");
    assert!(other.try_read().expect_err("it is written").is_contended());
    assert!(other.try_write().expect_err("it is written").is_contended());
    drop(writer);
    assert!(other.try_read().is_ok());
    assert!(one.capabilities().shared);
}

pub(crate) fn guards_are_converted_or_given_back<P: Place>(place: &P) {
    let (one, other) = (place.rwlock("a"), place.rwlock("a"));
    if !one.capabilities().conversions {
        conversions_are_refused(place);
        return;
    }
    let reader = other.read().expect("free");
    let upgradable = one.upgradable_read().expect("readers may be there");
    assert!(
        other.try_upgradable_read().is_err(),
        "there is one at a time"
    );
    let failed = upgradable.try_upgrade().expect_err("there is a reader");
    assert!(failed.error().is_contended());
    let failed = failed
        .into_guard()
        .try_upgrade_for(place.short())
        .expect_err("still there");
    assert!(failed.error().is_timed_out());
    let upgradable = failed.into_guard();
    assert!(other.try_read().is_ok(), "nothing of the attempts is left");
    drop(reader);
    let writer = upgradable.upgrade().expect("alone");
    assert!(other.try_read().is_err());
    let upgradable = writer.downgrade_to_upgradable().expect("converted");
    assert!(other.try_read().is_ok() && other.try_upgradable_read().is_err());
    let writer = smol::block_on(upgradable.upgrade_async()).expect("alone");
    let reader = writer.downgrade().expect("converted");
    assert!(other.try_upgradable_read().is_ok() && other.try_write().is_err());
    drop(reader);
    assert!(other.try_write().is_ok());
}

fn conversions_are_refused<P: Place>(place: &P) {
    let (one, other) = (place.rwlock("a"), place.rwlock("a"));
    let error = one.try_upgradable_read().expect_err("there is none");
    assert!(error.is_unsupported(), "{error}");
    let failed = one.write().expect("free").downgrade().expect_err("refused");
    assert!(failed.error().is_unsupported(), "{failed}");
    let writer = failed.into_guard();
    assert!(other.try_read().expect_err("it is held").is_contended());
    let failed = writer.downgrade_to_upgradable().expect_err("refused");
    assert!(failed.error().is_unsupported(), "{failed}");
    failed.into_guard().release().expect("it was held");
    assert!(other.try_read().is_ok());
}

pub(crate) fn permits_are_counted_split_and_merged<P: Place>(place: &P) {
    let (pool, other) = (place.semaphore("a", 3), place.semaphore("a", 3));
    let mut two = pool.acquire_many(2).expect("free");
    let one = other.acquire().expect("free");
    assert_eq!(pool.available_permits().expect("counted"), 0);
    assert!(pool.try_acquire().expect_err("none is free").is_contended());
    drop(one);
    assert!(
        other
            .try_acquire_many(2)
            .expect_err("one is free")
            .is_contended()
    );
    let split = two.split(1).expect("there are two");
    assert!(two.split(1).is_none(), "one would be none");
    assert_eq!((two.count(), split.count()), (1, 1));
    two.merge(split).expect("of one handle");
    assert_eq!(
        (two.count(), pool.available_permits().expect("counted")),
        (2, 1)
    );
    drop(two.split(1));
    assert_eq!(other.available_permits().expect("counted"), 2);
    two.release().expect("given back");
    assert_eq!(other.acquire_many(3).expect("all").count(), 3);
    let kind = |count| pool.try_acquire_many(count).expect_err("never").kind();
    assert_eq!(
        [kind(0), kind(4)],
        [ErrorKind::InvalidOption, ErrorKind::TooManyPermits]
    );
}

pub(crate) fn timed_waits_end<P: Place>(place: &P) {
    let (lock, rwlock, pool) = (place.lock("a"), place.rwlock("b"), place.semaphore("c", 1));
    let held = (
        place.lock("a").lock().expect("free"),
        place.rwlock("b").write().expect("free"),
        place.semaphore("c", 1).acquire().expect("free"),
    );
    let short = place.short();
    let until = || Instant::now() + short;
    let errors = [
        lock.try_lock_for(place.short()).expect_err("held"),
        lock.try_lock_until(until()).expect_err("held"),
        smol::block_on(lock.lock_async_for(short)).expect_err("held"),
        smol::block_on(lock.lock_async_until(until())).expect_err("held"),
        rwlock.try_read_for(short).expect_err("held"),
        smol::block_on(rwlock.read_async_for(short)).expect_err("held"),
        smol::block_on(rwlock.write_async_for(short)).expect_err("held"),
        pool.try_acquire_for(short).expect_err("held"),
        smol::block_on(pool.acquire_async_for(short)).expect_err("held"),
    ];
    for error in errors {
        assert!(error.is_timed_out(), "{error}");
    }
    if rwlock.capabilities().conversions {
        let error = smol::block_on(rwlock.upgradable_read_async_for(short)).expect_err("held");
        assert!(error.is_timed_out(), "{error}");
    }
    drop(held);
    assert!(lock.try_lock_for(LONG).is_ok());
    assert!(smol::block_on(rwlock.write_async_for(LONG)).is_ok());
    assert!(smol::block_on(pool.acquire_many_async_for(1, LONG)).is_ok());
}

pub(crate) fn a_token_ends_the_wait_of_a_thread<P: Place>(place: &P) {
    let (lock, pool) = (place.lock("a"), place.semaphore("b", 1));
    let held = (
        place.lock("a").lock().expect("free"),
        place.semaphore("b", 1).acquire().expect("free"),
    );
    let token = CancelToken::new();
    thread::scope(|scope| {
        let waits = [
            scope.spawn(|| token.run(|| lock.lock().map(drop))),
            scope.spawn(|| token.run(|| pool.acquire().map(drop))),
        ];
        token.cancel();
        for wait in waits {
            let error = wait.join().expect("no panic").expect_err("cancelled");
            assert!(error.is_cancelled(), "{error}");
        }
    });
    drop(held);
    assert!(lock.try_lock().is_ok() && pool.try_acquire().is_ok());
}

pub(crate) fn a_dropped_wait_leaves_nothing<P: Place>(place: &P) {
    let (lock, waits) = (place.lock("a"), place.lock("a"));
    let held = lock.lock().expect("free");
    {
        let mut wait = pin!(waits.lock_async());
        assert!(
            wait.as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
    }
    drop(held);
    assert!(lock.try_lock().is_ok(), "no place in a queue is left");
    // Also a wait that was granted and never polled again.
    let held = lock.lock().expect("free");
    {
        let mut wait = pin!(lock.lock_async());
        assert!(
            wait.as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        drop(held);
    }
    assert!(waits.try_lock().is_ok(), "it is held by nobody");
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

pub(crate) fn a_release_wakes_the_waiter<P: Place>(place: &P) {
    let lock = place.lock("a");
    let held = lock.lock().expect("free");
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut wait = pin!(lock.lock_async());
    assert!(
        wait.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    held.release().expect("released");
    // A server answers in several steps, and each may wake.
    let guard = loop {
        while !woken.0.swap(false, Ordering::SeqCst) {
            thread::yield_now();
        }
        if let Poll::Ready(guard) = wait.as_mut().poll(&mut Context::from_waker(&waker)) {
            break guard;
        }
    };
    assert!(lock.try_lock().is_err());
    drop(guard);
}

pub(crate) fn waiters_get_in_in_the_order_of_their_arrival<P: Place>(place: &P) {
    if !place.lock("a").capabilities().fifo {
        return;
    }
    let waiting = || {
        place
            .waiters("a")
            .expect("a place of an engine with an order")
    };
    let held = place.lock("a").lock().expect("free");
    let order = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for number in 0..5 {
            let order = &order;
            scope.spawn(move || {
                let _guard = place.lock("a").lock().expect("granted");
                order.lock().expect("no panic").push(number);
            });
            while waiting() <= number {
                thread::yield_now();
            }
        }
        drop(held);
    });
    assert_eq!(order.into_inner().expect("no panic"), [0, 1, 2, 3, 4]);
}

pub(crate) fn a_wait_for_oneself_is_reported<P: Place>(place: &P) {
    let lock = place.lock("a");
    let mut guard = lock.lock().expect("free");
    assert!(lock.lock().expect_err("held here").is_deadlock());
    assert!(place.lock("a").lock().expect_err("held here").is_deadlock());
    assert!(
        lock.try_lock_for(place.short())
            .expect_err("it ends")
            .is_timed_out()
    );
    guard.hand_over();
    thread::scope(|scope| {
        scope.spawn(move || drop(guard));
        assert!(lock.lock().is_ok(), "another thread had it");
    });
    let rwlock = place.rwlock("b");
    if !rwlock.capabilities().conversions {
        return;
    }
    let reader = rwlock.read().expect("free");
    let upgradable = rwlock.upgradable_read().expect("shared");
    let failed = upgradable.upgrade().expect_err("this thread reads too");
    assert!(failed.error().is_deadlock());
    drop(reader);
    assert!(failed.into_guard().upgrade().is_ok());
}

pub(crate) fn several_locks_are_taken_together<P: Place>(place: &P) {
    let (a, b, pool) = (place.lock("a"), place.lock("b"), place.semaphore("c", 2));
    let members = [
        Member::Lock(&b),
        Member::Permits(&pool, 2),
        Member::Lock(&a),
    ];
    let guards = lock_all(members).expect("free");
    let names: Vec<_> = guards.iter().map(lockfast::MemberGuard::resource).collect();
    assert_eq!(names, [b.resource(), pool.resource(), a.resource()]);
    assert!(a.try_lock().is_err() && b.try_lock().is_err() && pool.try_acquire().is_err());
    guards.release().expect("released");
    let held = b.lock().expect("free");
    let error = try_lock_all([&a, &b]).expect_err("one is held");
    assert_eq!(
        (error.kind(), error.resource()),
        (ErrorKind::Contended, &b.resource())
    );
    assert!(a.try_lock().is_ok(), "none is held");
    assert!(lock_all([&a, &a]).expect_err("twice").is_deadlock());
    drop(held);
    assert_eq!(
        smol::block_on(lockfast::lock_all_async([&a, &b]))
            .expect("free")
            .len(),
        2
    );
}

pub(crate) fn tokens_grow_where_there_are_tokens<P: Place>(place: &P) {
    let (one, other) = (place.lock("a"), place.lock("a"));
    assert!(one.capabilities().token);
    let token = |lock: &Lock<P::Engine>| lock.lock().expect("free").token().expect("it has tokens");
    let tokens = [token(&one), token(&other), token(&one)];
    assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
}

pub(crate) fn a_lost_lock_is_reported_by_its_guard<P: Place>(place: &P) {
    let lock = place.lock("a");
    let guard = lock.lock().expect("free");
    assert_eq!(guard.state(), HoldState::Valid);
    guard.check().expect("held");
    assert!(!guard.lost_within(place.short()));
    assert_eq!(guard.lease_left().is_some(), lock.capabilities().lease);
    if !lock.capabilities().lease {
        return;
    }
    let (sender, called) = mpsc::channel();
    let taken_back = sender.clone();
    let callback = guard.on_lost(move || sender.send("called").expect("awaited"));
    drop(guard.on_lost(move || taken_back.send("was taken back").expect("awaited")));
    let lost = guard.lost();
    assert!(place.take_away("a"), "an engine with leases can do that");
    smol::block_on(lost);
    assert!(guard.lost_within(LONG));
    assert_eq!(called.recv_timeout(LONG), Ok("called"));
    drop(callback);
    let other = called.recv_timeout(LONG);
    assert_eq!(other, Err(mpsc::RecvTimeoutError::Disconnected));
    assert_eq!(guard.state(), HoldState::Lost);
    let error = guard.check().expect_err("lost");
    assert_eq!(error.kind(), ErrorKind::NotHeld, "{error}");
    assert!(lock.try_lock_for(LONG).is_ok(), "others get in");
    let error = guard.release().expect_err("it was lost");
    assert_eq!(error.kind(), ErrorKind::NotHeld);
}

pub(crate) fn a_thread_takes_a_reentrant_lock_again<P: Place>(place: &P) {
    let (lock, other) = (ReentrantLock::from_lock(place.lock("a")), place.lock("a"));
    let (outer, inner) = (lock.lock().expect("free"), lock.lock().expect("again"));
    assert_eq!((outer.depth(), outer.token()), (2, inner.token()));
    drop(outer);
    assert!(other.try_lock().is_err());
    inner.release().expect("released");
    assert!(other.try_lock().is_ok());
}
