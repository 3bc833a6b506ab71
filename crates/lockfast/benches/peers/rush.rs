//! Everybody goes back for the lock as soon as it is released.

use std::time::Duration;

use crate::Outcome;
use crate::clock;
use crate::crew::Crew;
use crate::visits::Log;

/// Lets the crew rush for the lock for so long, each holding it for `hold`.
pub(crate) fn run(crew: &mut Crew, hold: Duration, lasting: Duration) -> Outcome<Log> {
    let hold = clock::nanoseconds(hold);
    let until = clock::now() + clock::nanoseconds(lasting);
    let visits = crew.ask_all(&format!("rush {hold} {until}"))?;
    Log::new(visits, until, crew.permits())
}
