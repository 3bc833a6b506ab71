//! The answers of a lock are those of one lock: there is an order of all operations, within the time that each took,
//! in which a single lock gives these answers.
//!
//! The search is that of Wing and Gong, with the memory of Lowe: a set of operations that were done and a state of the
//! lock are tried once. It is meant for about ten clients.

use std::collections::HashSet;
use std::hash::Hash;

use super::Moment;
use super::beliefs::Share;

/// An operation of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The request, with the answer.
    pub action: Action,
    /// An instant before the request.
    pub called: Moment,
    /// An instant after the answer; `None` if there was none, and the operation may take effect at any time, or never.
    pub returned: Option<Moment>,
}

/// A request with its answer. The number names one attempt to take the lock: it is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The lock was taken.
    Acquired(u32, Share),
    /// The lock was not free for this share.
    Refused(Share),
    /// The lock was released, by its holder.
    Released(u32),
    /// The holder was told that it had lost the lock.
    WasLost(u32),
    /// The server frees the lock of a client that is dead, or cut off. Without an answer, it may do so.
    Expired(u32),
}

/// Checks the operations on one lock, or on a semaphore of that many permits.
///
/// # Errors
///
/// Names the operations of the longest order that could be found, and those that did not fit.
pub fn check(operations: &[Operation], permits: u32) -> Result<(), String> {
    let mut search = Search {
        operations,
        permits,
        tried: HashSet::new(),
        longest: Vec::new(),
    };
    let mut order = Vec::new();
    let mut done = vec![0; operations.len().div_ceil(64)];
    if search.goes_on(&mut order, &mut done, &State::default()) {
        return Ok(());
    }
    let longest = search.longest;
    let left = (0..operations.len()).filter(|number| !longest.contains(number));
    let left: Vec<_> = left.map(|number| &operations[number]).collect();
    let last = longest.iter().rev().take(5).rev();
    let last: Vec<_> = last.map(|&number| &operations[number]).collect();
    Err(format!(
        "after {} operations, the last {last:#?}, none of these fits: {left:#?}",
        longest.len()
    ))
}

/// The holders, by the number of their attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct State(Vec<(u32, Share)>);

impl State {
    fn has(&self, attempt: u32) -> bool {
        self.0.iter().any(|&(other, _)| other == attempt)
    }

    fn has_room_for(&self, share: Share, permits: u32) -> bool {
        match share {
            Share::Exclusive => self.0.is_empty(),
            Share::Shared => self.0.iter().all(|&(_, other)| other == Share::Shared),
            Share::Permits(wanted) => {
                let taken = self.0.iter().map(|&(_, other)| match other {
                    Share::Permits(number) => number,
                    Share::Exclusive | Share::Shared => permits,
                });
                taken.sum::<u32>() + wanted <= permits
            }
        }
    }

    /// Returns the state after the operation, if a lock in this state gives this answer.
    fn after(&self, action: Action, permits: u32) -> Option<Self> {
        let mut next = self.clone();
        let is_right = match action {
            Action::Acquired(attempt, share) => {
                next.0.push((attempt, share));
                next.0.sort_unstable_by_key(|&(attempt, _)| attempt);
                self.has_room_for(share, permits)
            }
            Action::Refused(share) => !self.has_room_for(share, permits),
            Action::Released(attempt) | Action::Expired(attempt) => {
                next.0.retain(|&(other, _)| other != attempt);
                self.has(attempt)
            }
            Action::WasLost(attempt) => !self.has(attempt),
        };
        is_right.then_some(next)
    }
}

struct Search<'a> {
    operations: &'a [Operation],
    permits: u32,
    tried: HashSet<(Vec<u64>, State)>,
    longest: Vec<usize>,
}

impl Search<'_> {
    /// Whether the operations that are left can follow in this state.
    fn goes_on(&mut self, order: &mut Vec<usize>, done: &mut Vec<u64>, state: &State) -> bool {
        let is_done = |number: usize| done[number / 64] & (1 << (number % 64)) != 0;
        let left = (0..self.operations.len()).filter(|&number| !is_done(number));
        let left: Vec<_> = left.collect();
        // Nothing can come after an operation that has returned before it was called.
        let returns = left
            .iter()
            .filter_map(|&number| self.operations[number].returned);
        let Some(first_return) = returns.min() else {
            return true;
        };
        if !self.tried.insert((done.clone(), state.clone())) {
            return false;
        }
        for number in left {
            let operation = &self.operations[number];
            if operation.called > first_return {
                continue;
            }
            let Some(next) = state.after(operation.action, self.permits) else {
                continue;
            };
            order.push(number);
            done[number / 64] |= 1 << (number % 64);
            if order.len() > self.longest.len() {
                self.longest.clone_from(order);
            }
            if self.goes_on(order, done, &next) {
                return true;
            }
            order.pop();
            done[number / 64] &= !(1 << (number % 64));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Acquired, Expired, Refused, Released, WasLost};
    use Share::{Exclusive, Permits, Shared};

    fn operation(action: Action, called: u64, returned: u64) -> Operation {
        Operation {
            action,
            called: Moment(called),
            returned: Some(Moment(returned)),
        }
    }

    fn unanswered(action: Action, called: u64) -> Operation {
        Operation {
            action,
            called: Moment(called),
            returned: None,
        }
    }

    #[test]
    fn waiting_is_in_order() {
        let history = [
            operation(Acquired(1, Exclusive), 1, 2),
            operation(Acquired(2, Exclusive), 1, 7),
            operation(Refused(Shared), 3, 4),
            operation(Released(1), 5, 6),
            operation(Released(2), 8, 9),
        ];
        assert_eq!(check(&history, 0), Ok(()));
    }

    #[test]
    fn two_holders_are_found() {
        let history = [
            operation(Acquired(1, Exclusive), 1, 2),
            operation(Acquired(2, Exclusive), 3, 4),
            operation(Released(1), 5, 6),
            operation(Released(2), 5, 6),
        ];
        assert!(check(&history, 0).is_err());
        let reader = [
            operation(Acquired(1, Shared), 1, 2),
            operation(Acquired(2, Shared), 1, 2),
            operation(Acquired(3, Exclusive), 3, 4),
            operation(Released(1), 5, 6),
            operation(Released(2), 3, 4),
        ];
        assert!(check(&reader, 0).is_err());
    }

    #[test]
    fn a_refusal_needs_a_holder() {
        let history = [
            operation(Acquired(1, Exclusive), 1, 2),
            operation(Released(1), 3, 4),
            operation(Refused(Exclusive), 5, 6),
        ];
        assert!(check(&history, 0).is_err());
    }

    #[test]
    fn a_lost_lock_passes_on_once_it_is_lost() {
        let taken_over = [
            operation(Acquired(1, Exclusive), 1, 2),
            unanswered(Expired(1), 3),
            operation(Acquired(2, Exclusive), 4, 5),
            operation(WasLost(1), 6, 7),
            operation(Released(2), 8, 9),
        ];
        assert_eq!(check(&taken_over, 0), Ok(()));
        // The holder is told that it released a lock that another had.
        let mut lied = taken_over.clone();
        lied[3].action = Released(1);
        assert!(check(&lied, 0).is_err());
        // Nobody else could have had it, as it did not expire.
        let mut kept = taken_over.to_vec();
        kept.remove(1);
        assert!(check(&kept, 0).is_err());
    }

    #[test]
    fn a_request_without_an_answer_may_have_taken_the_lock() {
        let killed = [
            unanswered(Acquired(1, Exclusive), 1),
            unanswered(Expired(1), 1),
            operation(Refused(Exclusive), 2, 3),
            operation(Acquired(2, Exclusive), 4, 5),
        ];
        assert_eq!(check(&killed, 0), Ok(()));
        assert!(check(&killed[1..], 0).is_err());
    }

    #[test]
    fn permits_are_counted() {
        let history = [
            operation(Acquired(1, Permits(2)), 1, 2),
            operation(Acquired(2, Permits(1)), 1, 2),
            operation(Refused(Permits(1)), 3, 4),
            operation(Released(1), 5, 6),
        ];
        assert_eq!(check(&history, 3), Ok(()));
        assert!(check(&history, 2).is_err());
        assert!(check(&history, 4).is_err());
    }

    #[test]
    fn many_operations_of_many_clients_are_searched() {
        // Ten clients that wait together again and again, and one that died with the lock.
        let mut history = vec![
            operation(Acquired(0, Exclusive), 0, 1),
            unanswered(Expired(0), 1),
        ];
        for round in 0..100 {
            let begin = 10 + u64::from(round) * 100;
            for client in 0..10 {
                let attempt = 1 + round * 10 + client;
                let granted = begin + 5 + u64::from(client) * 5;
                history.push(operation(Acquired(attempt, Exclusive), begin, granted));
                history.push(operation(Released(attempt), granted + 1, granted + 3));
            }
        }
        assert_eq!(check(&history, 0), Ok(()));
        history.push(operation(Refused(Exclusive), 70, 109));
        assert!(check(&history, 0).is_err());
    }
}
