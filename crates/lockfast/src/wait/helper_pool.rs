//! Helper threads, which block for tasks.
//!
//! The kernel's queue is left only by a thread that is in it, so each task that waits there has a
//! thread of its own, and none otherwise: of many tasks that wait for one handle only the first is in
//! the kernel's queue. A helper that has nothing to do waits a while for more.
//!
//! Of many handles that wait for the same, [`MOST_IN_KERNEL`] are in the kernel's queue, and the others in a
//! [`Line`] here. There the kernel has every waiter hang on the one before it: when one leaves from
//! the middle, all behind it wake up one after the other, and each walks through all before it. With eight
//! thousand of them a drop took milliseconds, of which most went to threads of others. Whoever is in a line
//! here could not be granted before those in the kernel's queue, so it loses nothing but its place
//! among the processes. Of those who wait for permits several are in the kernel's queue, so that a newcomer
//! sees the others when one of them leaves.

use std::collections::btree_map::BTreeMap;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::file::Line;
use crate::sys::alarm::{self, without_signals};
use crate::sys::made_once::MadeOnce;
use crate::sys::mutex;
use crate::sys::per_process::PerProcess;

pub(super) type Work = Box<dyn FnOnce() + Send>;

/// The helpers of this process.
#[derive(Default)]
pub(super) struct HelperPool {
    // Never held while work is done: that sleeps in the kernel, and calls functions of the program.
    state: Mutex<PoolState>,
    called: Condvar,
}

#[derive(Default)]
struct PoolState {
    // Guarded by the mutex of the pool, as are the other fields. Jobs that idle helpers were called for.
    work: VecDeque<Job>,
    // Helpers that wait for a call; all helpers, these among them.
    idle: usize,
    all: usize,
    // Only lines of which work is being done. `last` is the number that was given last, in any line.
    lines: HashMap<Line, LineWork>,
    last: u64,
}

/// Work, and the line that it is of.
struct Job {
    work: Work,
    line: Option<Line>,
}

/// The works that wait for the same; there while one of them is done.
#[derive(Default)]
struct LineWork {
    // At most `MOST_IN_KERNEL`; `waiting` is empty below that, and keeps the order of arrival.
    running: usize,
    waiting: BTreeMap<u64, Work>,
}

/// Work that waits in a line.
#[derive(Debug)]
pub(super) struct QueuedWork {
    line: Line,
    number: u64,
}

/// The name of a helper.
pub(super) const NAME: &str = "lockfast-wait";

/// How many tasks of a process may wait in the kernel's queues at once.
const MAX_HELPERS: usize = 8192;

/// How many that wait for the same are in the kernel's queue.
const MOST_IN_KERNEL: usize = 16;
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

/// A helper needs little stack, and only the part that is used takes memory.
const STACK_SIZE: usize = 128 * 1024;

impl HelperPool {
    pub(super) fn of_process() -> &'static Self {
        static POOL: MadeOnce<PerProcess<HelperPool>> = MadeOnce::new();
        POOL.get_or_make(|| PerProcess::new(HelperPool::default()))
            .get(HelperPool::default)
    }

    /// Gives the work to a helper, a new one if all have something to do. Work of a line in which enough is
    /// done waits there, and what this returns is its place.
    pub(super) fn assign(
        &'static self,
        work: Work,
        line: Option<Line>,
    ) -> io::Result<Option<QueuedWork>> {
        let mut state = self.state();
        if let Some(line) = line {
            state.last += 1;
            let number = state.last;
            let in_line = state.lines.entry(line).or_default();
            if in_line.running >= MOST_IN_KERNEL {
                in_line.waiting.insert(number, work);
                return Ok(Some(QueuedWork { line, number }));
            }
            in_line.running += 1;
        }
        let job = Job { work, line };
        // Each idle helper takes one job, so one more than these needs another helper.
        if state.idle > state.work.len() {
            state.work.push_back(job);
            // Whoever wakes finds the mutex free.
            drop(state);
            self.called.notify_one();
            return Ok(None);
        }
        if let Err(error) = self.hire(&mut state, job) {
            // The place in the line was taken above.
            // Nobody takes the place over: works wait in a line only while it is full.
            state.leaves(line);
            return Err(error);
        }
        Ok(None)
    }

    /// Takes work back that is still in its line; none when it was begun.
    pub(super) fn withdraw(&self, place: &QueuedWork) -> Option<Work> {
        let mut state = self.state();
        let line = state.lines.get_mut(&place.line)?;
        // The line may have ended and begun anew meanwhile. A number is never given twice, so this
        // takes nobody else's work.
        line.waiting.remove(&place.number)
    }

    fn hire(&'static self, state: &mut PoolState, job: Job) -> io::Result<()> {
        if state.all >= MAX_HELPERS {
            return Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                "8192 tasks of this process wait for locks already",
            ));
        }
        let builder = thread::Builder::new()
            .name(NAME.to_owned())
            .stack_size(STACK_SIZE);
        // The helper runs with all signals masked, where none can be chosen well.
        alarm::prepare();
        without_signals(|| builder.spawn(|| self.help(job))).map_err(no_thread)?;
        // Under the mutex, so before the helper can end.
        state.all += 1;
        Ok(())
    }

    fn help(&self, first: Job) {
        let mut next = Some(first);
        while let Some(Job { work, line }) = next {
            work();
            next = self.next(line);
        }
    }

    /// More to do after work of that line; none when the helper is not needed any more.
    fn next(&self, line: Option<Line>) -> Option<Job> {
        let mut state = self.state();
        // The next one of the line takes over the place in the kernel's queue.
        if let Some(work) = state.leaves(line) {
            return Some(Job { work, line });
        }
        if state.work.is_empty() && state.idle < MAX_IDLE {
            // Under the mutex, as is the end of the sleep: a helper that is counted as idle takes any job
            // that comes.
            state.idle += 1;
            let waited = self
                .called
                .wait_timeout_while(state, IDLE_FOR, |state| state.work.is_empty());
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
        // None when the time is over, or when another helper was quicker.
        let job = state.work.pop_front();
        if job.is_none() {
            state.all -= 1;
        }
        job
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        mutex::lock(&self.state)
    }
}

impl PoolState {
    /// Work of that line is done; the next of it, if any waits.
    fn leaves(&mut self, line: Option<Line>) -> Option<Work> {
        let line = line?;
        let in_line = self.lines.get_mut(&line).expect("there while work is done");
        if let Some((_, next)) = in_line.waiting.pop_first() {
            return Some(next);
        }
        // A line without work is forgotten, so that the table has only those in use.
        in_line.running -= 1;
        if in_line.running == 0 {
            self.lines.remove(&line);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_waiter_above_the_limit_is_refused_and_not_counted() {
        let pool: &'static HelperPool = Box::leak(Box::default());
        pool.state().all = MAX_HELPERS;
        let refused = pool.assign(Box::new(|| unreachable!("nobody does it")), None);
        let told = refused.expect_err("there are enough").to_string();
        assert!(told.contains(&MAX_HELPERS.to_string()), "{told}");
        assert_eq!(pool.state().all, MAX_HELPERS);
        assert!(pool.state().work.is_empty());
    }

    #[test]
    fn work_of_one_line_is_done_a_few_at_a_time_and_can_be_withdrawn_before() {
        let pool: &'static HelperPool = Box::leak(Box::default());
        let (tell, told) = mpsc::channel();
        let line = Some(Line::for_test());
        let (gates, places): (Vec<_>, Vec<_>) = (0..MOST_IN_KERNEL + 3)
            .map(|number| {
                let (open, gate) = mpsc::channel::<()>();
                let tell = tell.clone();
                let work = move || {
                    tell.send(number).expect("the test listens");
                    // Until the other end is dropped.
                    let _ = gate.recv();
                };
                (
                    Some(open),
                    pool.assign(Box::new(work), line).expect("a thread"),
                )
            })
            .unzip();
        let mut gates = gates;
        let mut begun: Vec<_> = told.iter().take(MOST_IN_KERNEL).collect();
        begun.sort_unstable();
        assert_eq!(begun, (0..MOST_IN_KERNEL).collect::<Vec<_>>());
        assert!(places[..MOST_IN_KERNEL].iter().all(Option::is_none));
        let waits = |number: usize| places[number].as_ref().expect("in the line");
        assert!(pool.withdraw(waits(MOST_IN_KERNEL + 1)).is_some());
        assert!(told.try_recv().is_err());
        for next in [MOST_IN_KERNEL, MOST_IN_KERNEL + 2] {
            gates[next - MOST_IN_KERNEL] = None;
            assert_eq!(told.recv(), Ok(next));
            assert!(pool.withdraw(waits(next)).is_none());
        }
        gates.clear();
        while !pool.state().lines.is_empty() {
            thread::yield_now();
        }
    }
}
