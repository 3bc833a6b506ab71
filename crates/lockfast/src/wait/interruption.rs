//! What makes the blocked calls of a thread come back before they are done.

use std::io;
use std::time::{Duration, Instant};

use crate::cancel::{self, Armed};
use crate::sys::alarm::{Alarm, SIGNALS_INTERRUPT};

/// The deadline of a wait and the tokens under which its thread runs, for as long as this lives.
#[derive(Debug)]
pub(super) struct Interruption {
    /// Dropped before the alarm that they ring.
    #[allow(dead_code, reason = "works until it is dropped")]
    tokens: Vec<Armed>,
    alarm: Option<Alarm>,
    #[allow(dead_code, reason = "works until it is dropped")]
    repeated: Option<Alarm>,
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
            tokens: cancel::arm(&alarm),
            alarm: Some(alarm),
            ..Self::none(true)
        })
    }

    /// By the tokens alone; where they can't, the thread has to come back [by
    /// itself](Self::come_back).
    pub(super) fn of_tokens() -> Self {
        Self::by(None, false).unwrap_or(Self::none(true))
    }

    /// Also once in each interval.
    pub(super) fn and_every(mut self, interval: Duration) -> io::Result<Self> {
        self.repeated = Some(Alarm::every(interval)?);
        Ok(self)
    }

    /// Also ten times a second, if the program wants to be asked whether to give up and no signal makes
    /// the thread come back.
    pub(super) fn and_to_ask(mut self, is_wanted: bool) -> Self {
        if is_wanted && !SIGNALS_INTERRUPT && self.repeated.is_none() {
            self.repeated = Alarm::every(ASK).ok();
        }
        self
    }

    /// When the thread has to come back by itself, as nothing makes it.
    pub(super) fn come_back(&self) -> Option<Instant> {
        let must = self.is_asked_for && self.alarm.is_none();
        must.then(|| Instant::now() + COME_BACK)
    }

    /// Makes the call come back now; any thread may say so.
    pub(super) fn ring(&self) {
        if let Some(alarm) = &self.alarm {
            alarm.ring();
        }
    }

    fn none(is_asked_for: bool) -> Self {
        Self {
            tokens: Vec::new(),
            alarm: None,
            repeated: None,
            is_asked_for,
        }
    }
}

const COME_BACK: Duration = Duration::from_millis(10);
const ASK: Duration = Duration::from_millis(100);
