//! Ends the blocked kernel call of one thread.
//!
//! Only a signal ends a blocked lock call early. So each wait that needs it owns a kernel timer that signals
//! the waiting thread, first at the deadline and then every millisecond until the wait is over: a signal that
//! comes just before the call blocks is lost. It is a real-time signal for which the program has no handler,
//! and the thread unmasks it only while the wait lasts. Another thread ends the wait by setting the same timer
//! to "now". No thread serves the deadlines, and nothing is left when the wait is over.

use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use super::{check, timespec};

pub(crate) use super::signal::{SIGNALS_INTERRUPT, without_signals};

/// A signal that comes just before the call blocks is lost, so more follow.
const AGAIN: Duration = Duration::from_millis(1);

/// Ends the blocked calls of the thread that made it, until it is dropped there.
#[derive(Debug)]
pub(crate) struct Alarm {
    // Dropped before the mask, in the order of the fields. A signal that comes until then is handled at once;
    // behind a mask it would stay pending, and the program could read it later.
    timer: Timer,
    mask: Unmasked,
}

/// A handle of an alarm, by which another thread or a signal handler can ring it while it exists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlarmId(libc::timer_t);

#[derive(Debug)]
struct Timer(libc::timer_t);

// SAFETY: a timer's id may be used by every thread of the process.
unsafe impl Sync for Timer {}

/// Keeps the signal unmasked for this thread. The mask belongs to the thread, so this can't be sent to another.
#[derive(Debug)]
struct Unmasked {
    signal: libc::c_int,
    was_masked: bool,
    this_thread: PhantomData<*const ()>,
}

// SAFETY: a shared reference gives access to nothing; only `drop` uses the fields.
unsafe impl Sync for Unmasked {}

impl Alarm {
    /// Ends blocked calls of this thread from the instant on; without one, when it is rung.
    ///
    /// # Errors
    ///
    /// When the program uses every real-time signal itself, or the system has no timers left.
    pub(crate) fn set(until: Option<Instant>) -> io::Result<Self> {
        let signal = signal()?;
        let timer = Timer::new(signal)?;
        // Unmasked before the timer starts, and masked again after it was deleted (the order of the fields).
        let mask = Unmasked::new(signal)?;
        if let Some(until) = until {
            let left = until.saturating_duration_since(Instant::now());
            start(timer.0, left, AGAIN)?;
        }
        Ok(Self { timer, mask })
    }

    /// Ends blocked calls of this thread once in each interval.
    pub(crate) fn every(interval: Duration) -> io::Result<Self> {
        let alarm = Self::set(None)?;
        start(alarm.timer.0, interval, interval)?;
        Ok(alarm)
    }

    /// Ends the blocked call of its thread now. May be called by any thread.
    pub(crate) fn ring(&self) {
        debug_assert!(self.mask.signal > 0);
        // The timer exists, and "now" is a time that can be set: it can't fail.
        let _ = start(self.timer.0, Duration::ZERO, AGAIN);
    }

    /// Returns its handle.
    pub(crate) fn id(&self) -> AlarmId {
        AlarmId(self.timer.0)
    }
}

impl AlarmId {
    /// Returns it as a number, which can be kept in an atomic.
    pub(crate) fn to_number(self) -> usize {
        self.0.expose_provenance()
    }

    /// Returns the handle of the number.
    pub(crate) fn from_number(number: usize) -> Self {
        Self(ptr::with_exposed_provenance_mut(number))
    }

    /// Ends the blocked call of its thread now. May be called in a signal's handler.
    pub(crate) fn ring(self) {
        // SAFETY: the place of this thread's errno, which a handler must leave as it was.
        let errno = unsafe { &mut *errno() };
        let before = *errno;
        // The timer exists, and "now" is a time that can be set: it can't fail.
        let _ = start(self.0, Duration::ZERO, AGAIN);
        *errno = before;
    }
}

impl Timer {
    fn new(signal: libc::c_int) -> io::Result<Self> {
        // SAFETY: the structure is made of integers and a pointer, for which zeros are a value.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        // To this thread alone: a signal that another thread handles ends no call of this one.
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        // SAFETY: the call only answers.
        event.sigev_notify_thread_id = unsafe { libc::gettid() };
        let mut timer = MaybeUninit::uninit();
        // SAFETY: both structures live longer than the call.
        let answer = unsafe {
            // The clock of `Instant`, so that a change of the time of day moves no deadline.
            libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, timer.as_mut_ptr())
        };
        check(answer)?;
        // SAFETY: written by the call above.
        Ok(Self(unsafe { timer.assume_init() }))
    }
}

/// Starts the timer: it signals after `first`, and then at each interval.
fn start(timer: libc::timer_t, first: Duration, interval: Duration) -> io::Result<()> {
    let spec = libc::itimerspec {
        // Zero would stop the timer.
        it_value: timespec(first.max(Duration::from_nanos(1))),
        it_interval: timespec(interval),
    };
    // SAFETY: the structure lives longer than the call; of a timer that does not exist the kernel
    // says so.
    check(unsafe { libc::timer_settime(timer, 0, &raw const spec, ptr::null_mut()) })?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn errno() -> *mut libc::c_int {
    // SAFETY: takes nothing, and answers where this thread has it.
    unsafe { libc::__errno_location() }
}

#[cfg(target_os = "android")]
fn errno() -> *mut libc::c_int {
    // SAFETY: takes nothing, and answers where this thread has it.
    unsafe { libc::__errno() }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the timer is this one's and was not deleted before.
        unsafe { libc::timer_delete(self.0) };
    }
}

impl Unmasked {
    fn new(signal: libc::c_int) -> io::Result<Self> {
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        change_mask(libc::SIG_UNBLOCK, signal, before.as_mut_ptr())?;
        // SAFETY: written by the call above.
        let before = unsafe { before.assume_init() };
        Ok(Self {
            signal,
            was_masked: is_in(&before, signal),
            this_thread: PhantomData,
        })
    }
}

impl Drop for Unmasked {
    fn drop(&mut self) {
        if self.was_masked {
            // It was unmasked with the same arguments, so it can be masked.
            let _ = change_mask(libc::SIG_BLOCK, self.signal, ptr::null_mut());
        }
    }
}

fn change_mask(
    how: libc::c_int,
    signal: libc::c_int,
    before: *mut libc::sigset_t,
) -> io::Result<()> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call writes the set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the set was written; the signal's number is one of the system's.
    unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    // SAFETY: the set was written, and `before` is null or may be written.
    match unsafe { libc::pthread_sigmask(how, set.as_ptr(), before) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Chooses the signal. The library's own threads mask all signals, so they can't choose well.
pub(crate) fn prepare() {
    // If there is none, the wait will report it.
    let _ = signal();
}

/// Returns the signals that this thread has masked.
fn mask() -> io::Result<libc::sigset_t> {
    let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: asks only, and the set lives longer than the call.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), mask.as_mut_ptr()) } {
        // SAFETY: written by the call above.
        0 => Ok(unsafe { mask.assume_init() }),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "it is a number on Android, and large elsewhere"
)]
fn is_in(set: &libc::sigset_t, signal: libc::c_int) -> bool {
    // SAFETY: the set was written, and the signal's number is one of the system's.
    unsafe { libc::sigismember(set, signal) == 1 }
}

/// Returns the library's signal, and chooses another one if the program has taken it meanwhile.
fn signal() -> io::Result<libc::c_int> {
    // Relaxed throughout: only the number passes, and each use looks up its handler again.
    static CHOSEN: AtomicI32 = AtomicI32::new(0);
    let chosen = CHOSEN.load(Ordering::Relaxed);
    // Looked at each time: the program may install its own handler at any moment.
    if chosen != 0 && handler_of(chosen)? == ours() {
        return Ok(chosen);
    }
    // The program may read a signal that the thread has masked (`sigwait`, `signalfd`), so unmasked ones
    // come first. But a thread that has all of them masked reads none.
    let masked = mask()?;
    let all = || (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev();
    let unread = all().filter(|&signal| !is_in(&masked, signal));
    for signal in unread.chain(all()) {
        // Emulators refuse some of them.
        if has_timers(signal) && matches!(claim(signal), Ok(true)) {
            // Threads that choose at once may choose differently: each alarm keeps its own.
            CHOSEN.store(signal, Ordering::Relaxed);
            return Ok(signal);
        }
    }
    Err(io::Error::other(
        "no real-time signal is left: the program has handlers for all of them",
    ))
}

/// Whether a timer can send the signal. If the system has no timers left, the signal is not at fault.
fn has_timers(signal: libc::c_int) -> bool {
    match Timer::new(signal) {
        Ok(_) => true,
        Err(error) => error.raw_os_error() != Some(libc::EINVAL),
    }
}

/// Installs the handler if there is none. Returns `false` if the program has one.
fn claim(signal: libc::c_int) -> io::Result<bool> {
    // A look before the change: the handler of the program must not be gone even for an instant.
    let before = handler_of(signal)?;
    if before == ours() {
        return Ok(true);
    }
    if before != libc::SIG_DFL {
        return Ok(false);
    }
    // SAFETY: the structure is made of integers and pointers, for which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ours();
    // Without SA_RESTART, so that the blocked call comes back.
    // SA_ONSTACK, because a thread of the program may have a small stack of its own and an alternate one for
    // signals.
    action.sa_flags = libc::SA_ONSTACK;
    let mut before = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the handler does nothing, which is allowed at every moment.
    check(unsafe { libc::sigaction(signal, &raw const action, before.as_mut_ptr()) })?;
    // SAFETY: written by the call above.
    let before = unsafe { before.assume_init() };
    if before.sa_sigaction == libc::SIG_DFL || before.sa_sigaction == ours() {
        return Ok(true);
    }
    // Another thread of the program installed its own in between: it keeps the signal.
    // SAFETY: gives back what was there.
    check(unsafe { libc::sigaction(signal, &raw const before, ptr::null_mut()) })?;
    Ok(false)
}

fn handler_of(signal: libc::c_int) -> io::Result<libc::sighandler_t> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks only, and the structure lives longer than the call.
    check(unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: written by the call above.
    Ok(unsafe { action.assume_init() }.sa_sigaction)
}

fn ours() -> libc::sighandler_t {
    interrupt as extern "C" fn(libc::c_int) as libc::sighandler_t
}

/// Does nothing. Because it runs, the blocked call returns EINTR.
extern "C" fn interrupt(_signal: libc::c_int) {}
