//! The sources that make the blocked calls of a thread come back before they are done.

use std::io;
use std::time::{Duration, Instant};

use crate::sys::alarm::{Alarm, SIGNALS_INTERRUPT};
use crate::types::cancel::{self, Armed};

/// The deadline of a wait and the tokens under which its thread runs, for as long as this lives. Most
/// waits have neither: then there is nothing to be dropped between the grant and whoever waits for it.
#[derive(Debug, Default)]
pub(super) struct WakeSources(Option<Box<Sources>>);

#[derive(Debug, Default)]
struct Sources {
    // Dropped before the alarm, in the order of the fields: a token must not ring an alarm that is gone.
    #[allow(dead_code, reason = "work until they are dropped")]
    tokens: Vec<Armed>,
    alarm: Option<Alarm>,
    #[allow(dead_code, reason = "works until it is dropped")]
    repeated: Option<Alarm>,
    // | asked for | `alarm` | the thread |
    // |---|---|---|
    // | no | none | sleeps on, but for signals of the program |
    // | yes | some | is made to come back |
    // | yes | none could be had | has to come back by itself |
    is_asked_for: bool,
}

impl WakeSources {
    /// By the tokens, and by the deadline or by [`ring`](Self::ring), if so wanted.
    pub(super) fn by(deadline: Option<Instant>, by_others: bool) -> io::Result<Self> {
        // Most waits end here: an alarm costs system calls, and has to be deleted between the grant and
        // its user.
        if deadline.is_none() && !by_others && !cancel::is_possible() {
            return Ok(Self::default());
        }
        let alarm = Alarm::set(deadline)?;
        Ok(Self(Some(Box::new(Sources {
            tokens: cancel::arm(&alarm),
            alarm: Some(alarm),
            repeated: None,
            is_asked_for: true,
        }))))
    }

    /// By the tokens alone; where they can't, the thread has to come back [by
    /// itself](Self::come_back).
    pub(super) fn of_tokens() -> Self {
        Self::by(None, false).unwrap_or_else(|_| {
            let mut missing = Self::default();
            missing.sources().is_asked_for = true;
            missing
        })
    }

    /// Also once in each interval.
    pub(super) fn and_every(mut self, interval: Duration) -> io::Result<Self> {
        self.sources().repeated = Some(Alarm::every(interval)?);
        Ok(self)
    }

    /// Also ten times a second, if the program wants to be asked whether to give up and no signal makes
    /// the thread come back.
    pub(super) fn and_to_ask(mut self, is_wanted: bool) -> Self {
        if is_wanted && !SIGNALS_INTERRUPT {
            let repeated = &mut self.sources().repeated;
            *repeated = repeated.take().or_else(|| Alarm::every(ASK).ok());
        }
        self
    }

    /// Whether the call may have to come back before it is done.
    pub(super) fn is_asked_for(&self) -> bool {
        self.0.as_ref().is_some_and(|sources| sources.is_asked_for)
    }

    /// When the thread has to come back by itself, as nothing makes it.
    pub(super) fn come_back(&self) -> Option<Instant> {
        let sources = self.0.as_ref()?;
        let must = sources.is_asked_for && sources.alarm.is_none();
        must.then(|| Instant::now() + COME_BACK)
    }

    /// Makes the call come back now. Any thread may call this.
    pub(super) fn ring(&self) {
        if let Some(alarm) = self.0.as_ref().and_then(|sources| sources.alarm.as_ref()) {
            alarm.ring();
        }
    }

    fn sources(&mut self) -> &mut Sources {
        self.0.get_or_insert_default()
    }
}

const COME_BACK: Duration = Duration::from_millis(10);
const ASK: Duration = Duration::from_millis(100);
