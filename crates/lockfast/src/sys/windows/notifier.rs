//! Being told that a permit is free.
//!
//! By a handle of its own, a request to share each of them: what somebody has is not granted, until it is
//! released or its holder dies. What is granted is given back at once, as it is not for this handle.

use std::fs::File;
use std::io;
use std::time::Instant;

use super::request::{self, Any};
use super::sleep::MOST;
use crate::sys::{Notified, Range, pieces};

/// Hears what happens to the permits of one file at a time.
#[derive(Debug)]
pub(crate) struct Notifier {
    hung: Option<(File, Vec<Range>)>,
}

impl Notifier {
    /// One that hangs nowhere yet.
    #[allow(clippy::unnecessary_wraps, reason = "the contract of the module")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { hung: None })
    }

    /// Hears the permits in that range from now on.
    ///
    /// # Errors
    ///
    /// When there are more than a thread can sleep on, or the file can't be opened again.
    pub(crate) fn watch(&mut self, file: &File, permits: Range) -> io::Result<()> {
        self.hung = None;
        let numbers = (permits.start..permits.start + permits.len).step_by(2);
        let single = |start| pieces::of(Range { start, len: 1 });
        let permits: Vec<_> = numbers.flat_map(single).map(|piece| piece.at).collect();
        if permits.len() > MOST {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.hung = Some((request::reopen(file)?, permits));
        Ok(())
    }

    /// It has nothing more to do with the file.
    pub(crate) fn unwatch(&mut self) {
        self.hung = None;
    }

    /// Sleeps until a permit is free, until the instant, or until an alarm of this thread.
    pub(crate) fn wait(&self, until: Instant) -> io::Result<Notified> {
        let Some((file, permits)) = &self.hung else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok(match request::any(file, permits, until)? {
            Any::Free => Notified::Closed,
            Any::TimedOut => Notified::TimedOut,
            Any::Interrupted => Notified::Interrupted,
        })
    }
}

/// Who listens hears it by itself.
pub(crate) fn notify(_file: &File) {}
