//! Processes that this one starts, and its own end.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigHandler, SigSet, Signal, kill, raise, signal};
use nix::unistd::{self, Pid};

/// Returns a child that has ended, and how: any child, which for the first process of a container
/// includes the orphans. `None` if none has.
pub(crate) fn reap() -> io::Result<Option<(Pid, ExitStatus)>> {
    loop {
        let mut status = 0;
        // SAFETY: writes a number.
        match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) } {
            0 => return Ok(None),
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            pid => {
                return Ok(Some((Pid::from_raw(pid), ExitStatus::from_raw(status))));
            }
        }
    }
}

/// Ends this process by a signal, without a core dump of its own. Returns where that is not possible.
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
    let _ = unsafe { signal(of, SigHandler::SigDfl) };
    let _ = SigSet::from(of).thread_unblock();
    let _ = raise(of);
}

/// Open files that a command inherits. Nothing else that this process starts has them.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<OwnedFd>);

impl Inherited {
    /// Adds a duplicate of the file, as the library takes its own descriptors from forked processes, and
    /// returns its number. Scripts do not use such numbers for files of their own.
    pub(crate) fn add(&mut self, file: &File) -> io::Result<u32> {
        const ABOVE_THOSE_OF_SCRIPTS: RawFd = 100;
        // The first is refused where the limit of descriptors is lower.
        let new = duplicate(file, ABOVE_THOSE_OF_SCRIPTS).or_else(|_| duplicate(file, 3))?;
        let number = new.as_raw_fd().try_into().expect("numbers are positive");
        self.0.push(new);
        Ok(number)
    }

    /// Has the command inherit them, if it is started while this exists.
    pub(crate) fn give(&self, command: &mut Command) {
        let numbers: Vec<_> = self.0.iter().map(AsRawFd::as_raw_fd).collect();
        if numbers.is_empty() {
            return;
        }
        let keep = move || {
            for &number in &numbers {
                #[allow(clippy::disallowed_methods, reason = "not a lock call")]
                // SAFETY: takes numbers.
                let kept = unsafe { libc::fcntl(number, libc::F_SETFD, 0) };
                if kept == -1 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        };
        // SAFETY: fcntl is async-signal-safe.
        unsafe { command.pre_exec(keep) };
    }
}

fn duplicate(file: &File, least: RawFd) -> io::Result<OwnedFd> {
    #[allow(clippy::disallowed_methods, reason = "not a lock call")]
    // SAFETY: the descriptor is open.
    let new = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) };
    if new == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

/// Becomes the command; returns only if that fails.
pub(crate) fn become_command(command: &mut Command) -> io::Error {
    command.exec()
}

/// Closes an open file of the library for this process, without an unlock: others who inherited it keep
/// the lock. Its number stays taken, so that the library's own close is harmless.
pub(crate) fn let_go(file: &File) -> io::Result<()> {
    let nothing = File::open("/dev/null")?;
    // SAFETY: both are open.
    match unsafe { libc::dup2(nothing.as_raw_fd(), file.as_raw_fd()) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Ignores a signal from now on, unless it is one that this process catches or that can't be ignored.
pub(crate) fn ignore_unless_caught(of: Signal) {
    if super::is_default(of) {
        // SAFETY: no handler is installed. It fails for those that can't be ignored.
        let _ = unsafe { signal(of, SigHandler::SigIgn) };
    }
}

/// Makes this process the leader of a process group, so that it can signal the group of all that it
/// starts. The leader of a session leads one already.
pub(crate) fn lead_group() -> io::Result<()> {
    if unistd::getpgrp() == unistd::getpid() {
        return Ok(());
    }
    unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(Into::into)
}

/// Takes this process out of its process group, into one that its child leads from now on. A session's
/// leader can't leave its group.
pub(crate) fn leave_group(child: Pid) -> io::Result<()> {
    unistd::setpgid(child, child)?;
    Ok(unistd::setpgid(Pid::from_raw(0), child)?)
}

/// Sends SIGALRM to this process after that time. A thread does it, as not every system has `setitimer`.
pub(crate) fn ring_after(time: Duration) -> io::Result<()> {
    let ring = move || {
        thread::sleep(time);
        // Nobody is left to tell of a failure, and none is known for this process's own pid.
        let _ = kill(unistd::getpid(), Signal::SIGALRM);
    };
    thread::Builder::new().spawn(ring).map(drop)
}
