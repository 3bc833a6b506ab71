//! Exit codes, and the words that go with them.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// The code that the process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit(u8);

impl Exit {
    pub(crate) const SUCCESS: Self = Self(0);
    /// The arguments make no sense (`EX_USAGE` of sysexits.h).
    pub(crate) const USAGE: Self = Self(64);
    /// There is nothing at a path (`EX_NOINPUT`).
    pub(crate) const NO_INPUT: Self = Self(66);
    /// The system refused something (`EX_OSERR`).
    pub(crate) const SYSTEM: Self = Self(71);
    /// A lock file can't be opened or created (`EX_CANTCREAT`).
    pub(crate) const CANNOT_CREATE: Self = Self(73);
    /// The command was found and can't be executed, as shells have it.
    pub(crate) const NOT_EXECUTABLE: Self = Self(126);
    /// There is no such command, as shells have it.
    pub(crate) const NOT_FOUND: Self = Self(127);

    /// A lock is held (`EX_TEMPFAIL`).
    pub(crate) const HELD: Self = Self(Self::CONFLICT);

    /// The lock was not obtained and the user did not choose a code (`EX_TEMPFAIL`).
    pub(crate) const CONFLICT: u8 = 75;

    pub(crate) const fn code(code: u8) -> Self {
        Self(code)
    }

    /// The code by which shells tell that a signal killed the command.
    #[cfg_attr(windows, allow(dead_code, reason = "there are no signals"))]
    pub(crate) const fn killed_by(signal: u8) -> Self {
        Self(128 | signal)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

/// Says one line on standard error.
pub(crate) fn say(message: impl Display) {
    // Unlike `eprintln!`, which panics when the reader is gone.
    let _ = writeln!(io::stderr(), "lockfast: {message}");
}
