//! Asking again and again, where nothing tells a waiter that it may go on.

use std::time::{Duration, Instant};

use super::context::WaitContext;
use super::limits::{Wait, earlier};
use super::wake_sources::WakeSources;
use crate::sys::Parked;
use crate::sys::park::Parker;
use crate::types::error::Result;
use crate::types::holder::Holder;

/// Backoff between two attempts; each is longer than the one before, up to a limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    next: Duration,
    shortest: Duration,
    longest: Duration,
}

impl Backoff {
    pub(super) const fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            next: shortest,
            shortest,
            longest,
        }
    }

    /// Begins with the shortest nap again.
    pub(super) fn restart(&mut self) {
        self.next = self.shortest;
    }

    /// Returns the length of the nap that comes now.
    pub(super) fn current(&self) -> Duration {
        self.next
    }

    /// Makes the next nap longer; `false` when it is as long as it gets.
    pub(super) fn lengthen(&mut self) -> bool {
        let before = self.next;
        self.next = (2 * before).min(self.longest);
        self.next > before
    }
}

impl<C: WaitContext> Wait<'_, C> {
    /// Attempts until it succeeds, with naps in between.
    pub(super) fn poll_until<R>(
        &mut self,
        mut naps: Backoff,
        holder: impl Fn() -> Option<Holder>,
        mut attempt: impl FnMut() -> Result<Option<R>>,
    ) -> Result<R> {
        let sources = WakeSources::of_tokens().and_to_ask(self.asks_whether_to_go_on());
        loop {
            if let Some(result) = attempt()? {
                return Ok(result);
            }
            let until = self.before_nap(&sources, naps, &holder)?;
            self.park_until(until)?;
            naps.lengthen();
        }
    }

    /// Checks the limits and calls `on_wait` if it is due; returns when to attempt again.
    pub(super) fn before_nap(
        &mut self,
        sources: &WakeSources,
        naps: Backoff,
        holder: impl Fn() -> Option<Holder>,
    ) -> Result<Instant> {
        self.ensure_not_cancelled()?;
        self.ensure_in_time(&holder)?;
        self.report_if_due(&holder)?;
        let wake = Instant::now() + naps.current();
        let until = earlier(self.limit.deadline(), self.next_call());
        let until = earlier(until, sources.come_back());
        Ok(until.map_or(wake, |until| until.min(wake)))
    }

    /// Sleeps until that instant, or until a signal after which the program wants to go on.
    pub(super) fn park_until(&self, until: Instant) -> Result<()> {
        match Parker::default().park(Some(until)) {
            Parked::Interrupted => self.ensure_not_interrupted(),
            Parked::Granted | Parked::TimedOut => Ok(()),
        }
    }
}
