//! Processes: children, ancestors, groups, and the replacement of this process.

use std::fs;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

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

/// Replaces this process with the command; returns only on failure.
pub(crate) fn become_command(command: &mut Command) -> io::Error {
    command.exec()
}

/// Whether the file is no program of this system, though it may be a shell script.
pub(crate) fn is_for_shell(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOEXEC)
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
