//! What makes the blocked calls of a thread come back before they are done.

use std::io;
use std::time::{Duration, Instant};

use crate::cancel::{self, Armed};
use crate::sys::alarm::Alarm;

/// The deadline of a wait and the tokens under which its thread runs, for as long as this lives.
#[derive(Debug)]
pub(super) struct Interruption {
    /// Dropped before the alarm that they ring.
    _tokens: Vec<Armed>,
    alarm: Option<Alarm>,
    is_asked_for: bool,
}

impl Interruption {
    /// By the tokens, and by the deadline or by [`ring`](Self::ring), if so wanted.
    pub(super) fn by(deadline: Option<Instant>, by_others: bool) -> io::Result<Self> {
        if deadline.is_none() && !by_others && !cancel::is_possible() {
            return Ok(Self::none(false));
        }
        let alarm = Alarm::set(deadline)?;
        Ok(Self {
            _tokens: cancel::arm(&alarm),
            alarm: Some(alarm),
            is_asked_for: true,
        })
    }

    /// By the tokens alone; where they can't, the thread has to [ask](Self::ask_again).
    pub(super) fn of_tokens() -> Self {
        Self::by(None, false).unwrap_or(Self::none(true))
    }

    /// When the thread has to come back by itself, as nothing makes it.
    pub(super) fn ask_again(&self) -> Option<Instant> {
        let must_ask = self.is_asked_for && self.alarm.is_none();
        must_ask.then(|| Instant::now() + ASK_AGAIN)
    }

    /// Makes the call come back now; any thread may say so.
    pub(super) fn ring(&self) {
        if let Some(alarm) = &self.alarm {
            alarm.ring();
        }
    }

    fn none(is_asked_for: bool) -> Self {
        Self {
            _tokens: Vec::new(),
            alarm: None,
            is_asked_for,
        }
    }
}

const ASK_AGAIN: Duration = Duration::from_millis(10);
