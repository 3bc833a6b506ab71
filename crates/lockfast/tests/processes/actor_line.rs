//! What an actor does to overtake, and to wait beside those that do.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use lockfast::{Lock, Protocol, ReentrantLock, RwLock, Semaphore};

type Answer = Result<String, Box<dyn std::error::Error>>;

/// A way in and out, with what is done inside.
type Visit = Box<dyn FnOnce(&dyn Fn() -> io::Result<()>) -> Result<(), Box<dyn std::error::Error>>>;

/// `greedy KIND THREADS PATH`: in so many threads, gets in again and again, each time by another handle, and notes it
/// while it is inside. Ends when there is a file beside the lock that says so.
pub(crate) fn greedy(kind: &str, threads: usize, path: &str) -> Answer {
    let log = log(path)?;
    let is_over = || Path::new(path).with_extension("over").exists();
    let come = || {
        while !is_over() {
            // All are open before the first one comes, so that nothing delays the others.
            let handles = [(); 50].map(|()| open(kind, "thread", path).expect("a handle"));
            for visit in handles {
                visit(&|| (&log).write_all(b"g")).expect("its way in and out");
            }
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
    open(kind, how, path)?(&|| (&log).write_all(b"w"))?;
    Ok(String::new())
}

fn log(path: &str) -> io::Result<File> {
    let path = Path::new(path).with_extension("passed");
    OpenOptions::new().create(true).append(true).open(path)
}

fn open(kind: &str, how: &str, path: &str) -> Result<Visit, Box<dyn std::error::Error>> {
    const LONG: Duration = Duration::from_secs(600);
    /// Takes it in that way, does what is done inside, and releases it.
    macro_rules! visit {
        ($lock:expr, $wait:ident, $timed:ident, $task:ident, $timed_task:ident) => {{
            let (lock, how) = ($lock, how.to_owned());
            Box::new(move |inside| {
                let guard = match &*how {
                    "thread" => lock.$wait()?,
                    "timed" => lock.$timed(LONG)?,
                    "task" => smol::block_on(lock.$task())?,
                    "timed-task" => smol::block_on(lock.$timed_task(LONG))?,
                    _ => return Err(format!("no such wait: {how}").into()),
                };
                inside()?;
                Ok(guard.release()?)
            })
        }};
    }
    macro_rules! lock {
        ($protocol:ident) => {{
            let options = Lock::options().protocol(Protocol::$protocol);
            visit!(
                options.open(path)?,
                lock,
                try_lock_for,
                lock_async,
                lock_async_for
            )
        }};
    }
    let rwlock = |protocol| RwLock::options().protocol(protocol).open(path);
    macro_rules! write {
        ($protocol:ident) => {
            visit!(
                rwlock(Protocol::$protocol)?,
                write,
                try_write_for,
                write_async,
                write_async_for
            )
        };
    }
    macro_rules! read {
        ($protocol:ident) => {
            visit!(
                rwlock(Protocol::$protocol)?,
                read,
                try_read_for,
                read_async,
                read_async_for
            )
        };
    }
    Ok(match kind {
        "lock" => lock!(Fcntl),
        "flock" => lock!(Flock),
        "both" => lock!(Both),
        "write" => write!(Fcntl),
        "read" => read!(Fcntl),
        "flock-write" => write!(Flock),
        "flock-read" => read!(Flock),
        "permit" => visit!(
            Semaphore::open(path, 1)?,
            acquire,
            try_acquire_for,
            acquire_async,
            acquire_async_for
        ),
        "upgradable" => visit!(
            rwlock(Protocol::Fcntl)?,
            upgradable_read,
            try_upgradable_read_for,
            upgradable_read_async,
            upgradable_read_async_for
        ),
        "reentrant" => {
            let lock = ReentrantLock::open(path)?;
            Box::new(move |inside| {
                let guard = lock.lock()?;
                inside()?;
                Ok(guard.release()?)
            })
        }
        "upgrade" => {
            let lock = rwlock(Protocol::Fcntl)?;
            Box::new(move |inside| {
                let guard = lock.upgradable_read()?.upgrade()?;
                inside()?;
                Ok(guard.release()?)
            })
        }
        _ => return Err(format!("no such lock: {kind}").into()),
    })
}
