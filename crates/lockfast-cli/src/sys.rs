//! System calls that need `unsafe`, and differences between systems.
//!
//! Functions that change a [`Command`] run between fork and exec, where only async-signal-safe
//! calls are allowed.
#![allow(
    unsafe_code,
    reason = "system calls; nothing outside this file has any"
)]

mod children;
mod first;
mod obstacle;
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    path = "sys/no_sentinel.rs"
)]
mod sentinel;

use std::ffi::{CString, OsStr};
use std::fs::{self, DirEntry, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{self, SigHandler, SigSet, SigmaskHow, Signal};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{self, Uid, User};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

pub(crate) use self::children::{
    Inherited, become_command, die_of, ignore_unless_caught, lead_group, leave_group, let_go, reap,
    ring_after,
};
pub(crate) use self::first::Mortality;
pub(crate) use self::obstacle::obstacle;
pub(crate) use self::sentinel::Sentinel;

/// Whether the kernel can kill a command when this process ends.
pub(crate) const CAN_KILL_WITH_PARENT: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Whether a command can inherit locks.
pub(crate) const CAN_INHERIT: bool = true;

/// Makes the kernel kill the command when the thread that starts it ends, which must be the main
/// thread.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[allow(clippy::unnecessary_wraps, reason = "other systems can refuse")]
pub(crate) fn kill_with_parent(command: &mut Command) -> io::Result<()> {
    use nix::errno::Errno;

    let parent = unistd::getpid();
    let set = move || {
        // SAFETY: takes a number. (`nix` has it for Linux alone.)
        Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, Signal::SIGKILL) })?;
        // The parent may have ended before the request.
        if unistd::getppid() != parent {
            signal::raise(Signal::SIGKILL)?;
        }
        Ok(())
    };
    // SAFETY: prctl, getppid and raise are plain system calls.
    unsafe { command.pre_exec(set) };
    Ok(())
}

/// Never called, see [`CAN_KILL_WITH_PARENT`].
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn kill_with_parent(_command: &mut Command) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Unblocks SIGCHLD, and SIGALRM if there is a time limit, in case this process was started with
/// them blocked. The command starts with the original mask.
pub(crate) fn let_through_for(command: &mut Command, alarm: bool) -> io::Result<()> {
    let mut set = SigSet::from(Signal::SIGCHLD);
    if alarm {
        set.add(Signal::SIGALRM);
    }
    let before = set.thread_swap_mask(SigmaskHow::SIG_UNBLOCK)?;
    if set.iter().any(|signal| before.contains(signal)) {
        // SAFETY: sigprocmask is async-signal-safe.
        unsafe { command.pre_exec(move || Ok(before.thread_set_mask()?)) };
    }
    Ok(())
}

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

/// Has the command start with these signals ignored.
pub(crate) fn start_with_ignored(command: &mut Command, signals: Vec<Signal>) {
    if signals.is_empty() {
        return;
    }
    let ignore = move || {
        for &signal in &signals {
            // SAFETY: no handler is installed.
            unsafe { signal::signal(signal, SigHandler::SigIgn) }?;
        }
        Ok(())
    };
    // SAFETY: signal is async-signal-safe.
    unsafe { command.pre_exec(ignore) };
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

/// Duplicates a descriptor of the caller. Locks belong to both, and closing the duplicate releases
/// nothing.
pub(crate) fn duplicate(descriptor: i32) -> io::Result<File> {
    #[allow(clippy::disallowed_methods, reason = "not a lock call")]
    // The kernel reports a number that is no descriptor.
    let new = unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 0) };
    if new == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is new, and nobody else's.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(new) }))
}

/// Parses a number in any form that the C library reads; infinity if it is too large, `None` for
/// other text.
pub(crate) fn float(text: &OsStr) -> Option<f64> {
    let text = CString::new(text.as_bytes()).ok()?;
    let mut end = ptr::null_mut();
    // SAFETY: a string that ends in NUL, and a place for where the number ends.
    let number = unsafe { libc::strtod(text.as_ptr(), &raw mut end) };
    let read = end.addr() - text.as_ptr().addr();
    (read > 0 && read == text.as_bytes().len()).then_some(number)
}

/// Whether this process is in the terminal's foreground process group.
pub(crate) fn is_in_foreground(terminal: impl AsFd) -> bool {
    unistd::tcgetpgrp(terminal).is_ok_and(|group| group == unistd::getpgrp())
}

/// Returns the time of a clock that all processes of the machine share.
pub(crate) fn monotonic_time() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .expect("every system has that clock")
        .into()
}

/// Returns the path without symbolic links.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
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

/// Returns the identity of a file.
pub(crate) fn file_key(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Whether the descriptor with this number has that file open.
pub(crate) fn has_open(number: u32, key: &(u64, u64)) -> bool {
    file_key(Path::new(&format!("/dev/fd/{number}"))).is_ok_and(|open| open == *key)
}

/// Returns the parent, its parent and so on, as far as they are known.
pub(crate) fn ancestors() -> Vec<u32> {
    let mut ancestors = Vec::new();
    let mut next = u32::try_from(unistd::getppid().as_raw()).ok();
    while let Some(pid) = next.filter(|pid| *pid > 1 && !ancestors.contains(pid)) {
        ancestors.push(pid);
        next = parent(pid);
    }
    ancestors
}

/// Returns the parent; `None` without a Linux-like `/proc`.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain parentheses and spaces.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

/// Whether this process, or the system, is out of descriptors.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Whether the file is no program of this system, though it may be a shell script.
pub(crate) fn is_for_shell(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOEXEC)
}

/// Splits a text into lines, each a path.
pub(crate) fn lines(text: &OsStr) -> Vec<PathBuf> {
    let lines = text.as_bytes().split(|&byte| byte == b'\n');
    lines.map(|line| OsStr::from_bytes(line).into()).collect()
}

/// Returns the inode number of a directory entry.
#[allow(clippy::unnecessary_wraps, reason = "other systems do not tell")]
pub(crate) fn number(entry: &DirEntry) -> Option<u64> {
    Some(entry.ino())
}

/// Returns the name of a user.
pub(crate) fn user_name(number: u32) -> Option<String> {
    let user = User::from_uid(Uid::from_raw(number)).ok()??;
    Some(user.name)
}

/// Stops this process until its shell continues it.
pub(crate) fn suspend() {
    // The kernel ignores it if no shell could continue this process.
    let _ = signal::raise(Signal::SIGTSTP);
}
