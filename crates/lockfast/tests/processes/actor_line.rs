//! What an actor does to overtake, and to wait beside those that do.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use lockfast::{Lock, Protocol, ReentrantLock, RwLock, Semaphore};

type Answer = Result<String, Box<dyn std::error::Error>>;

/// `greedy KIND THREADS PATH`: in so many threads, gets in again and again, by a handle that is opened for it, and
/// notes it while it is inside. Ends when there is a file beside the lock that says so.
pub(crate) fn greedy(kind: &str, threads: usize, path: &str) -> Answer {
    let log = log(path)?;
    let is_over = || Path::new(path).with_extension("over").exists();
    let come = || {
        while !is_over() {
            let note = || (&log).write_all(b"g");
            visit(kind, "thread", path, note).expect("its way in and out");
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(come);
        }
    });
    Ok(String::new())
}

/// `pass KIND HOW PATH`: gets in once, and notes it while it is inside.
pub(crate) fn pass(kind: &str, how: &str, path: &str) -> Answer {
    let log = log(path)?;
    visit(kind, how, path, || (&log).write_all(b"w"))?;
    Ok(String::new())
}

fn log(path: &str) -> std::io::Result<File> {
    let path = Path::new(path).with_extension("passed");
    OpenOptions::new().create(true).append(true).open(path)
}

fn visit(
    kind: &str,
    how: &str,
    path: &str,
    note: impl FnOnce() -> std::io::Result<()>,
) -> Result<(), Box<dyn std::error::Error>> {
    const LONG: Duration = Duration::from_secs(600);
    /// Takes it in that way, notes that, and releases it.
    macro_rules! visit {
        ($lock:expr, $wait:ident, $timed:ident, $task:ident, $timed_task:ident) => {{
            let lock = $lock;
            let guard = match how {
                "thread" => lock.$wait()?,
                "timed" => lock.$timed(LONG)?,
                "task" => smol::block_on(lock.$task())?,
                "timed-task" => smol::block_on(lock.$timed_task(LONG))?,
                _ => return Err(format!("no such wait: {how}").into()),
            };
            note()?;
            guard.release()?;
        }};
    }
    let lock = |protocol| Lock::options().protocol(protocol).open(path);
    let rwlock = |protocol| RwLock::options().protocol(protocol).open(path);
    match kind {
        "lock" => visit!(
            lock(Protocol::Fcntl)?,
            lock,
            try_lock_for,
            lock_async,
            lock_async_for
        ),
        "flock" => visit!(
            lock(Protocol::Flock)?,
            lock,
            try_lock_for,
            lock_async,
            lock_async_for
        ),
        "both" => visit!(
            lock(Protocol::Both)?,
            lock,
            try_lock_for,
            lock_async,
            lock_async_for
        ),
        "reentrant" => {
            let guard = ReentrantLock::open(path)?.lock()?;
            note()?;
            guard.release()?;
        }
        "permit" => visit!(
            Semaphore::open(path, 1)?,
            acquire,
            try_acquire_for,
            acquire_async,
            acquire_async_for
        ),
        "write" => visit!(
            rwlock(Protocol::Fcntl)?,
            write,
            try_write_for,
            write_async,
            write_async_for
        ),
        "read" => visit!(
            rwlock(Protocol::Fcntl)?,
            read,
            try_read_for,
            read_async,
            read_async_for
        ),
        "upgradable" => visit!(
            rwlock(Protocol::Fcntl)?,
            upgradable_read,
            try_upgradable_read_for,
            upgradable_read_async,
            upgradable_read_async_for
        ),
        "upgrade" => {
            let lock = rwlock(Protocol::Fcntl)?;
            let guard = lock.upgradable_read()?.upgrade()?;
            note()?;
            guard.release()?;
        }
        "flock-write" => visit!(
            rwlock(Protocol::Flock)?,
            write,
            try_write_for,
            write_async,
            write_async_for
        ),
        "flock-read" => visit!(
            rwlock(Protocol::Flock)?,
            read,
            try_read_for,
            read_async,
            read_async_for
        ),
        _ => return Err(format!("no such lock: {kind}").into()),
    }
    Ok(())
}
