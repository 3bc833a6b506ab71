//! The wait for the turn, among the threads and tasks of this process.

use std::time::Instant;

use super::context::WaitContext;
use super::limits::{Wait, WaiterKind, earlier};
use super::wake_sources::WakeSources;
use crate::queue::{Enqueued, QueuedWaiter, SpinOutcome, Turn, Unlock};
use crate::sys::Parked;
use crate::types::error::Result;
use crate::types::holder::Holder;

/// How a thread of this process got in.
pub(crate) enum Admission<'q, T: Unlock> {
    /// With the turn to make the kernel calls.
    Turn(Turn<'q, T>),
    /// By the hand-off.
    Handoff(Box<T::Held>),
}

impl<C: WaitContext> Wait<'_, C> {
    /// Whether it may compete for the hand-off. The program's functions could take their time while others
    /// rely on it, and so could whoever polls a task.
    pub(crate) fn may_compete(&self) -> bool {
        let settings = self.context.settings();
        self.kind == WaiterKind::Thread
            && settings.on_wait.is_none()
            && settings.on_interrupt.is_none()
    }

    /// Waits for the turn or, if it competes, for the hand-off.
    pub(crate) async fn until_admitted<'q, T: Unlock>(
        &mut self,
        enqueued: Enqueued<'q, T>,
        holder: impl Fn() -> Option<Holder>,
    ) -> Result<Admission<'q, T>> {
        match enqueued {
            Enqueued::Turn(turn) => Ok(Admission::Turn(turn)),
            Enqueued::QueuedWaiter(waiter) => self.queued(waiter, holder).await,
        }
    }

    async fn queued<'q, T: Unlock>(
        &mut self,
        mut waiter: QueuedWaiter<'q, T>,
        holder: impl Fn() -> Option<Holder>,
    ) -> Result<Admission<'q, T>> {
        self.begin(&holder)?;
        // Any thread may poll a task, so a task has no thread that could wait for itself.
        if self.kind != WaiterKind::Task {
            self.ensure_no_deadlock(|| waiter.was_inside())?;
        }
        loop {
            if self.kind == WaiterKind::Task {
                // A task that is dropped here gives up its place by the drop of the waiter.
                waiter.granted().await;
            } else if waiter.competes() {
                match waiter.spin_for_handoff() {
                    // Waiters that compete are exclusive, and the turn of an exclusive one is never
                    // called off.
                    SpinOutcome::Granted => {}
                    SpinOutcome::Handoff(held) => return Ok(Admission::Handoff(held)),
                    SpinOutcome::Nothing => {
                        self.parked(|until| waiter.park(until), &holder)?;
                        continue;
                    }
                }
            } else {
                self.parked(|until| waiter.park(until), &holder)?;
            }
            match waiter.enter() {
                Ok(turn) => return Ok(Admission::Turn(turn)),
                // The last one inside needed the turn to unlock.
                Err(called_off) => waiter = called_off,
            }
        }
    }

    /// Puts this thread to sleep until it is woken.
    #[cold]
    fn parked(
        &mut self,
        park: impl Fn(Option<Instant>) -> Parked,
        holder: &impl Fn() -> Option<Holder>,
    ) -> Result<()> {
        // The deadline needs no alarm, as `park` has an instant of its own.
        let sources = WakeSources::of_tokens().and_to_ask(self.asks_whether_to_go_on());
        loop {
            // An alarm that rings before the sleep is lost, and rings again; the token stays cancelled.
            self.ensure_not_cancelled()?;
            let until = earlier(self.limit.deadline(), self.next_call());
            match park(earlier(until, sources.come_back())) {
                Parked::Granted => return Ok(()),
                Parked::TimedOut => {
                    self.ensure_in_time(holder)?;
                    self.report_if_due(holder)?;
                }
                Parked::Interrupted => self.ensure_not_interrupted()?,
            }
        }
    }
}
