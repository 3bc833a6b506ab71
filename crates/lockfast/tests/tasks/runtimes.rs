//! Waits on several runtimes: exclusion, and a runtime that is never blocked.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lockfast::Lock;

use crate::stage::{By, Place, Way};

const TASKS: u64 = 8;
const ROUNDS: u64 = 50;

/// Counts without atomic additions, so that two in the section at once would lose some.
async fn count(lock: Lock, counter: Arc<AtomicU64>, yields: impl AsyncFn()) {
    for _ in 0..ROUNDS {
        let guard = lock.lock_async().await.expect("locked");
        let before = counter.load(Ordering::Relaxed);
        yields().await;
        counter.store(before + 1, Ordering::Relaxed);
        drop(guard);
    }
}

/// Half of them share a handle, and the others have one of their own.
fn locks(place: &Place) -> Vec<Lock> {
    let shared = Lock::open(place.lock()).expect("opened");
    (0..TASKS)
        .map(|task| match task % 2 {
            0 => shared.clone(),
            _ => Lock::open(place.lock()).expect("opened"),
        })
        .collect()
}

fn exclude_on_tokio(runtime: &tokio::runtime::Runtime) {
    let place = Place::new();
    let counter = Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        let tasks: Vec<_> = locks(&place)
            .into_iter()
            .map(|lock| {
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    count(lock, counter, async || tokio::task::yield_now().await).await;
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
    assert_eq!(counter.load(Ordering::Relaxed), TASKS * ROUNDS);
}

#[test]
fn tasks_exclude_each_other_on_tokio_with_threads() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    exclude_on_tokio(&runtime.worker_threads(2).build().expect("a runtime"));
}

#[test]
fn tasks_exclude_each_other_on_tokio_with_one_thread() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    exclude_on_tokio(&runtime.build().expect("a runtime"));
}

#[test]
fn tasks_exclude_each_other_on_smol() {
    let place = Place::new();
    let counter = Arc::new(AtomicU64::new(0));
    smol::block_on(async {
        let tasks: Vec<_> = locks(&place)
            .into_iter()
            .map(|lock| {
                let counter = Arc::clone(&counter);
                smol::spawn(count(lock, counter, async || {
                    smol::future::yield_now().await;
                }))
            })
            .collect();
        for task in tasks {
            task.await;
        }
    });
    assert_eq!(counter.load(Ordering::Relaxed), TASKS * ROUNDS);
}

/// The holder lives on the thread that would be blocked, so it could never release.
fn goes_on_while_waiting<T>(
    block_on: impl Fn(std::pin::Pin<Box<dyn Future<Output = ()>>>) -> T,
    tick: fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>>,
) {
    for way in Way::ALL {
        for by in [By::ThisHandle, By::AnotherHandle] {
            let place = Place::new();
            let (held, waits) = way.held(&place, by);
            let has_it = Arc::new(AtomicBool::new(false));
            let got_it = Arc::clone(&has_it);
            block_on(Box::pin(async move {
                let waiter = async {
                    let guard = waits.await.expect("released");
                    got_it.store(true, Ordering::SeqCst);
                    drop(guard);
                };
                let ticker = async {
                    for _ in 0..5 {
                        tick().await;
                        assert!(!has_it.load(Ordering::SeqCst));
                    }
                    drop(held);
                };
                smol::future::zip(waiter, ticker).await;
                assert!(has_it.load(Ordering::SeqCst));
            }));
            way.is_free(&place);
        }
    }
}

#[test]
fn a_tokio_runtime_of_one_thread_goes_on_while_a_task_waits() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().expect("a runtime");
    goes_on_while_waiting(
        |work| runtime.block_on(work),
        || Box::pin(tokio::time::sleep(Duration::from_millis(1))),
    );
}

#[test]
fn smol_goes_on_while_a_task_waits() {
    goes_on_while_waiting(smol::block_on, || {
        Box::pin(async {
            smol::Timer::after(Duration::from_millis(1)).await;
        })
    });
}

/// Dropped by the runtime's own time-out.
#[test]
fn a_time_out_of_the_runtime_ends_a_wait() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().expect("a runtime");
    for way in Way::ALL {
        let place = Place::new();
        let (held, waits) = way.held(&place, By::AnotherHandle);
        let outcome =
            runtime.block_on(async { tokio::time::timeout(Duration::from_millis(2), waits).await });
        assert!(outcome.is_err());
        assert_eq!(place.waiters(), 0);
        drop(held);
        way.is_free(&place);
    }
}
