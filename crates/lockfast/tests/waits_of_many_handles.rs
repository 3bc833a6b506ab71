//! The cost of many tasks that wait for one lock, each by a handle of its own.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use lockfast::{Lock, Result, RwLock, Semaphore};
use lockfast_testing::{table, until};

const WAITS: usize = 500;
/// How many of them are in the kernel's queue, where each wakes all behind it when it leaves.
const IN_KERNEL: usize = 16;
/// How many helpers may stay for a while.
const IDLE: usize = 4;

type Wait<G> = Pin<Box<dyn Future<Output = Result<G>> + Send>>;

/// A single test, as all tests of a program share its threads and descriptors.
#[test]
fn few_of_many_handles_are_in_the_kernels_queue() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.lock");
    let held = Lock::open(&path).and_then(|lock| lock.lock());
    let held = held.expect("it is free");
    let inode = fs::metadata(&path).expect("it is there").ino();
    let waiters = || table::waiters(|waited| waited == inode);
    let locks: Vec<_> = (0..WAITS)
        .map(|_| Lock::open(&path).expect("opened"))
        .collect();
    let descriptors = entries("fd");

    let mut waits: Vec<_> = locks.iter().map(|lock| begun(lock.lock_async())).collect();
    assert!(helpers() <= IN_KERNEL);
    until("that many waits", || waiters() == IN_KERNEL);

    // Each other one is dropped, whether it is in the kernel's queue or not.
    let mut number = 0;
    waits.retain(|_| {
        number += 1;
        number % 2 == 0
    });
    until("that many waits", || waiters() == IN_KERNEL);
    assert_eq!(entries("fd"), descriptors);
    drop(held);
    all_get_it(waits);
    until("that many waits", || helpers() <= IDLE);

    // Readers are granted it together, also when the others are not polled.
    let held = locks[0].lock().expect("it is free");
    let readers: Vec<_> = (0..WAITS)
        .map(|_| RwLock::open(&path).expect("opened"))
        .collect();
    let mut waits: Vec<_> = readers
        .iter()
        .map(|lock| begun(lock.read_async()))
        .collect();
    until("that many waits", || waiters() == IN_KERNEL);
    drop(held);
    drop(smol::block_on(waits.pop().expect("the last")).expect("readers share"));
    drop(waits);
    assert!(locks[0].try_lock().is_ok());

    // So do semaphores' handles, of which the first is the head of the line.
    let path = directory.path().join("pool.lock");
    let pools: Vec<_> = (0..WAITS)
        .map(|_| Semaphore::open(&path, 1).expect("opened"))
        .collect();
    let taken = pools[0].acquire().expect("it is free");
    let mut waits: Vec<_> = pools
        .iter()
        .map(|pool| begun(pool.acquire_async()))
        .collect();
    assert!(helpers() <= IN_KERNEL + IDLE);
    drop(waits.split_off(WAITS / 2));
    drop(taken);
    assert!(pools[0].try_acquire().unwrap_err().is_contended());
    all_get_it(waits);
    assert!(pools[0].try_acquire().is_ok());
}

fn begun<G>(wait: impl Future<Output = Result<G>> + Send + 'static) -> Wait<G> {
    let mut wait: Wait<G> = Box::pin(wait);
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(wait.as_mut().poll(&mut context), Poll::Pending));
    wait
}

/// In whichever order.
fn all_get_it<G: 'static>(waits: Vec<Wait<G>>) {
    let executor = smol::LocalExecutor::new();
    let gets_it = |wait: Wait<G>| executor.spawn(async { drop(wait.await.expect("its turn")) });
    let tasks: Vec<_> = waits.into_iter().map(gets_it).collect();
    smol::block_on(executor.run(async {
        for task in tasks {
            task.await;
        }
    }));
}

fn entries(what: &str) -> usize {
    let list = fs::read_dir(format!("/proc/self/{what}")).expect("the list");
    list.count()
}

fn helpers() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("the list");
    let names = tasks.flatten().flat_map(|task| {
        // A thread may have ended since.
        fs::read_to_string(task.path().join("comm"))
    });
    names.filter(|name| name.trim() == "lockfast-wait").count()
}
