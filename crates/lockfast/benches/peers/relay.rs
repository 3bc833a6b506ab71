//! The lock goes round: who releases it asks again when somebody else has it.

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
    let mut previous = None;
    let mut finished = 0;
    let mut visits = Vec::new();
    while visits.len() < members {
        let (member, said) = crew.hear()?;
        if said != "held" {
            visits.push(crew.parse::<Visits>(&said)?);
            continue;
        }
        let is_over = clock::now() >= until;
        if let Some(previous) = previous.replace(member) {
            crew.tell(previous, if is_over { "enough" } else { "again" })?;
            finished += usize::from(is_over);
        }
        if finished + 1 == members {
            // Nobody is left to take it from the last one.
            crew.tell(member, "enough")?;
        }
    }
    Log::new(visits, until)
}
