//! Every waiter's wait ends soon after the last fault.

use std::time::Duration;

use super::Moment;

/// A wait of a client that was not killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The client, for the message.
    pub waiter: String,
    /// The begin of the wait.
    pub begin: Moment,
    /// The end of the wait, if it ended.
    pub end: Option<Moment>,
}

/// The time that a wait may take.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The end of the last fault.
    pub last_fault: Moment,
    /// The end of the run.
    pub end: Moment,
    /// The longest time that a client holds the lock.
    pub hold: Duration,
    /// The time that the lock of a dead client is kept.
    pub ttl: Duration,
}

/// For elections and slow machines.
const SLACK: Duration = Duration::from_secs(5);

/// Checks all waits for one lock.
///
/// # Errors
///
/// Names a waiter that waited longer than the queue before it needed, or that still waits.
pub fn check(waits: &[Wait], bound: Bound) -> Result<(), String> {
    for wait in waits {
        let counted = wait.begin.max(bound.last_fault);
        let ended = |other: &Wait| other.end.is_some_and(|end| end < counted);
        let mut queue = 0;
        for _ in waits
            .iter()
            .filter(|other| other.begin <= counted && !ended(other))
        {
            queue += 1;
        }
        let latest = counted + bound.hold * queue + bound.ttl + SLACK;
        if wait.end.unwrap_or(bound.end) > latest {
            return Err(format!("{wait:?} with {queue} in the line, until {latest}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(begin: u64, end: Option<u64>) -> Wait {
        let seconds = |seconds: u64| Moment(seconds * 1_000_000_000);
        Wait {
            waiter: format!("from {begin}"),
            begin: seconds(begin),
            end: end.map(seconds),
        }
    }

    #[test]
    fn a_forgotten_waiter_is_found() {
        let bound = Bound {
            last_fault: Moment(20_000_000_000),
            end: Moment(60_000_000_000),
            hold: Duration::from_secs(1),
            ttl: Duration::from_secs(3),
        };
        // During the faults a wait may take any time. The last one has not had its time yet.
        let good = [wait(1, Some(29)), wait(21, Some(30)), wait(55, None)];
        assert_eq!(check(&good, bound), Ok(()));
        assert!(check(&[wait(1, None)], bound).is_err());
        assert!(check(&[wait(21, Some(31))], bound).is_err());
        // The same wait, in a line of two.
        assert_eq!(
            check(&[wait(21, Some(31)), wait(20, Some(22))], bound),
            Ok(())
        );
    }
}
