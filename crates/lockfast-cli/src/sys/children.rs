//! Child processes, and the end of this process.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigHandler, SigSet, Signal, kill, raise, signal};
use nix::unistd::{self, Pid};

/// Reaps any child that has ended, and returns its status; `None` if none has. In the first process
/// of a container that includes orphans.
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
    let _ = unsafe { signal(of, SigHandler::SigDfl) };
    let _ = SigSet::from(of).thread_unblock();
    let _ = raise(of);
}

/// Open files that the command inherits, and no other child.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<OwnedFd>);

impl Inherited {
    /// Adds a duplicate of the file and returns its number. The library's own descriptors are
    /// closed in forked processes. Scripts do not use numbers this high for files of their own.
    pub(crate) fn add(&mut self, file: &File) -> io::Result<u32> {
        const ABOVE_THOSE_OF_SCRIPTS: RawFd = 100;
        // Fails if the limit of descriptors is lower.
        let new = duplicate(file, ABOVE_THOSE_OF_SCRIPTS).or_else(|_| duplicate(file, 3))?;
        let number = new.as_raw_fd().try_into().expect("numbers are positive");
        self.0.push(new);
        Ok(number)
    }

    /// Makes the command inherit them, if it is started while `self` exists.
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

/// Replaces this process with the command; returns only on failure.
pub(crate) fn become_command(command: &mut Command) -> io::Error {
    command.exec()
}

/// Closes a file of the library without an unlock: processes that inherited it keep the lock. The
/// number stays in use, so that the library's own close is harmless.
pub(crate) fn let_go(file: &File) -> io::Result<()> {
    let nothing = File::open("/dev/null")?;
    // SAFETY: both are open.
    match unsafe { libc::dup2(nothing.as_raw_fd(), file.as_raw_fd()) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Ignores a signal, unless this process catches it or it can't be ignored.
pub(crate) fn ignore_unless_caught(of: Signal) {
    if super::is_default(of) {
        // SAFETY: no handler is installed. It fails for those that can't be ignored.
        let _ = unsafe { signal(of, SigHandler::SigIgn) };
    }
}

/// Makes this process a process group leader, so that it can signal everything that it starts. A
/// session leader is one already.
pub(crate) fn lead_group() -> io::Result<()> {
    if unistd::getpgrp() == unistd::getpid() {
        return Ok(());
    }
    unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0)).map_err(Into::into)
}

/// Moves this process to a new process group that its child leads. A session leader can't leave its
/// group.
pub(crate) fn leave_group(child: Pid) -> io::Result<()> {
    unistd::setpgid(child, child)?;
    Ok(unistd::setpgid(Pid::from_raw(0), child)?)
}

/// Sends SIGALRM to this process after that time, from a thread, as not every system has
/// `setitimer`.
pub(crate) fn ring_after(time: Duration) -> io::Result<()> {
    let ring = move || {
        thread::sleep(time);
        // Nobody is left to report a failure to, and none is known for the process's own pid.
        let _ = kill(unistd::getpid(), Signal::SIGALRM);
    };
    thread::Builder::new().spawn(ring).map(drop)
}
