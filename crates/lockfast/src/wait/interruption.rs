//! What makes the blocked calls of a thread come back before they are done.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use crate::sys::alarm::{Alarm, SIGNALS_INTERRUPT};
use crate::types::cancel::{self, Armed};

/// The deadline of a wait and the tokens under which its thread runs, for as long as this lives. Most
/// waits have neither: then there is nothing to be dropped between the grant and whoever waits for it.
#[derive(Debug, Default)]
pub(super) struct WakeSources(Option<Box<Means>>);

#[derive(Debug, Default)]
struct Means {
    tokens: Vec<Armed>,
    alarm: Option<Alarm>,
    #[allow(dead_code, reason = "works until it is dropped")]
    repeated: Option<Alarm>,
    is_asked_for: bool,
    /// Is the alarm that of a thread that keeps one?
    is_kept: bool,
}

impl WakeSources {
    /// By the tokens, and by the deadline or by [`ring`](Self::ring), if so wanted.
    pub(super) fn by(deadline: Option<Instant>, by_others: bool) -> io::Result<Self> {
        if deadline.is_none() && !by_others && !cancel::is_possible() {
            return Ok(Self::default());
        }
        let is_kept = deadline.is_none() && !by_others;
        let kept = if is_kept { take_kept() } else { None };
        let alarm = match kept {
            Some(alarm) => alarm,
            None => Alarm::set(deadline)?,
        };
        Ok(Self(Some(Box::new(Means {
            tokens: cancel::arm(&alarm),
            alarm: Some(alarm),
            repeated: None,
            is_asked_for: true,
            is_kept,
        }))))
    }

    /// By the tokens alone; where they can't, the thread has to come back [by
    /// itself](Self::come_back).
    pub(super) fn of_tokens() -> Self {
        Self::by(None, false).unwrap_or_else(|_| {
            let mut missing = Self::default();
            missing.means().is_asked_for = true;
            missing
        })
    }

    /// Also once in each interval.
    pub(super) fn and_every(mut self, interval: Duration) -> io::Result<Self> {
        self.means().repeated = Some(Alarm::every(interval)?);
        Ok(self)
    }

    /// Also ten times a second, if the program wants to be asked whether to give up and no signal makes
    /// the thread come back.
    pub(super) fn and_to_ask(mut self, is_wanted: bool) -> Self {
        if is_wanted && !SIGNALS_INTERRUPT {
            let repeated = &mut self.means().repeated;
            *repeated = repeated.take().or_else(|| Alarm::every(ASK).ok());
        }
        self
    }

    /// May the call have to come back before it is done?
    pub(super) fn is_asked_for(&self) -> bool {
        self.0.as_ref().is_some_and(|means| means.is_asked_for)
    }

    /// When the thread has to come back by itself, as nothing makes it.
    pub(super) fn come_back(&self) -> Option<Instant> {
        let means = self.0.as_ref()?;
        let must = means.is_asked_for && means.alarm.is_none();
        must.then(|| Instant::now() + COME_BACK)
    }

    /// Makes the call come back now; any thread may say so.
    pub(super) fn ring(&self) {
        if let Some(alarm) = self.0.as_ref().and_then(|means| means.alarm.as_ref()) {
            alarm.ring();
        }
    }

    fn means(&mut self) -> &mut Means {
        self.0.get_or_insert_default()
    }
}

impl Drop for Means {
    fn drop(&mut self) {
        // From then on nobody rings the alarm.
        let end = |was_rung, armed: Armed| armed.end() || was_rung;
        let was_rung = self.tokens.drain(..).fold(false, end);
        // One that was rung goes on ringing.
        if self.is_kept && !was_rung {
            if let Some(alarm) = self.alarm.take() {
                keep(alarm);
            }
        }
    }
}

/// This thread keeps the alarm that its tokens ring from one wait to the next, so that whoever it waits
/// for learns of the grant before the alarm is gone, which takes its time. For a thread of our own: the
/// signal is let through in between.
pub(super) fn keep_alarm() {
    KEPT.set(Kept::None);
}

fn take_kept() -> Option<Alarm> {
    KEPT.with_borrow_mut(|kept| match std::mem::replace(kept, Kept::None) {
        Kept::Never => {
            *kept = Kept::Never;
            None
        }
        Kept::None => None,
        Kept::Alarm(alarm) => alarm.still_works().then_some(alarm),
    })
}

fn keep(alarm: Alarm) {
    KEPT.with_borrow_mut(|kept| {
        if matches!(kept, Kept::None) {
            *kept = Kept::Alarm(alarm);
        }
    });
}

#[derive(Debug)]
enum Kept {
    /// By most threads.
    Never,
    None,
    Alarm(Alarm),
}

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept::Never) };
}

const COME_BACK: Duration = Duration::from_millis(10);
const ASK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::types::cancel::CancelToken;

    fn keeps_one() -> bool {
        KEPT.with_borrow(|kept| matches!(kept, Kept::Alarm(_)))
    }

    #[test]
    #[allow(clippy::print_stderr, reason = "why it is left out")]
    fn an_alarm_is_kept_by_those_who_want_to_unless_it_was_rung() {
        if Alarm::set(None).is_err() {
            eprintln!("nothing interrupts the kernel's queue here, so there are no alarms to keep");
            return;
        }
        let of_a_helper = thread::spawn(|| {
            let token = CancelToken::new();
            let wait = || token.run(|| drop(WakeSources::by(None, false)));
            wait();
            assert!(!keeps_one(), "a thread of the program keeps nothing");
            keep_alarm();
            wait();
            assert!(keeps_one());
            wait();
            assert!(keeps_one());
            token.cancel();
            wait();
            assert!(!keeps_one(), "it rings each millisecond");
        });
        of_a_helper.join().expect("the assertions hold");
    }
}
