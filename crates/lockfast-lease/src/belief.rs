//! The belief of a holder in its lock.

use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use lockfast::HoldState;
use tokio::sync::Notify;

use crate::lease::{Lease, lock};

/// The state of a lock that is held under a [`Lease`].
///
/// The lock is valid while its lease is valid *in the term in which the server last proved that the lock is
/// there*. It is lost when the server says that it is gone, or when the lease has ended.
#[derive(Clone, Debug)]
pub struct Belief(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lease: Arc<Lease>,
    proof: Mutex<Proof>,
    changed: Notify,
}

#[derive(Debug)]
struct Proof {
    /// The term of the lease in which the server showed the lock.
    term: u64,
    is_lost: bool,
}

impl Belief {
    /// Returns the belief in a lock that the server showed in that term. The term is read *before* the request is
    /// sent.
    #[must_use]
    pub fn new(lease: Arc<Lease>, term: u64) -> Self {
        Self(Arc::new(Inner {
            lease,
            proof: Mutex::new(Proof {
                term,
                is_lost: false,
            }),
            changed: Notify::new(),
        }))
    }

    /// The lease under which the lock is held.
    pub fn lease(&self) -> &Arc<Lease> {
        &self.0.lease
    }

    /// The state of the lock now.
    pub fn state(&self) -> HoldState {
        let proof = lock(&self.0.proof);
        if proof.is_lost {
            return HoldState::Lost;
        }
        match self.0.lease.state_in_term() {
            (HoldState::Valid, term) if term != proof.term => HoldState::Unconfirmed,
            (state, _) => state,
        }
    }

    /// The time until the server may give the lock to others, if it does not confirm the lease before. A lock that is
    /// unconfirmed because its deadline has passed has the margin of the lease left.
    pub fn left(&self) -> Duration {
        let proof = lock(&self.0.proof);
        if proof.is_lost {
            return Duration::ZERO;
        }
        self.0.lease.left_in(proof.term)
    }

    /// Whether the lease has begun a term in which the server has not shown the lock yet.
    pub fn needs_proof(&self) -> bool {
        let proof = lock(&self.0.proof);
        !proof.is_lost && self.0.lease.term() != proof.term
    }

    /// Records that the server showed the lock, in the answer to a request that was sent in that term.
    pub fn prove(&self, term: u64) {
        let mut proof = lock(&self.0.proof);
        proof.term = proof.term.max(term);
    }

    /// Records that the lock is gone.
    pub fn lose(&self) {
        lock(&self.0.proof).is_lost = true;
        self.0.changed.notify_waiters();
    }

    /// Completes when the lock is lost, or not confirmed in time.
    ///
    /// A holder that is cut off from the server never learns whether its lock is lost. So this completes when the
    /// deadline passes, before the server frees the lock. [`Lease::deadline_passed`] must be called then.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let inner = Arc::clone(&self.0);
        async move {
            let this = Self(inner);
            loop {
                let mut own = pin!(this.0.changed.notified());
                let mut lease = pin!(this.0.lease.signal().notified());
                // Before the state is read, so that no change in between is missed.
                own.as_mut().enable();
                lease.as_mut().enable();
                if this.state() != HoldState::Valid {
                    return;
                }
                std::future::poll_fn(|context| {
                    let is_over = own.as_mut().poll(context).is_ready()
                        | lease.as_mut().poll(context).is_ready();
                    if is_over {
                        std::task::Poll::Ready(())
                    } else {
                        std::task::Poll::Pending
                    }
                })
                .await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::tests::{Hand, at};
    use std::task::{Context, Waker};

    const TTL: Duration = Duration::from_secs(10);

    fn held(hand: &Hand) -> (Arc<Lease>, Belief) {
        let lease = Arc::new(Lease::new(hand.clock()));
        lease.confirm(hand.clock().now(), TTL);
        let belief = Belief::new(Arc::clone(&lease), lease.term());
        (lease, belief)
    }

    #[test]
    fn a_late_confirmation_needs_a_proof() {
        let hand = Hand::default();
        let (lease, belief) = held(&hand);
        assert_eq!(belief.state(), HoldState::Valid);
        hand.set(9_000);
        assert_eq!(belief.state(), HoldState::Unconfirmed);
        lease.confirm(at(9_000), TTL);
        assert_eq!(belief.state(), HoldState::Unconfirmed);
        assert!(belief.needs_proof());
        belief.prove(lease.term());
        assert_eq!(belief.state(), HoldState::Valid);
        belief.lose();
        assert_eq!(belief.state(), HoldState::Lost);
        assert!(!belief.needs_proof());
    }

    #[test]
    fn an_unconfirmed_lock_has_the_margin_left() {
        let hand = Hand::default();
        let (lease, belief) = held(&hand);
        assert_eq!(belief.left(), TTL);
        hand.set(9_400);
        assert_eq!(belief.state(), HoldState::Unconfirmed);
        assert_eq!(belief.left(), Duration::from_millis(600));
        // The server may have freed the lock in between.
        lease.confirm(at(9_400), TTL);
        assert_eq!(belief.left(), Duration::ZERO);
        belief.prove(lease.term());
        assert_eq!(belief.left(), TTL);
        belief.lose();
        assert_eq!(belief.left(), Duration::ZERO);
    }

    #[test]
    fn a_proof_of_an_earlier_term_proves_nothing() {
        let hand = Hand::default();
        let (lease, belief) = held(&hand);
        let term = lease.term();
        hand.set(9_500);
        lease.confirm(at(9_500), TTL);
        belief.prove(term);
        assert_eq!(belief.state(), HoldState::Unconfirmed);
    }

    #[test]
    fn those_who_wait_for_the_loss_are_woken() {
        let events: [fn(&Hand, &Lease, &Belief); 3] = [
            |_, _, belief| belief.lose(),
            |_, lease, _| lease.end(),
            |hand, lease, _| {
                hand.set(9_000);
                lease.deadline_passed();
            },
        ];
        for event in events {
            let hand = Hand::default();
            let (lease, belief) = held(&hand);
            let mut lost = pin!(belief.lost());
            let mut context = Context::from_waker(Waker::noop());
            assert!(lost.as_mut().poll(&mut context).is_pending());
            event(&hand, &lease, &belief);
            assert!(lost.as_mut().poll(&mut context).is_ready());
            let mut again = pin!(belief.lost());
            assert!(again.as_mut().poll(&mut context).is_ready());
        }
    }
}
