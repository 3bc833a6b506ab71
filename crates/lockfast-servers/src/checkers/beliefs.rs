//! No two clients find a lock valid at the same instant, unless they may hold it together.

use super::Moment;

/// The time for which a client certainly found its lock valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belief {
    /// The client, for the message.
    pub holder: String,
    /// The share of the lock that it has.
    pub share: Share,
    /// The fencing token, where there is one.
    pub token: Option<u64>,
    /// An instant after the lock was found valid for the first time.
    pub begin: Moment,
    /// An instant before the lock was found valid for the last time.
    pub end: Moment,
}

/// The share of a lock, or of a semaphore, that a client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Share {
    /// The whole lock.
    Exclusive,
    /// The lock, together with other readers.
    Shared,
    /// That many permits.
    Permits(u32),
}

/// Checks the beliefs about one lock, or about a semaphore of that many permits.
///
/// # Errors
///
/// Names the clients that believed too much at once.
pub fn check(beliefs: &[Belief], permits: u32) -> Result<(), String> {
    let mut order: Vec<_> = beliefs.iter().filter(|one| one.begin <= one.end).collect();
    order.sort_by_key(|belief| belief.begin);
    let mut present: Vec<&Belief> = Vec::new();
    for belief in order {
        present.retain(|other| other.end >= belief.begin);
        present.push(belief);
        if !may_be_together(&present, permits) {
            return Err(format!(
                "at {} all of these were valid: {present:#?}",
                belief.begin
            ));
        }
    }
    Ok(())
}

fn may_be_together(present: &[&Belief], permits: u32) -> bool {
    let alone = present.iter().any(|one| one.share == Share::Exclusive);
    let taken: u32 = present.iter().map(|one| one.share.permits()).sum();
    (present.len() == 1 || !alone) && taken <= permits
}

impl Share {
    const fn permits(self) -> u32 {
        match self {
            Self::Permits(number) => number,
            Self::Exclusive | Self::Shared => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn belief(share: Share, begin: u64, end: u64) -> Belief {
        Belief {
            holder: format!("{share:?} from {begin}"),
            share,
            token: Some(begin),
            begin: Moment(begin),
            end: Moment(end),
        }
    }

    #[test]
    fn writers_are_alone_and_readers_together() {
        use Share::{Exclusive, Shared};
        let apart = [
            belief(Exclusive, 5, 6),
            belief(Shared, 1, 3),
            belief(Shared, 2, 4),
            // Lost before it was valid: no belief at all.
            belief(Exclusive, 3, 2),
        ];
        assert_eq!(check(&apart, 0), Ok(()));
        for intruder in [belief(Exclusive, 2, 2), belief(Shared, 6, 9)] {
            let mut together = apart.to_vec();
            together.push(intruder);
            assert!(check(&together, 0).is_err());
        }
    }

    #[test]
    fn a_long_belief_is_not_forgotten() {
        use Share::{Exclusive, Shared};
        let history = [
            belief(Shared, 1, 100),
            belief(Shared, 2, 3),
            belief(Exclusive, 50, 51),
        ];
        assert!(check(&history, 0).is_err());
    }

    #[test]
    fn permits_are_counted() {
        let history = [
            belief(Share::Permits(2), 1, 5),
            belief(Share::Permits(1), 2, 3),
            belief(Share::Permits(1), 4, 6),
        ];
        assert_eq!(check(&history, 3), Ok(()));
        assert!(check(&history, 2).is_err());
    }
}
