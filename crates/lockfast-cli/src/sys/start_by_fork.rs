//! The start of the command on systems where nothing has to be done in the child but for signals.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::{self, SigHandler, SigSet, Signal};
use nix::unistd::Pid;

/// The state that the command starts with.
#[derive(Debug)]
pub(crate) struct Start {
    /// Blocked signals.
    pub(crate) mask: SigSet,
    /// Signals that this process catches. The command gets their default actions.
    pub(crate) caught: Vec<Signal>,
    /// Signals that the command ignores.
    pub(crate) ignored: Vec<Signal>,
    /// Never set, see [`CAN_KILL_WITH_PARENT`](super::CAN_KILL_WITH_PARENT).
    pub(crate) dies_with_parent: bool,
}

impl Start {
    /// Starts the command.
    ///
    /// Like `execvp` it runs a file without an interpreter line in the shell: the hook makes the
    /// standard library call that.
    pub(crate) fn spawn(self, command: &mut Command) -> io::Result<Pid> {
        let Self {
            mask,
            caught,
            ignored,
            dies_with_parent,
        } = self;
        if dies_with_parent {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let prepare = move || {
            for &of in &caught {
                // SAFETY: no handler is installed.
                unsafe { signal::signal(of, SigHandler::SigDfl) }?;
            }
            for &of in &ignored {
                // SAFETY: no handler is installed.
                unsafe { signal::signal(of, SigHandler::SigIgn) }?;
            }
            Ok(mask.thread_set_mask()?)
        };
        // SAFETY: signal and sigprocmask are async-signal-safe.
        unsafe { command.pre_exec(prepare) };
        let started = command.spawn()?;
        Ok(Pid::from_raw(
            started.id().try_into().expect("pids are positive"),
        ))
    }
}
