//! The lock goes round: who releases it asks again when somebody else has it.
//!
//! Where several may have it at once, that is when as many have it that came later.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Outcome;
use crate::clock;
use crate::crew::Crew;
use crate::visits::{Log, Visits};

/// Lets the crew pass the lock on for so long, each holding it for `hold`.
pub(crate) fn run(crew: &mut Crew, hold: Duration, lasting: Duration) -> Outcome<Log> {
    let members = crew.pids().len();
    crew.tell_all(&format!("relay {}", clock::nanoseconds(hold)))?;
    let until = clock::now() + clock::nanoseconds(lasting);
    let permits = crew.permits();
    let mut holders = VecDeque::new();
    let mut finished = 0;
    let mut visits = Vec::new();
    while visits.len() < members {
        let (member, said) = crew.hear()?;
        if said != "held" {
            visits.push(crew.parse::<Visits>(&said)?);
            continue;
        }
        let is_over = clock::now() >= until;
        holders.push_back(member);
        if holders.len() > permits {
            let previous = holders.pop_front().expect("there are some");
            crew.tell(previous, if is_over { "enough" } else { "again" })?;
            finished += usize::from(is_over);
        }
        if finished + holders.len() == members {
            // Nobody is left to take it from the last ones.
            for last in holders.drain(..) {
                crew.tell(last, "enough")?;
            }
        }
    }
    Log::new(visits, until, permits)
}
