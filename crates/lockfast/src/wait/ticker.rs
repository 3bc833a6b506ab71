//! Calling a function at an interval, beside a wait that must not be disturbed.

use std::io;
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::helper_pool::no_thread;
use crate::sys::alarm::without_signals;
use crate::sys::mutex;

/// Runs `wait` on this thread and calls `call` at each interval on another, which is gone when
/// this returns. When `call` breaks or panics, `stop` is called once and then nothing more; a panic
/// goes on in this thread after `wait` has returned.
pub(super) fn during<R>(
    interval: Duration,
    call: impl Fn() -> ControlFlow<()> + Sync,
    stop: impl Fn() + Sync,
    wait: impl FnOnce() -> R,
) -> io::Result<R> {
    let over = Over::default();
    let tick = || {
        let ticking = panic::catch_unwind(AssertUnwindSafe(|| {
            while !over.within(interval) {
                if call().is_break() {
                    return true;
                }
            }
            false
        }));
        // It broke, or it panicked: the wait has to end in either case.
        if !matches!(ticking, Ok(false)) {
            stop();
        }
        ticking.err()
    };
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("lockfast-on-wait".to_owned());
        // With all signals masked, so that those of the program interrupt this thread, which waits.
        let ticker = without_signals(|| builder.spawn_scoped(scope, tick)).map_err(no_thread)?;
        let result = {
            // Dropped also when `wait` panics; the scope then waits for the ticker.
            let _over_at_the_end = Declare(&over);
            wait()
        };
        match ticker.join() {
            Ok(None) => Ok(result),
            Ok(Some(payload)) | Err(payload) => panic::resume_unwind(payload),
        }
    })
}

/// Whether the wait is over.
#[derive(Default)]
struct Over {
    state: Mutex<bool>,
    changed: Condvar,
}

impl Over {
    /// Sleeps for that long, or until it is over; tells whether it is.
    fn within(&self, interval: Duration) -> bool {
        let state = mutex::lock(&self.state);
        let (state, _) = self
            .changed
            .wait_timeout_while(state, interval, |over| !*over)
            .unwrap_or_else(PoisonError::into_inner);
        *state
    }
}

/// Declares it over when dropped, so also when the wait panics.
struct Declare<'a>(&'a Over);

impl Drop for Declare<'_> {
    fn drop(&mut self) {
        // Under the mutex of the sleep, so that a ticker that is about to sleep sees it.
        *mutex::lock(&self.0.state) = true;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    const SOON: Duration = Duration::from_millis(1);

    #[test]
    fn calls_until_the_wait_is_over() {
        let (tell, told) = mpsc::channel();
        let call = || {
            let _ = tell.send(());
            ControlFlow::Continue(())
        };
        let wait = || told.iter().take(3).count();
        let result = during(SOON, call, || panic!("nobody asked to stop"), wait);
        assert_eq!(result.expect("a thread"), 3);
    }

    #[test]
    fn stops_once_when_the_function_breaks() {
        let (stop, stopped) = mpsc::channel();
        let calls = AtomicU32::new(0);
        let call = || {
            calls.fetch_add(1, Ordering::Relaxed);
            ControlFlow::Break(())
        };
        let wait = || stopped.recv().expect("stopped");
        during(SOON, call, || stop.send(()).expect("received"), wait).expect("a thread");
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_panic_stops_the_wait_and_goes_on_here() {
        let (stop, stopped) = mpsc::channel();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            let wait = || stopped.recv().expect("stopped");
            let stop = || stop.send(()).expect("received");
            during(SOON, || panic::resume_unwind(Box::new("ouch")), stop, wait)
        }));
        let payload = outcome.expect_err("the panic of the function");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"ouch"));
    }
}
