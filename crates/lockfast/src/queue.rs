//! The threads of one process queue here, first come, first served.
//!
//! The one whose turn it is has the lock file to itself; it waits in the kernel's queue on behalf
//! of the process, holds the lock, and passes the file on. A turn is handed to the first in the
//! queue directly, so nobody who comes later gets in between.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::sys::Parked;
use crate::sys::park::Parker;

/// A queue for the one `T` that is passed from turn to turn.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    /// Does somebody have the turn, or is it on its way to the one it was granted to?
    taken: bool,
    /// What is passed on, while nobody uses it.
    value: Option<T>,
    waiting: VecDeque<Arc<Parker>>,
}

/// The right to use the value; passes it on when dropped.
pub(crate) struct Turn<'q, T> {
    queue: &'q Queue<T>,
    value: Option<T>,
}

/// A place in the queue, given up when dropped.
pub(crate) struct Place<'q, T> {
    queue: &'q Queue<T>,
    parker: Arc<Parker>,
    used: bool,
}

/// What somebody who joins the queue gets.
pub(crate) enum Joined<'q, T> {
    /// Nobody was there.
    Turn(Turn<'q, T>),
    /// Somebody was.
    Place(Place<'q, T>),
}

impl<T> Queue<T> {
    pub(crate) fn new(value: Option<T>) -> Self {
        let state = State {
            taken: false,
            value,
            waiting: VecDeque::new(),
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// The turn, if nobody has it.
    pub(crate) fn try_enter(&self) -> Option<Turn<'_, T>> {
        let mut state = self.state();
        if state.taken {
            return None;
        }
        state.taken = true;
        Some(self.turn(&mut state))
    }

    /// The turn, or a place behind those who wait already.
    pub(crate) fn join(&self) -> Joined<'_, T> {
        let mut state = self.state();
        if state.taken {
            let parker = Arc::new(Parker::default());
            state.waiting.push_back(Arc::clone(&parker));
            Joined::Place(Place {
                queue: self,
                parker,
                used: false,
            })
        } else {
            state.taken = true;
            Joined::Turn(self.turn(&mut state))
        }
    }

    /// Passes the turn on, for one who [kept](Turn::keep) it.
    pub(crate) fn leave(&self, value: Option<T>) {
        let mut state = self.state();
        state.value = value;
        Self::pass_on(state);
    }

    fn turn(&self, state: &mut State<T>) -> Turn<'_, T> {
        Turn {
            queue: self,
            value: state.value.take(),
        }
    }

    fn pass_on(mut state: MutexGuard<'_, State<T>>) {
        let next = state.waiting.pop_front();
        state.taken = next.is_some();
        drop(state);
        if let Some(next) = next {
            next.grant();
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing in here panics while the state is inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Turn<'_, T> {
    /// What the last one left, to be given back by [`put`](Self::put) or [`Queue::leave`].
    pub(crate) fn take(&mut self) -> Option<T> {
        self.value.take()
    }

    /// Leaves it to the next one.
    pub(crate) fn put(&mut self, value: T) {
        self.value = Some(value);
    }

    /// Keeps the turn beyond this value's life, until [`Queue::leave`].
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.queue.leave(self.value.take());
    }
}

impl<'q, T> Place<'q, T> {
    /// Sleeps until it is this one's turn, until the instant, or until a signal.
    pub(crate) fn park(&self, until: Option<Instant>) -> Parked {
        self.parker.park(until)
    }

    /// The turn, after `park` said that it is granted.
    pub(crate) fn enter(mut self) -> Turn<'q, T> {
        self.used = true;
        let mut state = self.queue.state();
        debug_assert!(state.taken, "a granted turn is taken");
        self.queue.turn(&mut state)
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        let mut state = self.queue.state();
        let before = state.waiting.len();
        state
            .waiting
            .retain(|other| !Arc::ptr_eq(other, &self.parker));
        if state.waiting.len() == before {
            // Granted just now, and not used: it is the next one's.
            Queue::pass_on(state);
        }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Queue")
            .field("taken", &state.taken)
            .field("waiting", &state.waiting.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn place<T>(queue: &Queue<T>) -> Place<'_, T> {
        match queue.join() {
            Joined::Place(place) => place,
            Joined::Turn(_) => panic!("the queue was empty"),
        }
    }

    #[test]
    fn turns_go_in_the_order_of_arrival() {
        let queue = Queue::new(Some(0));
        let turn = queue.try_enter().expect("the first one");
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            // The places are taken here, one after the other; only the sleeping is in threads.
            for number in 0..8 {
                let place = place(&queue);
                let tell = tell.clone();
                scope.spawn(move || {
                    while place.park(None) != Parked::Granted {}
                    let turn = place.enter();
                    tell.send(number).expect("the receiver lives");
                    drop(turn);
                });
            }
            assert!(queue.try_enter().is_none());
            drop(turn);
        });
        drop(tell);
        assert_eq!(told.iter().collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn a_place_given_up_is_skipped_and_an_unused_grant_passed_on() {
        let queue = Queue::new(Some(7));
        let turn = queue.try_enter().expect("the first one");
        let (first, second, third) = (place(&queue), place(&queue), place(&queue));
        drop(second);
        drop(turn);
        // Granted to the first one, which does not want it any more.
        drop(first);
        assert_eq!(third.park(None), Parked::Granted);
        assert_eq!(third.enter().take(), Some(7));
    }

    #[test]
    fn nobody_overtakes_a_granted_turn() {
        let queue = Queue::new(Some(7));
        let turn = queue.try_enter().expect("the first one");
        let granted = place(&queue);
        drop(turn);
        assert!(queue.try_enter().is_none());
        drop(granted);
        assert!(queue.try_enter().is_some());
    }

    #[test]
    fn a_kept_turn_is_left_later() {
        let queue = Queue::new(Some(7));
        let mut turn = queue.try_enter().expect("the first one");
        let value = turn.take();
        turn.keep();
        assert!(queue.try_enter().is_none());
        queue.leave(value);
        assert_eq!(queue.try_enter().expect("it is free").take(), Some(7));
    }
}
