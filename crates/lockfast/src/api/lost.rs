//! Learning that a lock is lost, for the guards of all ways to hold a lock.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use crate::api::engine::{self, HoldState};
use crate::sys::alarm::without_signals;
use crate::sys::mutex;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::resource::Resource;
use crate::types::wait_limit::WaitLimit;

/// The future of a guard whose type is not known.
pub(crate) type BoxedLost = Pin<Box<dyn Future<Output = ()> + Send>>;
type Callback = Box<dyn FnOnce() + Send>;

/// Keeps a callback registered for the loss of a lock; dropping it takes the callback back.
///
/// A callback that has begun goes on.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("demo.lock");
/// let guard = lockfast::Lock::open(&path)?.lock()?;
/// let _watch = guard.on_lost(|| eprintln!("stop: others may hold the lock"));
/// # Ok(())
/// # }
/// ```
#[must_use = "the callback is taken back when this is dropped, which is at once if it is not kept"]
pub struct LostCallback(Arc<Alert>);

// The future keeps a waker of its own alert: a circle, which the end of the future breaks.
struct Alert(Mutex<AlertState>);

// | state | next |
// |---|---|
// | `Idle` | `Polled`, by a wake; `Over`, by the drop of the registration |
// | `Polled` | `Idle`, or `Over` if the lock is lost, by the thread that polls; `Over`, by the drop |
// | `Over` | – |
enum AlertState {
    Idle(BoxedLost, Callback),
    /// A thread has both and polls, without the mutex: a future may wake on the thread that polls it.
    Polled {
        /// Whether it has to poll once more.
        again: bool,
    },
    /// The callback was called or taken back.
    Over,
}

impl LostCallback {
    /// Has this called when the future is ready; for guards and bindings.
    #[doc(hidden)]
    pub fn new(
        lost: impl Future<Output = ()> + Send + 'static,
        callback: impl FnOnce() + Send + 'static,
    ) -> Self {
        let this = Self(Alert::new(Box::pin(lost), Box::new(callback)));
        // At once: the lock may be lost already, and a future that was never polled wakes nobody.
        Alert::poll(&this.0);
        this
    }
}

impl Alert {
    fn new(lost: BoxedLost, callback: Callback) -> Arc<Self> {
        Arc::new(Self(Mutex::new(AlertState::Idle(lost, callback))))
    }

    /// Calls the callback if the lock is lost.
    fn poll(self: &Arc<Self>) {
        let Some((mut lost, callback)) = self.begin() else {
            return;
        };
        let waker = Waker::from(Arc::clone(self));
        loop {
            let polled = lost.as_mut().poll(&mut Context::from_waker(&waker));
            let mut state = mutex::lock(&self.0);
            match &mut *state {
                // It was taken back meanwhile.
                AlertState::Over => return,
                _ if polled.is_ready() => {
                    *state = AlertState::Over;
                    // The callback is the program's, and may drop its own registration, which locks the mutex.
                    drop(state);
                    return callback();
                }
                AlertState::Polled { again } if *again => *again = false,
                _ => {
                    *state = AlertState::Idle(lost, callback);
                    return;
                }
            }
        }
    }

    /// Takes what is to be polled; `None` if another call polls, now or once more, or nothing is left to do.
    fn begin(&self) -> Option<(BoxedLost, Callback)> {
        let mut state = mutex::lock(&self.0);
        match std::mem::replace(&mut *state, AlertState::Polled { again: true }) {
            AlertState::Idle(lost, callback) => {
                *state = AlertState::Polled { again: false };
                return Some((lost, callback));
            }
            AlertState::Polled { .. } => {}
            AlertState::Over => *state = AlertState::Over,
        }
        None
    }
}

impl Wake for Alert {
    fn wake(self: Arc<Self>) {
        let again = Arc::clone(&self);
        // The thread that wakes is the engine's: it must not wait for what the callback does.
        let thread = thread::Builder::new().name("lockfast-lost".to_owned());
        // Without a thread it is called here. To hold up the engine is better than not to be called.
        if without_signals(|| thread.spawn(move || again.poll())).is_err() {
            self.poll();
        }
    }
}

impl Drop for LostCallback {
    fn drop(&mut self) {
        // It has a waker of this watch, and may drop it outside the mutex only.
        let taken = std::mem::replace(&mut *mutex::lock(&self.0.0), AlertState::Over);
        drop(taken);
    }
}

impl fmt::Debug for LostCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LostCallback").finish_non_exhaustive()
    }
}

/// The error of a guard in that state, if it does not hold its lock for certain.
pub(crate) fn check(state: HoldState, resource: impl FnOnce() -> Resource) -> Result<()> {
    let why = match state {
        HoldState::Valid => return Ok(()),
        HoldState::Unconfirmed => {
            "its server did not confirm the lease in time, and may give the lock to others: \
             stop, or wait until the state is valid again"
        }
        HoldState::Lost => "it is lost, and others may hold it: take it again, and begin anew",
    };
    Err(Error::new(resource(), Operation::Rely, Cause::NotHeld(why)))
}

/// Blocks until the future is ready, at most that long; returns whether it is.
pub(crate) fn within(
    resource: Resource,
    timeout: Duration,
    lost: impl Future<Output = ()>,
) -> bool {
    let limit = WaitLimit::lasting(timeout);
    let lost = async {
        lost.await;
        Ok(())
    };
    engine::block_on(resource, Operation::Rely, limit, lost).is_ok()
}

/// Defines the methods of a guard that has `state`, `resource` and `lost`; `$open` takes it in the examples.
macro_rules! lost_methods {
    ($guard:ident, $open:expr) => {
        impl<E: Engine> $guard<E> {
            /// Fails unless the lock is held for certain: to be called right before a side effect.
            ///
            /// The check costs no request: it compares a clock with the end of the lease. Between the check and
            /// the effect the program may be stopped for any time, so a store that must never see a stale writer
            /// compares [tokens](Self::token) too.
            ///
            /// # Errors
            ///
            /// Of the kind [`NotHeld`](crate::ErrorKind::NotHeld) if the lock is lost, or was not confirmed in
            /// time; never for a file.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("demo.lock");
            #[doc = concat!("let guard = ", $open, "?;")]
            /// guard.check()?;
            /// // ... the side effect ...
            /// # Ok(())
            /// # }
            /// ```
            pub fn check(&self) -> Result<()> {
                crate::api::lost::check(self.state(), || self.resource())
            }

            /// Waits until the lock is lost or not confirmed in time, for at most that long; returns whether it
            /// is. A [`CancelToken`](crate::CancelToken) ends the wait with `false`.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("demo.lock");
            #[doc = concat!("let guard = ", $open, "?;")]
            /// assert!(!guard.lost_within(std::time::Duration::from_millis(5)));
            /// # Ok(())
            /// # }
            /// ```
            pub fn lost_within(&self, timeout: std::time::Duration) -> bool {
                crate::api::lost::within(self.resource(), timeout, self.lost())
            }

            /// Has this called once when the lock is lost or not confirmed in time, on a thread of its own; on this
            /// thread if it is lost already. Until then it needs no thread.
            ///
            /// # Examples
            ///
            /// See [`LostCallback`](crate::LostCallback).
            pub fn on_lost(&self, callback: impl FnOnce() + Send + 'static) -> crate::LostCallback {
                crate::LostCallback::new(self.lost(), callback)
            }
        }
    };
}

/// Defines the methods that ask the engine; `$held` is the field that holds.
macro_rules! lease_methods {
    ($guard:ident, $held:ident, $open:expr) => {
        impl<E: Engine> $guard<E> {
            /// Whether the lock is still held, as far as this process knows.
            ///
            /// The kernel keeps the lock of a file until the release, so its state is
            /// [`Valid`](crate::HoldState::Valid). An engine with leases can lose a lock that is held; a
            /// program asks before it makes its changes known.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("demo.lock");
            #[doc = concat!("let guard = ", $open, "?;")]
            /// assert_eq!(guard.state(), lockfast::HoldState::Valid);
            /// # Ok(())
            /// # }
            /// ```
            pub fn state(&self) -> crate::HoldState {
                self.$held.state()
            }

            /// Completes when the lock is lost, or not confirmed in time; never for a file. The future does not
            /// keep the lock.
            pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
                self.$held.lost()
            }

            /// The epoch of the [token](Self::token): tokens of different epochs can't be compared.
            ///
            /// A server has another one after its data were restored from a copy, as its tokens may begin at an
            /// earlier number then. 0 for a file: its tokens go on as long as it is not deleted.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("demo.lock");
            #[doc = concat!("let guard = ", $open, "?;")]
            /// assert_eq!(guard.epoch(), 0);
            /// # Ok(())
            /// # }
            /// ```
            pub fn epoch(&self) -> u64 {
                self.$held.epoch()
            }

            /// The time until the engine may give the lock to others, if it does not confirm the lease before;
            /// `None` for a file.
            ///
            /// # Examples
            ///
            /// ```
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let dir = tempfile::tempdir()?;
            /// # let path = dir.path().join("demo.lock");
            #[doc = concat!("let guard = ", $open, "?;")]
            /// assert_eq!(guard.lease_left(), None);
            /// # Ok(())
            /// # }
            /// ```
            pub fn lease_left(&self) -> Option<std::time::Duration> {
                self.$held.lease_left()
            }
        }

        crate::api::lost::lost_methods!($guard, $open);
    };
}

pub(crate) use {lease_methods, lost_methods};

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::{OnceLock, mpsc};
    use std::task::Poll;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_future_that_wakes_while_it_is_polled_is_polled_again() {
        let (calls, called) = mpsc::channel();
        let alert = Arc::new(OnceLock::<Arc<Alert>>::new());
        let own = Arc::clone(&alert);
        let mut was_polled = false;
        let lost = poll_fn(move |_| {
            if was_polled {
                return Poll::Ready(());
            }
            was_polled = true;
            // As `wake` does when the system has no thread left.
            own.get().expect("it is there").poll();
            Poll::Pending
        });
        let callback = move || calls.send(()).expect("the test goes on");
        let watch = Alert::new(Box::pin(lost), Box::new(callback));
        let polled = Arc::clone(alert.get_or_init(|| watch));
        thread::spawn(move || polled.poll());
        assert_eq!(called.recv_timeout(LONG), Ok(()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_callbacks_thread_handles_no_signals_of_the_program() {
        let (wakers, waker) = mpsc::channel::<Waker>();
        let lost = poll_fn(move |context| match wakers.send(context.waker().clone()) {
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(()),
        });
        let (masks, mask) = mpsc::channel();
        let watch = LostCallback::new(lost, move || {
            let status = std::fs::read_to_string("/proc/thread-self/status").expect("its status");
            let mask = status
                .lines()
                .find_map(|line| line.strip_prefix("SigBlk:\t"));
            let mask = u64::from_str_radix(mask.expect("its mask"), 16).expect("a number");
            masks.send(mask).expect("the test goes on");
        });
        let first = waker.recv().expect("it was polled");
        drop(waker);
        first.wake();
        let mask = mask.recv_timeout(LONG).expect("called");
        for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGTERM] {
            assert_ne!(mask & 1 << (signal - 1), 0, "{signal} in {mask:x}");
        }
        drop(watch);
    }
}
