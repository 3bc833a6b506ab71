//! The cost of waits of tasks: threads where the kernel's queue is waited in, and nothing later.
#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use lockfast::{Lock, LockGuard, Result};
use lockfast_testing::{table, until};

const WAITS: usize = 1000;
/// The memory that each may take.
const MEMORY: usize = 24 * 1024;
/// How many helpers may stay for a while.
const IDLE: usize = 4;

type Wait = Pin<Box<dyn Future<Output = Result<LockGuard>> + Send>>;

/// A single test, as all tests of a program share its threads and descriptors.
#[test]
fn a_thousand_waits_cost_what_the_docs_say() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |number: usize| directory.path().join(format!("{number}.lock"));
    let open = |number| Lock::open(path(number)).expect("opened");
    raise_limit();

    let held: Vec<_> = (0..WAITS)
        .map(|number| open(number).lock().expect("it is free"))
        .collect();
    let waiting: Vec<_> = (0..WAITS).map(open).collect();
    let (descriptors, memory) = (entries("fd"), memory());

    // Each on a lock of its own: a helper each, and all get theirs.
    let mut waits: Vec<_> = waiting.iter().map(begin).collect();
    // A thread has its name only when it runs.
    until("that many waits", || helpers() == WAITS);
    // On a busy machine no reading of the table is whole.
    let mut waited_for = HashSet::new();
    until("that many waits", || {
        waited_for.extend(table::waited_for(in_directory(directory.path())));
        waited_for.len() == WAITS
    });
    let each = (self::memory() - memory) / WAITS;
    assert!(each <= MEMORY, "{each} bytes each");
    assert_eq!(entries("fd"), descriptors);
    drop(held);
    let guards: Vec<_> = waits
        .drain(..)
        .map(|wait| smol::block_on(wait).expect("released"))
        .collect();
    assert!(waiting.iter().all(|lock| lock.try_lock().is_err()));
    drop(guards);

    // All on one handle: one helper.
    let held = open(0).lock().expect("it is free");
    until("that many waits", || helpers() <= IDLE);
    let mut waits: Vec<_> = (0..WAITS).map(|_| begin(&waiting[0])).collect();
    assert!(helpers() <= IDLE);
    let waiters = || waiters(directory.path());
    until("that many waits", || waiters() == 1);
    drop(held);
    for wait in waits.drain(..) {
        drop(smol::block_on(wait).expect("its turn"));
    }

    // Dropped: when the drops are over, nobody waits.
    let held: Vec<_> = (0..WAITS)
        .map(|number| open(number).lock().expect("it is free"))
        .collect();
    let descriptors = entries("fd");
    let waits: Vec<_> = waiting.iter().map(begin).collect();
    drop(waits);
    assert_eq!(waiters(), 0);
    assert_eq!(entries("fd"), descriptors);
    drop(held);
    assert!(waiting.iter().all(|lock| lock.try_lock().is_ok()));
    until("that many waits", || helpers() <= IDLE);
    until("that many waits", || helpers() == 0);
}

fn begin(lock: &Lock) -> Wait {
    let mut wait: Wait = Box::pin(lock.lock_async());
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(wait.as_mut().poll(&mut context), Poll::Pending));
    wait
}

/// Opens a thousand files twice.
fn raise_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    setrlimit(Resource::RLIMIT_NOFILE, most.min(16_384), most).expect("up to the most");
}

fn entries(what: &str) -> usize {
    let list = fs::read_dir(format!("/proc/self/{what}")).expect("the list");
    list.count()
}

/// Returns the machine's memory that the process uses.
fn memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("its status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.expect("the field").trim().trim_end_matches(" kB");
    resident.parse::<usize>().expect("a number") * 1024
}

fn helpers() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("the list");
    let names = tasks.flatten().flat_map(|task| {
        // A thread may have ended since.
        fs::read_to_string(task.path().join("comm"))
    });
    names.filter(|name| name.trim() == "lockfast-wait").count()
}

/// How many wait in the kernel's queue for a file of that directory.
fn waiters(directory: &Path) -> usize {
    table::waiters(in_directory(directory))
}

fn in_directory(directory: &Path) -> impl Fn(u64) -> bool {
    let files = fs::read_dir(directory).expect("the list").flatten();
    let inodes: HashSet<_> = files.map(|file| file.ino()).collect();
    move |inode| inodes.contains(&inode)
}
