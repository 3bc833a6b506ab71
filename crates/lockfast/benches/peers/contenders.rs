//! Who is measured.

use std::fmt;

/// A way of locking a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// The kernel's bare calls for a record lock, with an attempt that never waits.
    RawTry,
    /// The same with one that waits.
    Raw,
    RawFlock,
    Lockfast,
    /// With `try_lock_for`.
    LockfastTimed,
    LockfastOff,
    LockfastPath,
    LockfastFlock,
    LockfastBoth,
    Std,
    Fs4,
    FdLock,
    Fasteners,
    Filelock,
    Portalocker,
}

impl Contender {
    const ALL: [Self; 15] = [
        Self::RawTry,
        Self::Raw,
        Self::RawFlock,
        Self::Lockfast,
        Self::LockfastTimed,
        Self::LockfastOff,
        Self::LockfastPath,
        Self::LockfastFlock,
        Self::LockfastBoth,
        Self::Std,
        Self::Fs4,
        Self::FdLock,
        Self::Fasteners,
        Self::Filelock,
        Self::Portalocker,
    ];

    /// The one that goes by that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|contender| contender.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RawTry => "raw F_OFD_SETLK",
            Self::Raw => "raw F_OFD_SETLKW",
            Self::RawFlock => "raw flock",
            Self::Lockfast => "lockfast",
            Self::LockfastTimed => "lockfast with a deadline",
            Self::LockfastOff => "lockfast with Verify::Off",
            Self::LockfastPath => "lockfast with Verify::Path",
            Self::LockfastFlock => "lockfast with Protocol::Flock",
            Self::LockfastBoth => "lockfast with Protocol::Both",
            Self::Std => "std File::lock",
            Self::Fs4 => "fs4",
            Self::FdLock => "fd-lock",
            Self::Fasteners => "fasteners",
            Self::Filelock => "filelock",
            Self::Portalocker => "portalocker",
        }
    }

    /// Is it a peer written in Python?
    pub(crate) fn is_python(self) -> bool {
        self.script().is_some()
    }

    /// The script that is its worker, if it is written in Python.
    pub(crate) fn script(self) -> Option<&'static str> {
        match self {
            Self::Fasteners => Some("fasteners_.py"),
            Self::Filelock => Some("filelock_.py"),
            Self::Portalocker => Some("portalocker_.py"),
            _ => None,
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
