//! Wakes a thread when a permit is free.
//!
//! A handle of its own requests a shared lock of each permit. The request for a permit that is held is granted
//! when the permit is released or its holder dies. The notifier then unlocks it at once: it only wakes.

use std::fs::File;
use std::io;
use std::time::Instant;

use super::request::{self, Any};
use super::sleep::MOST;
use crate::sys::{Notified, Range, pieces};

/// Wakes a thread when a permit of a file is free; one file at a time.
#[derive(Debug)]
pub(crate) struct Notifier {
    /// The file by a handle of its own, and the pieces of its permits.
    watched: Option<(File, Vec<Range>)>,
}

impl Notifier {
    /// Makes a notifier that watches nothing.
    #[allow(clippy::unnecessary_wraps, reason = "the contract of the module")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { watched: None })
    }

    /// Watches the permits in the range from now on.
    ///
    /// # Errors
    ///
    /// When there are more than a thread can sleep on, or the file can't be opened again.
    pub(crate) fn watch(&mut self, file: &File, permits: Range) -> io::Result<()> {
        self.watched = None;
        // Every other byte is a permit.
        let numbers = (permits.start..permits.start + permits.len).step_by(2);
        let single = |start| pieces::of(Range { start, len: 1 });
        let permits: Vec<_> = numbers.flat_map(single).map(|piece| piece.at).collect();
        if permits.len() > MOST {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.watched = Some((request::reopen(file)?, permits));
        Ok(())
    }

    /// Ends the watch.
    pub(crate) fn unwatch(&mut self) {
        self.watched = None;
    }

    /// Sleeps until a permit is free, until the instant, or until an alarm of this thread.
    pub(crate) fn wait(&self, until: Instant) -> io::Result<Notified> {
        let Some((file, permits)) = &self.watched else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok(match request::any(file, permits, until)? {
            Any::Free => Notified::Closed,
            Any::TimedOut => Notified::TimedOut,
            Any::Interrupted => Notified::Interrupted,
        })
    }
}

/// Does nothing: a release completes the requests of those who watch.
pub(crate) fn notify(_file: &File) {}
