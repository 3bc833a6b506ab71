//! Commands about signals and threads.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::Duration;

use lockfast::{CancelToken, Lock};
use lockfast_testing::Answer;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise, sigprocmask};

static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_signal: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn cancel(_signal: libc::c_int) {
    token().cancel();
}

/// The one token of the actor.
pub(crate) fn token() -> &'static CancelToken {
    static TOKEN: OnceLock<CancelToken> = OnceLock::new();
    TOKEN.get_or_init(CancelToken::new)
}

fn handler() -> libc::sighandler_t {
    count as extern "C" fn(libc::c_int) as libc::sighandler_t
}

pub(crate) fn perform(words: &[&str]) -> Answer {
    match *words {
        // For this thread, which performs the commands without `&`.
        ["block-all"] => sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)?,
        // As a program does that reads it with `sigwait` or a descriptor.
        ["block-last-real-time"] => {
            block(libc::SIGRTMAX());
        }
        ["handle", "usr1"] => install(Signal::SIGUSR1 as libc::c_int, handler()),
        ["handle", "all-real-time"] => real_time().for_each(|it| install(it, handler())),
        ["handle", "all-real-time-but-one"] => {
            real_time().skip(1).for_each(|it| install(it, handler()));
        }
        ["cancel-in-handler"] => {
            // Made before the handler can run.
            assert!(!token().is_cancelled());
            let cancel = cancel as extern "C" fn(libc::c_int) as libc::sighandler_t;
            install(Signal::SIGUSR2 as libc::c_int, cancel);
            Errno::set_raw(libc::EDOM);
            raise(Signal::SIGUSR2)?;
            assert_eq!(
                Errno::last_raw(),
                libc::EDOM,
                "a handler leaves errno alone"
            );
        }
        ["handled"] => return Ok(HANDLED.load(Ordering::SeqCst).to_string()),
        ["kept-handlers"] => {
            let kept = real_time().filter(|&signal| handler_of(signal) == handler());
            return Ok(kept.count().to_string());
        }
        _ => return Err(format!("unknown signal command {words:?}").into()),
    }
    Ok(String::new())
}

pub(crate) fn real_time() -> impl Iterator<Item = libc::c_int> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}

/// As a program does that wants its system calls interrupted.
#[allow(unsafe_code, reason = "sigaction")]
fn install(signal: libc::c_int, handler: libc::sighandler_t) {
    // SAFETY: the structure is made of integers and pointers, for which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: the handlers do what handlers may do.
    let answer = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    assert_eq!(answer, 0, "signal {signal}");
}

/// In this thread and those that it starts.
#[allow(
    unsafe_code,
    reason = "sigprocmask, which the crate has not for real-time signals"
)]
fn block(signal: libc::c_int) {
    // SAFETY: the structure is made of integers, for which zeros are a value.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes the set.
    unsafe { libc::sigemptyset(&raw mut set) };
    // SAFETY: the set was written, and the signal's number is one of the system's.
    unsafe { libc::sigaddset(&raw mut set, signal) };
    let before = std::ptr::null_mut();
    // SAFETY: the set was written, and nobody asks for the one before.
    let answer = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, before) };
    assert_eq!(answer, 0, "signal {signal}");
}

#[allow(unsafe_code, reason = "sigaction")]
fn handler_of(signal: libc::c_int) -> libc::sighandler_t {
    // SAFETY: the structure is made of integers and pointers, for which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks only.
    unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
    action.sa_sigaction
}

/// How often the threads below were inside.
static RELOCKED: AtomicU32 = AtomicU32::new(0);

pub(crate) fn relocked() -> u32 {
    RELOCKED.load(Ordering::SeqCst)
}

/// Starts threads that lock and unlock in turn, for as long as the process lives.
pub(crate) fn relock_in_threads(
    lock: &Lock,
    threads: u32,
    pause: Duration,
) -> lockfast::Result<()> {
    lock.lock()?.release()?;
    for _ in 0..threads {
        let lock = lock.clone();
        thread::spawn(move || {
            loop {
                let guard = lock.lock().expect("the lock");
                RELOCKED.fetch_add(1, Ordering::SeqCst);
                drop(guard);
                if !pause.is_zero() {
                    thread::sleep(pause);
                }
            }
        });
    }
    Ok(())
}

/// Attempts to lock in threads of its own, for ever.
pub(crate) fn try_in_threads(lock: &Lock, threads: u32) {
    for _ in 0..threads {
        let lock = lock.clone();
        thread::spawn(move || {
            loop {
                drop(lock.try_lock());
            }
        });
    }
}

/// Waits with a deadline in many threads at once, each with a handle of its own and all on the one;
/// tells how many waits timed out.
pub(crate) fn many_timed(lock: &Lock, threads: u32, timeout: Duration) -> Answer {
    let start = Arc::new(Barrier::new(usize::try_from(threads)?));
    let waits: Vec<_> = (0..threads)
        .map(|number| {
            let start = Arc::clone(&start);
            let lock = lock.clone();
            thread::spawn(move || {
                // Half of them share the handle, and wait in its queue.
                let lock = if number % 2 == 0 {
                    lock
                } else {
                    Lock::open(lock.path())?
                };
                start.wait();
                lock.try_lock_for(timeout)
            })
        })
        .collect();
    let timed_out = waits
        .into_iter()
        .map(|wait| wait.join().expect("no panic"))
        .filter(|outcome| outcome.as_ref().is_err_and(lockfast::Error::is_timed_out))
        .count();
    Ok(timed_out.to_string())
}

/// Writes fail from now on, as on a disk that is full.
pub(crate) fn no_more_bytes() -> nix::Result<()> {
    use nix::sys::resource::{Resource, setrlimit};
    use nix::sys::signal::{SigHandler, signal};
    // Else the signal that comes with it would end the process.
    #[allow(unsafe_code, reason = "signal")]
    // SAFETY: to ignore a signal runs nothing.
    unsafe {
        signal(Signal::SIGXFSZ, SigHandler::SigIgn)?;
    }
    setrlimit(Resource::RLIMIT_FSIZE, 0, 0)
}
