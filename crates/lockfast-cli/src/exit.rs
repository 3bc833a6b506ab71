//! Exit codes, and the words that go with them.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use lockfast::command_support::Shown;

use crate::sys;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With an exit code.
    Code(u8),
    /// By the signal that ended the command, so that the parent sees what it would see of the command:
    /// a shell whose command died of SIGINT stops its script.
    #[cfg_attr(windows, allow(dead_code, reason = "there are no signals"))]
    Signal(u8),
}

impl Exit {
    pub(crate) const SUCCESS: Self = Self::Code(0);
    /// The arguments make no sense (`EX_USAGE` of sysexits.h).
    pub(crate) const USAGE: Self = Self::Code(64);
    /// There is nothing at a path (`EX_NOINPUT`).
    pub(crate) const NO_INPUT: Self = Self::Code(66);
    /// The system refused something (`EX_OSERR`).
    pub(crate) const SYSTEM: Self = Self::Code(71);
    /// A lock file can't be opened or created (`EX_CANTCREAT`).
    pub(crate) const CANNOT_CREATE: Self = Self::Code(73);
    /// The command was found and can't be executed, as shells have it.
    pub(crate) const NOT_EXECUTABLE: Self = Self::Code(126);
    /// There is no such command, as shells have it.
    pub(crate) const NOT_FOUND: Self = Self::Code(127);
    /// The command ran longer than it may, as timeout(1) has it.
    #[cfg_attr(windows, allow(dead_code, reason = "there is no time limit"))]
    pub(crate) const TIMED_OUT: Self = Self::Code(124);

    /// A lock is held (`EX_TEMPFAIL`).
    pub(crate) const HELD: Self = Self::Code(Self::CONFLICT);

    /// The lock was not obtained and the user did not choose a code (`EX_TEMPFAIL`).
    pub(crate) const CONFLICT: u8 = 75;

    pub(crate) const fn code(code: u8) -> Self {
        Self::Code(code)
    }

    /// The code at the end of the program: output that was lost is an error.
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

    /// The code by which shells tell that a signal killed a program.
    #[cfg_attr(windows, allow(dead_code, reason = "there are no signals"))]
    pub(crate) const fn killed_by(signal: u8) -> Self {
        Self::Code(128 | signal)
    }

    /// Ends the process by the signal, or else returns the code to exit with: 128+N where signal N
    /// did not end it, as in the first process of a container.
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

/// Says one line on standard error.
pub(crate) fn say(message: impl Display) {
    let message = message.to_string();
    // Unlike `eprintln!`, which panics when the reader is gone.
    let _ = writeln!(io::stderr(), "lockfast: {}", Shown::message(&message));
}

/// Writes a line, or several, to standard output.
pub(crate) fn put(text: impl Display) {
    note(writeln!(io::stdout(), "{text}"));
}

/// Remembers that standard output could not be written, unless its reader is gone: nobody misses
/// anything then.
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
