//! Signals: their actions here and in the command, and the end of this process by one.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{self, SigHandler, SigSet, SigmaskHow, Signal};
use nix::unistd;
use signal_hook::iterator::Signals;
use signal_hook::low_level;

/// Installs signal handlers while the signals are blocked.
///
/// signal-hook installs its handler before the action: a signal in between would be lost.
pub(crate) fn begin_to_catch<C>(
    signals: impl IntoIterator<Item = Signal>,
    catch: impl FnOnce(Vec<i32>) -> io::Result<C>,
) -> io::Result<C> {
    let set: SigSet = signals.into_iter().collect();
    let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let caught = catch(set.iter().map(|signal| signal as i32).collect());
    before.thread_set_mask()?;
    caught
}

/// Unblocks SIGCHLD, and SIGALRM if there is a time limit, in case this process was started with
/// them blocked. Returns the mask before.
pub(crate) fn let_through(alarm: bool) -> io::Result<SigSet> {
    let mut set = SigSet::from(Signal::SIGCHLD);
    if alarm {
        set.add(Signal::SIGALRM);
    }
    Ok(set.thread_swap_mask(SigmaskHow::SIG_UNBLOCK)?)
}

/// Has the command start with this signal's default action, even if this process ignores it.
///
/// Any such hook also makes the standard library use `execvp`, which runs a file without an
/// interpreter line in the shell, as flock(1) does.
pub(crate) fn start_with_default(command: &mut Command, signal: Signal) {
    let set = move || {
        // SAFETY: no handler is installed.
        unsafe { signal::signal(signal, SigHandler::SigDfl) }?;
        Ok(())
    };
    // SAFETY: signal is async-signal-safe.
    unsafe { command.pre_exec(set) };
}

/// Whether this process ignores the signal.
pub(crate) fn is_ignored(signal: Signal) -> bool {
    disposition(signal) == Some(libc::SIG_IGN)
}

/// Whether the signal has its default action.
fn is_default(signal: Signal) -> bool {
    disposition(signal) == Some(libc::SIG_DFL)
}

fn disposition(signal: Signal) -> Option<libc::sighandler_t> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks only, and the structure lives longer than the call.
    let answer = unsafe { libc::sigaction(signal as i32, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: written by the call above, which answered 0.
    (answer == 0).then(|| unsafe { action.assume_init() }.sa_sigaction)
}

/// Ignores a signal, unless this process catches it or it can't be ignored.
pub(crate) fn ignore_unless_caught(of: Signal) {
    if is_default(of) {
        // SAFETY: no handler is installed. It fails for those that can't be ignored.
        let _ = unsafe { signal::signal(of, SigHandler::SigIgn) };
    }
}

/// Sends SIGALRM to this process after that time, from a thread, as not every system has
/// `setitimer`.
pub(crate) fn ring_after(time: Duration) -> io::Result<()> {
    let ring = move || {
        thread::sleep(time);
        ring();
    };
    thread::Builder::new().spawn(ring).map(drop)
}

/// Sends SIGALRM to this process.
pub(crate) fn ring() {
    // Nobody is left to report a failure to, and none is known for the process's own pid.
    let _ = signal::kill(unistd::getpid(), Signal::SIGALRM);
}

/// Calls a function before one of the usual ending signals ends this process.
pub(crate) fn before_being_ended(clean: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let ending = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
    let wanted = ending.into_iter().filter(|&signal| !is_ignored(signal));
    let mut signals = begin_to_catch(wanted, Signals::new)?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            clean();
            let _ = low_level::emulate_default_handler(signal);
        }
    });
    Ok(())
}

#[cfg(feature = "top")]
/// Stops this process until its shell continues it.
pub(crate) fn suspend() {
    // The kernel ignores it if no shell could continue this process.
    let _ = signal::raise(Signal::SIGTSTP);
}

/// Ends this process by a signal, without dumping core. Returns if that is not possible.
pub(crate) fn die_of(number: u8) {
    let Ok(of) = Signal::try_from(i32::from(number)) else {
        return;
    };
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: reads a structure that lives longer than the call.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    // SAFETY: no handler is installed.
    let _ = unsafe { signal::signal(of, SigHandler::SigDfl) };
    let _ = SigSet::from(of).thread_unblock();
    let _ = signal::raise(of);
}
