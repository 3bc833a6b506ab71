//! Tokens are unique, and increase in the order of the grants.

use std::collections::HashSet;

use super::Moment;
use super::beliefs::{Belief, Share};

/// Checks the tokens of all grants of one lock, or of a semaphore.
///
/// Readers get their tokens in the order of their arrival, which need not be the order in which they get in. They
/// are compared with writers only; permits are not compared.
///
/// # Errors
///
/// Names the token that was used twice, or the grants in the wrong order.
pub fn check(beliefs: &[Belief]) -> Result<(), String> {
    let mut seen = HashSet::new();
    if let Some(twice) = beliefs.iter().find(|one| !seen.insert(one.token)) {
        return Err(format!("the token of {twice:?} is used twice"));
    }
    let mut order: Vec<_> = beliefs.iter().filter(|one| one.begin <= one.end).collect();
    order.sort_by_key(|belief| belief.begin);
    let mut greatest: Option<&Belief> = None;
    let mut greatest_writer: Option<&Belief> = None;
    for belief in order {
        let before = match belief.share {
            Share::Permits(_) => continue,
            Share::Exclusive => greatest,
            Share::Shared => greatest_writer,
        };
        if let Some(before) = before.filter(|before| before.token > belief.token) {
            return Err(format!("{belief:?} came after {before:?}"));
        }
        greatest = greatest
            .filter(|it| it.token > belief.token)
            .or(Some(belief));
        if belief.share == Share::Exclusive {
            greatest_writer = Some(belief);
        }
    }
    Ok(())
}

/// A wait that ended with a grant: an arrival that others could see, and the grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The client, for the message.
    pub waiter: String,
    /// An instant before the wait began.
    pub called: Moment,
    /// An instant when the place in the line was certainly taken.
    pub queued: Moment,
    /// An instant after the grant.
    pub granted: Moment,
}

/// Checks that exclusive waiters get in in the order of their arrival.
///
/// # Errors
///
/// Names a waiter that overtook another: it began to wait after the other was in the line, and got in before it.
pub fn check_order(turns: &[Turn]) -> Result<(), String> {
    for later in turns {
        let overtaken = turns
            .iter()
            .find(|other| other.queued < later.called && other.granted > later.granted);
        if let Some(overtaken) = overtaken {
            return Err(format!("{later:?} overtook {overtaken:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(share: Share, begin: u64, token: u64) -> Belief {
        Belief {
            holder: format!("{share:?} from {begin}"),
            share,
            token,
            begin: Moment(begin),
            end: Moment(begin),
        }
    }

    #[test]
    fn tokens_increase() {
        use Share::{Exclusive, Shared};
        let good = [
            grant(Exclusive, 1, 1),
            grant(Shared, 2, 4),
            grant(Shared, 3, 3),
            grant(Exclusive, 4, 5),
        ];
        assert_eq!(check(&good), Ok(()));
        let swapped = [grant(Exclusive, 1, 2), grant(Exclusive, 2, 1)];
        assert!(check(&swapped).is_err());
        let older_writer = [grant(Shared, 1, 2), grant(Exclusive, 2, 1)];
        assert!(check(&older_writer).is_err());
        let older_reader = [grant(Exclusive, 1, 2), grant(Shared, 2, 1)];
        assert!(check(&older_reader).is_err());
    }

    #[test]
    fn a_token_is_used_once() {
        let reset = [grant(Share::Exclusive, 1, 1), grant(Share::Exclusive, 2, 1)];
        assert!(check(&reset).is_err());
        let permits = [
            grant(Share::Permits(1), 1, 2),
            grant(Share::Permits(1), 2, 2),
        ];
        assert!(check(&permits).is_err());
    }

    #[test]
    fn nobody_overtakes() {
        let turn = |called, queued, granted| Turn {
            waiter: format!("from {called}"),
            called: Moment(called),
            queued: Moment(queued),
            granted: Moment(granted),
        };
        // The first two arrive together, in an order that nobody knows.
        let fair = [turn(1, 4, 10), turn(2, 3, 9), turn(5, 6, 11)];
        assert_eq!(check_order(&fair), Ok(()));
        let unfair = [turn(1, 2, 10), turn(3, 4, 9)];
        assert!(check_order(&unfair).is_err());
    }
}
