//! Everybody goes back for the lock as soon as it is released.

use std::time::Duration;

use crate::Outcome;
use crate::bench::Bench;
use crate::clock;
use crate::contenders::Contender;
use crate::crew::Crew;
use crate::ring;
use crate::threads::Crowd;
use crate::visits::Log;

/// Members of a rush, by the way in which they lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Members {
    All(Contender),
    /// Half of them share the lock, the others write.
    Readers(Contender, Contender),
    /// Two contenders of which nobody shares, a half each.
    Halves(Contender, Contender),
    /// Threads of one handle: two in one process, or half of them in each of two.
    Threads,
    /// No lock: a token in a ring of pipes.
    Ring,
}

impl Members {
    /// Lets so many rush for a lock for so long, each holding it for `hold` without timer slack.
    pub(crate) fn rush(
        self,
        bench: &Bench,
        members: usize,
        hold: Duration,
        lasting: Duration,
    ) -> Outcome<Log> {
        match self {
            Self::All(contender) => {
                let mut crew = bench.crew(members, contender)?;
                crew.exact()?;
                run(&mut crew, hold, lasting)
            }
            Self::Readers(one, other) | Self::Halves(one, other) => {
                let mut crew = bench.crew(members / 2, one)?;
                let mut others = bench.crew_beside(members - members / 2, other, one)?;
                crew.exact()?;
                others.exact()?;
                let until = clock::now() + clock::nanoseconds(lasting);
                let order = order(hold, until);
                crew.tell_all(&order)?;
                others.tell_all(&order)?;
                let mut visits = crew.answers()?;
                let of_others = others.answers()?;
                if matches!(self, Self::Readers(..)) {
                    return Log::of_readers(visits, of_others, until);
                }
                visits.extend(of_others);
                Log::new(visits, until, crew.permits())
            }
            Self::Threads => {
                let processes = if members == 2 { 1 } else { 2 };
                let mut crew = bench.crew(processes, Contender::LockfastThreads)?;
                crew.exact()?;
                let until = clock::now() + clock::nanoseconds(lasting);
                let (threads, hold) = (members / processes, clock::nanoseconds(hold));
                let crowds = crew.ask_all(&format!("crowd {threads} {hold} {until}"))?;
                let visits = crowds.into_iter().flat_map(|Crowd(visits)| visits);
                Log::new(visits.collect(), until, crew.permits())
            }
            Self::Ring => ring::run(bench, members, hold, lasting),
        }
    }
}

/// Lets the crew rush for the lock for so long, each holding it for `hold`.
pub(crate) fn run(crew: &mut Crew, hold: Duration, lasting: Duration) -> Outcome<Log> {
    let until = clock::now() + clock::nanoseconds(lasting);
    let visits = crew.ask_all(&order(hold, until))?;
    Log::new(visits, until, crew.permits())
}

fn order(hold: Duration, until: u64) -> String {
    format!("rush {} {until}", clock::nanoseconds(hold))
}
