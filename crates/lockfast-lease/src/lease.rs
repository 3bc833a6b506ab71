//! The lease of a session, as data.

use std::sync::Mutex;
use std::time::Duration;

use lockfast::HoldState;
use tokio::sync::Notify;

use crate::clock::{BootTime, Clock};

/// The least margin between the end of the lease here and on the server.
const LEAST_MARGIN: Duration = Duration::from_millis(500);

/// The lease of a session: until when its holder may rely on it.
///
/// | state | begins with | ends with |
/// |---|---|---|
/// | unconfirmed | the deadline passes | a later confirmation |
/// | valid | a confirmation that was sent less than TTL − margin ago | the deadline |
/// | ended | the server does not know the lease any more | never |
///
/// The deadline is counted from the time at which the request was *sent*: the server restarts the lease after that,
/// and so never frees a lock before the deadline here.
///
/// A confirmation after the deadline begins a new *term*. In between the server may have freed the locks, so each
/// of them needs a proof that it is still there ([`Belief`](crate::Belief)).
#[derive(Debug)]
pub struct Lease {
    clock: Clock,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    deadline: BootTime,
    /// The time before which the server frees no lock: the deadline and the margin.
    end: BootTime,
    /// The number of times that a confirmation came after the deadline.
    term: u64,
    has_ended: bool,
}

/// The outcome of a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The lease was valid all the time.
    InTime,
    /// The deadline had passed. The locks need a proof that they are still there.
    Late,
    /// The answer is so old that its deadline has passed too, or the lease has ended before.
    TooLate,
}

impl Lease {
    /// Returns a lease that was never confirmed.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// The clock of the lease.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Records that the server has confirmed the lease for that long, in the answer to a request that was sent
    /// at that time.
    pub fn confirm(&self, sent: BootTime, ttl: Duration) -> Confirmed {
        let deadline = sent.plus(ttl.saturating_sub(margin(ttl)));
        let end = sent.plus(ttl);
        let confirmed = {
            let mut state = lock(&self.state);
            // Under the mutex, so that the deadline can't pass between the comparison and the change.
            let now = self.clock.now();
            if state.has_ended || deadline <= now {
                return Confirmed::TooLate;
            }
            let in_time = now < state.deadline;
            state.term += u64::from(!in_time);
            state.deadline = state.deadline.max(deadline);
            state.end = state.end.max(end);
            if in_time {
                Confirmed::InTime
            } else {
                Confirmed::Late
            }
        };
        if confirmed == Confirmed::Late {
            self.changed.notify_waiters();
        }
        confirmed
    }

    /// Records that the server does not know the lease any more.
    pub fn end(&self) {
        lock(&self.state).has_ended = true;
        self.changed.notify_waiters();
    }

    /// The state of the lease.
    pub fn state(&self) -> HoldState {
        self.state_in_term().0
    }

    /// The state and the term that it belongs to.
    pub fn state_in_term(&self) -> (HoldState, u64) {
        let state = *lock(&self.state);
        let is = if state.has_ended {
            HoldState::Lost
        } else if self.clock.now() < state.deadline {
            HoldState::Valid
        } else {
            HoldState::Unconfirmed
        };
        (is, state.term)
    }

    /// The number of times that the lease was confirmed after its deadline had passed.
    pub fn term(&self) -> u64 {
        lock(&self.state).term
    }

    /// The end of what the server has confirmed, less the margin.
    pub fn deadline(&self) -> BootTime {
        lock(&self.state).deadline
    }

    /// The time that is left until the deadline.
    pub fn remaining(&self) -> Duration {
        self.deadline().since(self.clock.now())
    }

    /// The time for which the server frees no lock that it showed in that term.
    pub(crate) fn left_in(&self, term: u64) -> Duration {
        let state = *lock(&self.state);
        if state.has_ended || state.term != term {
            return Duration::ZERO;
        }
        state.end.since(self.clock.now())
    }

    /// Completes when the state has changed by an event: the lease has ended, or a new term began. A deadline that
    /// passes is no event.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Wakes those who wait for a change, because a deadline has passed.
    pub fn deadline_passed(&self) {
        self.changed.notify_waiters();
    }

    pub(crate) fn signal(&self) -> &Notify {
        &self.changed
    }
}

/// The time before the end of a lease in which its holder does not rely on it any more: clocks differ in speed, and
/// a program needs a moment between the question and what it does next.
#[must_use]
pub(crate) fn margin(ttl: Duration) -> Duration {
    (ttl / 10).max(LEAST_MARGIN)
}

/// Locks a mutex. Nothing panics while it is held, and the data stay whole if it does.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A clock that a test sets.
    #[derive(Clone, Default)]
    pub(crate) struct Hand(Arc<AtomicU64>);

    impl Hand {
        pub(crate) fn clock(&self) -> Clock {
            let millis = Arc::clone(&self.0);
            Clock::of(move || at(millis.load(Ordering::SeqCst)))
        }

        pub(crate) fn set(&self, millis: u64) {
            self.0.store(millis, Ordering::SeqCst);
        }
    }

    pub(crate) fn at(millis: u64) -> BootTime {
        BootTime::after_boot(Duration::from_millis(millis))
    }

    const TTL: Duration = Duration::from_secs(10);

    #[test]
    fn the_deadline_counts_from_the_sending() {
        let hand = Hand::default();
        let lease = Lease::new(hand.clock());
        assert_eq!(lease.state(), HoldState::Unconfirmed);
        hand.set(4_000);
        assert_eq!(lease.confirm(at(1_000), TTL), Confirmed::Late);
        assert_eq!(lease.deadline(), at(10_000));
        hand.set(9_999);
        assert_eq!(lease.state(), HoldState::Valid);
        hand.set(10_000);
        assert_eq!(lease.state(), HoldState::Unconfirmed);
    }

    #[test]
    fn an_answer_after_the_deadline_begins_a_term() {
        let hand = Hand::default();
        let lease = Lease::new(hand.clock());
        lease.confirm(at(0), TTL);
        let term = lease.term();
        hand.set(5_000);
        assert_eq!(lease.confirm(at(4_000), TTL), Confirmed::InTime);
        assert_eq!(lease.term(), term);
        hand.set(13_500);
        assert_eq!(lease.confirm(at(12_000), TTL), Confirmed::Late);
        assert_eq!(lease.state_in_term(), (HoldState::Valid, term + 1));
    }

    #[test]
    fn old_answers_do_not_shorten_or_revive_a_lease() {
        let hand = Hand::default();
        let lease = Lease::new(hand.clock());
        lease.confirm(at(0), TTL);
        hand.set(2_000);
        lease.confirm(at(2_000), TTL);
        lease.confirm(at(1_000), TTL);
        assert_eq!(lease.deadline(), at(11_000));
        hand.set(30_000);
        assert_eq!(lease.confirm(at(20_000), TTL), Confirmed::TooLate);
        assert_eq!(lease.state(), HoldState::Unconfirmed);
        lease.end();
        assert_eq!(lease.confirm(at(30_000), TTL), Confirmed::TooLate);
        assert_eq!(lease.state(), HoldState::Lost);
    }

    #[test]
    fn a_short_lease_keeps_half_a_second_back() {
        assert_eq!(margin(Duration::from_secs(2)), LEAST_MARGIN);
        assert_eq!(margin(Duration::from_secs(15)), Duration::from_millis(1500));
    }
}
