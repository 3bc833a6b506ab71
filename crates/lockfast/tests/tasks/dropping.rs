//! Dropping a wait, at each point where it can wait and at random.

use std::pin::Pin;
use std::thread;

use lockfast::{Lock, Semaphore};

use crate::by_hand::ByHand;
use crate::stage::{By, Place, Way};

/// Never polled; in a queue; granted, but not polled since.
#[test]
fn a_wait_that_is_dropped_leaves_nothing_behind() {
    for way in Way::ALL {
        for by in [By::ThisHandle, By::AnotherHandle] {
            let place = Place::new();
            let (held, waits) = way.held(&place, by);
            drop(ByHand::new(waits));
            drop(held);
            way.is_free(&place);

            let (held, waits) = way.held(&place, by);
            drop(ByHand::waiting(waits));
            assert_eq!(place.waiters(), 0, "{way:?} {by:?}");
            drop(held);
            way.is_free(&place);

            let (held, waits) = way.held(&place, by);
            let wait = ByHand::waiting(waits);
            drop(held);
            wait.is_woken();
            drop(wait);
            way.is_free(&place);
        }
    }
}

/// In the queue of its handle; with the turn, in the kernel's queue; granted; or done.
#[test]
fn a_wait_is_dropped_at_each_of_its_steps() {
    // An upgrade has the turn already when it waits for other processes. And which of two helpers is the first
    // in the line for permits nobody can tell, so a wait for one may get it before the other one has all.
    let ways = [
        Way::Lock,
        Way::Read,
        Way::Write,
        Way::Upgradable,
        Way::LockAll,
        Way::LockInOrder,
        Way::WriteInOrder,
    ];
    for (way, steps) in ways
        .into_iter()
        .flat_map(|way| (0..4).map(move |steps| (way, steps)))
    {
        let place = Place::new();
        let (own, waits) = way.held(&place, By::ThisHandle);
        let another = ByHand::waiting(way.of_another(&place));
        let mut wait = ByHand::waiting(waits);
        if steps == 0 {
            drop(wait);
            drop(own);
            drop(another.finish().expect("its turn"));
            way.is_free(&place);
            continue;
        }
        drop(own);
        let others = another.finish().expect("granted");
        assert!(wait.poll().is_pending(), "{way:?}");
        if steps == 1 {
            drop(wait);
            assert_eq!(place.waiters(), 0, "{way:?}");
            drop(others);
            way.is_free(&place);
            continue;
        }
        drop(others);
        wait.is_woken();
        match steps {
            2 => drop(wait),
            _ => drop(wait.finish().expect("granted")),
        }
        way.is_free(&place);
    }
}

/// The second to wait by a handle has its place in the queue when the first is gone.
#[test]
fn the_next_one_moves_up() {
    for way in [Way::Lock, Way::Acquire] {
        let place = Place::new();
        let (held, _) = way.held(&place, By::AnotherHandle);
        let [first, second] = two_waits(way, &place).map(ByHand::waiting);
        drop(first);
        drop(held);
        second.is_woken();
        assert!(second.finish());
        way.is_free(&place);
    }
}

fn two_waits(way: Way, place: &Place) -> [Pin<Box<dyn Future<Output = bool> + Send>>; 2] {
    if way == Way::Lock {
        let lock = Lock::open(place.lock()).expect("opened");
        [lock.lock_async(), lock.lock_async()].map(|wait| Box::pin(succeeds(wait)) as _)
    } else {
        let pool = Semaphore::open(place.lock(), 2).expect("opened");
        [pool.acquire_async(), pool.acquire_async()].map(|wait| Box::pin(succeeds(wait)) as _)
    }
}

async fn succeeds<T>(wait: impl Future<Output = lockfast::Result<T>>) -> bool {
    wait.await.is_ok()
}

/// The release and the drop meet in every order, as two threads happen to run.
#[test]
fn a_drop_that_meets_the_release_acquires_nothing() {
    for way in Way::ALL {
        for by in [By::ThisHandle, By::AnotherHandle] {
            let place = Place::new();
            for round in 0..100 {
                let (held, waits) = way.held(&place, by);
                let wait = ByHand::waiting(waits);
                let releases = thread::spawn(move || {
                    spin(round % 10);
                    drop(held);
                });
                spin(round / 10);
                drop(wait);
                releases.join().expect("no panic");
                way.is_free(&place);
            }
        }
    }
}

/// Lets some time pass, too little to be measured.
fn spin(rounds: u32) {
    for _ in 0..rounds * 300 {
        std::hint::spin_loop();
    }
}
