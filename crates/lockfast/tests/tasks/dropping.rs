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
