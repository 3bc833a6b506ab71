//! Helper threads, which block for tasks.
//!
//! The kernel's queue is left only by a thread that is in it, so each task that waits there has a
//! thread of its own, and none otherwise: of many tasks that wait for one handle only the first is in
//! the kernel's queue. A helper that has nothing to do waits a while for more.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use super::interruption;
use crate::per_process::PerProcess;
use crate::sys::alarm::{self, without_signals};

pub(super) type Work = Box<dyn FnOnce() + Send>;

/// The helpers of this process.
#[derive(Default)]
pub(super) struct Crew {
    state: Mutex<CrewState>,
    called: Condvar,
}

#[derive(Default)]
struct CrewState {
    work: VecDeque<Work>,
    idle: usize,
    all: usize,
}

/// The name of a helper.
pub(super) const NAME: &str = "lockfast-wait";

/// How many tasks of a process may wait in the kernel's queues at once.
const MAX_HELPERS: usize = 8192;

/// The system says "try again" of a thread as of a lock that is held, which must not be mixed up.
#[allow(clippy::needless_pass_by_value, reason = "so `map_err` passes it")]
pub(crate) fn no_thread(error: io::Error) -> io::Error {
    let why = format!(
        "no thread could be started ({error}): raise the limit of processes and threads \
         (ulimit -u, pids.max), or let fewer wait at a time"
    );
    io::Error::new(io::ErrorKind::OutOfMemory, why)
}

/// How many stay when there is nothing to do, and for how long.
const MAX_IDLE: usize = 4;
const IDLE_FOR: Duration = Duration::from_secs(1);

/// What a helper does needs little; of what is set aside here, only what is used takes memory.
const STACK_SIZE: usize = 128 * 1024;

impl Crew {
    pub(super) fn of_process() -> &'static Self {
        static CREW: OnceLock<PerProcess<Crew>> = OnceLock::new();
        CREW.get_or_init(|| PerProcess::new(Crew::default()))
            .get(Crew::default)
    }

    /// Gives the work to a helper, a new one if all have something to do.
    pub(super) fn assign(&'static self, work: Work) -> io::Result<()> {
        let mut state = self.state();
        if state.idle > state.work.len() {
            state.work.push_back(work);
            // Whoever wakes finds the mutex free.
            drop(state);
            self.called.notify_one();
            return Ok(());
        }
        if state.all >= MAX_HELPERS {
            return Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                "8192 tasks of this process wait for locks already",
            ));
        }
        let builder = thread::Builder::new()
            .name(NAME.to_owned())
            .stack_size(STACK_SIZE);
        alarm::prepare();
        without_signals(|| builder.spawn(|| self.help(work))).map_err(no_thread)?;
        state.all += 1;
        Ok(())
    }

    fn help(&self, first: Work) {
        interruption::keep_alarm();
        let mut next = Some(first);
        while let Some(work) = next {
            work();
            next = self.next();
        }
    }

    /// More to do; none when the helper is not needed any more.
    fn next(&self) -> Option<Work> {
        let mut state = self.state();
        if state.work.is_empty() && state.idle < MAX_IDLE {
            state.idle += 1;
            let waited = self
                .called
                .wait_timeout_while(state, IDLE_FOR, |state| state.work.is_empty());
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
        let work = state.work.pop_front();
        if work.is_none() {
            state.all -= 1;
        }
        work
    }

    fn state(&self) -> MutexGuard<'_, CrewState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_than_may_wait_is_refused_and_not_counted() {
        let crew: &'static Crew = Box::leak(Box::default());
        crew.state().all = MAX_HELPERS;
        let refused = crew.assign(Box::new(|| unreachable!("nobody does it")));
        let told = refused.expect_err("there are enough").to_string();
        assert!(told.contains(&MAX_HELPERS.to_string()), "{told}");
        assert_eq!(crew.state().all, MAX_HELPERS);
        assert!(crew.state().work.is_empty());
    }
}
