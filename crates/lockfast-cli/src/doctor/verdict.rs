//! Verdicts on promises, from the answers of actors.

use std::time::Duration;

use super::stage::Answer;

/// The result of a check.
#[derive(Debug)]
pub(super) struct Finding {
    /// Name of the promise, the same in every version.
    pub(super) promise: &'static str,
    /// Meaning of the promise.
    pub(super) meaning: &'static str,
    pub(super) verdict: Verdict,
    /// Details, or the reason for the verdict.
    pub(super) detail: String,
    pub(super) times: Option<Times>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Kept,
    Broken,
    /// The file system reports that it has no such locks.
    Unsupported,
    /// Another error, or a check it depends on failed.
    Untested,
}

/// Durations over several rounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) rounds: usize,
    pub(super) median: Duration,
    pub(super) worst: Duration,
}

/// Details of a promise that is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) detail: String,
    pub(super) times: Option<Times>,
}

/// Reason why a promise is not kept.
#[derive(Debug)]
pub(super) enum Trouble {
    Broken(String),
    Unsupported(String),
    Untested(String),
}

pub(super) type Outcome = Result<Kept, Trouble>;

pub(super) fn done(answer: Answer) -> Result<Duration, Trouble> {
    match answer {
        Answer::Done(at) => Ok(at),
        Answer::Held => Err(Trouble::Broken("refused although it is free".to_owned())),
        answer => Err(trouble(answer)),
    }
}

pub(super) fn held(answer: Answer) -> Result<(), Trouble> {
    match answer {
        Answer::Held => Ok(()),
        Answer::Done(_) => Err(twice()),
        answer => Err(trouble(answer)),
    }
}

/// Judges a wait that only its time limit can end.
pub(super) fn ended(answer: Answer, limit: Duration) -> Outcome {
    const ENDLESS: Duration = Duration::from_secs(1);
    match answer {
        Answer::Late(after) if after < ENDLESS => Ok(Kept {
            detail: format!("{} after it", show(after.saturating_sub(limit))),
            times: None,
        }),
        Answer::Late(after) => {
            let (limit, took) = (show(limit), show(after));
            Err(Trouble::Broken(format!("a wait of {limit} took {took}")))
        }
        Answer::Done(_) => Err(twice()),
        answer => Err(trouble(answer)),
    }
}

/// Judges an attempt that may succeed or not.
pub(super) fn is_excluded(answer: Answer) -> Result<bool, Trouble> {
    match answer {
        Answer::Held => Ok(true),
        Answer::Done(_) => Ok(false),
        answer => Err(trouble(answer)),
    }
}

pub(super) fn twice() -> Trouble {
    Trouble::Broken("two processes hold it at the same time".to_owned())
}

pub(super) fn trouble(answer: Answer) -> Trouble {
    match answer {
        Answer::Unsupported(why) => Trouble::Unsupported(why),
        Answer::Failed(why) => Trouble::Untested(why),
        Answer::Silent => Trouble::Broken("no answer in ten seconds".to_owned()),
        Answer::Open | Answer::Waiting | Answer::Held | Answer::Done(_) | Answer::Late(_) => {
            Trouble::Untested(format!("unexpected answer: {answer:?}"))
        }
    }
}

impl Kept {
    pub(super) fn after(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let rounds = times.len();
        let (median, worst) = (times[rounds / 2], times[rounds - 1]);
        Self {
            detail: format!("{} (median), {} at worst", show(median), show(worst)),
            times: Some(Times {
                rounds,
                median,
                worst,
            }),
        }
    }
}

/// Formats a duration for people.
fn show(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..10_000 => format!("{micros} µs"),
        10_000..10_000_000 => format!("{} ms", time.as_millis()),
        _ => format!("{} s", time.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_micros(7);
    const LIMIT: Duration = Duration::from_millis(50);

    fn is_broken<T>(outcome: &Result<T, Trouble>) -> bool {
        matches!(outcome, Err(Trouble::Broken(_)))
    }

    #[test]
    fn a_second_holder_breaks_the_promise() {
        assert!(held(Answer::Held).is_ok());
        assert!(is_broken(&held(Answer::Done(AT))));
        assert!(is_broken(&ended(Answer::Done(AT), LIMIT)));
        assert!(matches!(is_excluded(Answer::Held), Ok(true)));
        assert!(matches!(is_excluded(Answer::Done(AT)), Ok(false)));
    }

    #[test]
    fn a_refused_free_lock_breaks_the_promise() {
        assert!(matches!(done(Answer::Done(AT)), Ok(AT)));
        assert!(is_broken(&done(Answer::Held)));
    }

    #[test]
    fn a_wait_that_lasts_a_second_has_no_limit() {
        let late = |millis| ended(Answer::Late(Duration::from_millis(millis)), LIMIT);
        assert_eq!(late(51).expect("in time").detail, "1000 µs after it");
        assert!(late(999).is_ok());
        assert!(is_broken(&late(1000)));
    }

    #[test]
    fn no_answer_breaks_it_and_a_refusal_does_not() {
        assert!(is_broken(&done(Answer::Silent)));
        let refused = || "no locks".to_owned();
        let unsupported = held(Answer::Unsupported(refused()));
        assert!(matches!(unsupported, Err(Trouble::Unsupported(why)) if why == refused()));
        let failed = is_excluded(Answer::Failed(refused()));
        assert!(matches!(failed, Err(Trouble::Untested(why)) if why == refused()));
    }

    #[test]
    fn times_have_a_median_and_a_worst() {
        let times = [9, 30, 10, 11, 2].map(Duration::from_millis).to_vec();
        let kept = Kept::after(times);
        assert_eq!(kept.detail, "10 ms (median), 30 ms at worst");
        assert_eq!(kept.times.map(|times| times.rounds), Some(5));
    }
}
