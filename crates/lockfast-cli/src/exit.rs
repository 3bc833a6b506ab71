//! Exit codes, and output to the user.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use lockfast::command_support::Shown;

use crate::sys;

/// The way the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With an exit code.
    Code(u8),
    /// By the signal that ended the command, so that the parent sees the same status as from the
    /// command itself: a shell whose command died of SIGINT stops its script.
    #[cfg_attr(windows, allow(dead_code, reason = "there are no signals"))]
    Signal(u8),
}

impl Exit {
    pub(crate) const SUCCESS: Self = Self::Code(0);
    /// Invalid arguments (`EX_USAGE` of sysexits.h).
    pub(crate) const USAGE: Self = Self::Code(64);
    /// A path does not exist (`EX_NOINPUT`).
    pub(crate) const NO_INPUT: Self = Self::Code(66);
    /// A server can't be reached (`EX_UNAVAILABLE`).
    pub(crate) const UNREACHABLE: Self = Self::Code(69);
    /// The lock was lost while the command ran.
    pub(crate) const LOST: Self = Self::Code(76);
    /// The server refuses the user (`EX_NOPERM`).
    pub(crate) const REFUSED: Self = Self::Code(77);
    /// System error (`EX_OSERR`).
    pub(crate) const SYSTEM: Self = Self::Code(71);
    /// A lock file can't be opened or created (`EX_CANTCREAT`).
    pub(crate) const CANNOT_CREATE: Self = Self::Code(73);
    /// The command was found but can't be executed, as in shells.
    pub(crate) const NOT_EXECUTABLE: Self = Self::Code(126);
    /// The command was not found, as in shells.
    pub(crate) const NOT_FOUND: Self = Self::Code(127);
    /// The command exceeded its time limit, as in timeout(1).
    #[cfg_attr(windows, allow(dead_code, reason = "there is no time limit"))]
    pub(crate) const TIMED_OUT: Self = Self::Code(124);

    /// A lock is held (`EX_TEMPFAIL`).
    pub(crate) const HELD: Self = Self::Code(Self::CONFLICT);

    /// The lock was not obtained and the user did not choose a code (`EX_TEMPFAIL`).
    pub(crate) const CONFLICT: u8 = 75;

    pub(crate) const fn code(code: u8) -> Self {
        Self::Code(code)
    }

    /// Returns the code for the end of the program: lost output is an error.
    pub(crate) fn after_output(self) -> Self {
        note(io::stdout().flush());
        match &*FAILURE.lock().unwrap_or_else(PoisonError::into_inner) {
            None => self,
            Some(error) => {
                say(format_args!("cannot write to standard output: {error}"));
                Self::SYSTEM
            }
        }
    }

    /// Returns the code that shells use for a program killed by a signal.
    #[cfg(all(unix, feature = "top"))]
    pub(crate) const fn killed_by(signal: u8) -> Self {
        Self::Code(128 | signal)
    }

    /// Ends the process by the signal, or returns its exit code. That is 128+N if signal N does not
    /// end the process, as in the first process of a container.
    pub(crate) fn end(self) -> ExitCode {
        match self {
            Self::Code(code) => code.into(),
            Self::Signal(signal) => {
                sys::die_of(signal);
                (128 | signal).into()
            }
        }
    }
}

/// Prints a line to standard error.
pub(crate) fn say(message: impl Display) {
    let message = message.to_string();
    // Unlike `eprintln!`, which panics when the reader is gone.
    let _ = writeln!(io::stderr(), "lockfast: {}", Shown::message(&message));
}

/// Prints text to standard output.
pub(crate) fn put(text: impl Display) {
    note(writeln!(io::stdout(), "{text}"));
}

/// Remembers an error of standard output, except a closed pipe: then nobody misses the output.
pub(crate) fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let mut failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
    }
}

/// The first error of writing to standard output.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);
