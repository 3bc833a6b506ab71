//! Asking again and again, where nothing tells a waiter that it may go on.

use std::time::Instant;

use super::context::WaitContext;
use super::limits::{Wait, earlier};
use super::wake_sources::WakeSources;
use crate::sys::Parked;
use crate::sys::naps::Naps;
use crate::sys::park::Parker;
use crate::types::error::Result;
use crate::types::holder::Holder;

impl<C: WaitContext> Wait<'_, C> {
    /// Attempts until it succeeds, with naps in between.
    pub(super) fn poll_until<R>(
        &mut self,
        mut naps: Naps,
        holder: impl Fn() -> Option<Holder>,
        mut attempt: impl FnMut() -> Result<Option<R>>,
    ) -> Result<R> {
        let sources = WakeSources::of_tokens().and_to_ask(self.asks_whether_to_go_on());
        loop {
            // Before the limits: a wait whose time is over makes one attempt nevertheless.
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
        naps: Naps,
        holder: impl Fn() -> Option<Holder>,
    ) -> Result<Instant> {
        self.ensure_not_cancelled()?;
        self.ensure_in_time(&holder)?;
        self.report_if_due(&holder)?;
        let wake = Instant::now() + naps.current();
        // Whatever comes first: the next attempt, the deadline, or the hook.
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
