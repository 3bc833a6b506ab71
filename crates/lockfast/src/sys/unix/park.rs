//! Puts a thread to sleep until another thread of the process grants it something.

#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    target_pointer_width = "64"
))]
pub(crate) use futex::Parker;

#[cfg(not(all(
    any(target_os = "linux", target_os = "android"),
    target_pointer_width = "64"
)))]
pub(crate) use condition::Parker;

/// Sleeps by the kernel's own call. Unlike a condition variable, it reports that a signal came.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    target_pointer_width = "64"
))]
mod futex {
    use std::io;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use super::super::timespec;
    use crate::sys::Parked;

    const WAITING: u32 = 0;
    const GRANTED: u32 = 1;

    /// The sleep of one thread.
    ///
    /// `state` is `WAITING` until [`grant`](Self::grant), then `GRANTED` until [`reset`](Self::reset). The
    /// kernel puts the thread to sleep only while it is `WAITING`, so no grant is missed.
    #[derive(Debug, Default)]
    pub(crate) struct Parker {
        state: AtomicU32,
    }

    impl Parker {
        /// Sleeps until granted, until the instant, or until a signal. Once granted, it returns at once.
        pub(crate) fn park(&self, until: Option<Instant>) -> Parked {
            while self.state.load(Ordering::Acquire) == WAITING {
                let mut timeout = None;
                if let Some(until) = until {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Parked::TimedOut;
                    }
                    timeout = Some(timespec(left));
                }
                let timeout = timeout
                    .as_ref()
                    .map_or(std::ptr::null(), std::ptr::from_ref);
                // SAFETY: the word and the time live longer than the call.
                let answer = unsafe {
                    libc::syscall(
                        libc::SYS_futex,
                        self.state.as_ptr(),
                        libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                        WAITING,
                        timeout,
                    )
                };
                // All other answers (woken, out of time, the word has changed) lead to another look.
                let error = io::Error::last_os_error();
                if answer == -1 && error.kind() == io::ErrorKind::Interrupted {
                    return Parked::Interrupted;
                }
            }
            Parked::Granted
        }

        /// Whether it was granted.
        pub(crate) fn is_granted(&self) -> bool {
            self.state.load(Ordering::Acquire) == GRANTED
        }

        /// Takes the grant back.
        pub(crate) fn reset(&self) {
            // Relaxed: what a grant reports is looked at afterwards under a mutex, of the queue or of the future.
            self.state.store(WAITING, Ordering::Relaxed);
        }

        /// Grants it, and wakes the thread.
        pub(crate) fn grant(&self) {
            // Release: the thread sees what was done before the grant.
            self.state.store(GRANTED, Ordering::Release);
            // SAFETY: the word lives longer than the call.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.state.as_ptr(),
                    libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                    1,
                )
            };
        }
    }
}

/// Sleeps on a condition variable. It does not report signals, so ten times a second one is assumed.
#[cfg(not(all(
    any(target_os = "linux", target_os = "android"),
    target_pointer_width = "64"
)))]
mod condition {
    use std::sync::{Condvar, Mutex, PoisonError};
    use std::time::{Duration, Instant};

    use crate::sys::{Parked, mutex};

    const ASK_AGAIN: Duration = Duration::from_millis(100);

    /// The sleep of one thread.
    #[derive(Debug, Default)]
    pub(crate) struct Parker {
        granted: Mutex<bool>,
        changed: Condvar,
    }

    impl Parker {
        /// Sleeps until granted, until the instant, or for a tenth of a second.
        pub(crate) fn park(&self, until: Option<Instant>) -> Parked {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let nap = left.map_or(ASK_AGAIN, |left| left.min(ASK_AGAIN));
            let granted = mutex::lock(&self.granted);
            let (granted, _) = self
                .changed
                .wait_timeout_while(granted, nap, |granted| !*granted)
                .unwrap_or_else(PoisonError::into_inner);
            match (*granted, left) {
                (true, _) => Parked::Granted,
                (false, Some(left)) if left <= nap => Parked::TimedOut,
                (false, _) => Parked::Interrupted,
            }
        }

        /// Whether it was granted.
        pub(crate) fn is_granted(&self) -> bool {
            *mutex::lock(&self.granted)
        }

        /// Takes the grant back.
        pub(crate) fn reset(&self) {
            *mutex::lock(&self.granted) = false;
        }

        /// Grants it, and wakes the thread.
        pub(crate) fn grant(&self) {
            *mutex::lock(&self.granted) = true;
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Parked;
    use std::time::{Duration, Instant};

    #[test]
    fn a_grant_before_or_during_the_sleep_ends_it() {
        let parker = Parker::default();
        std::thread::scope(|scope| {
            scope.spawn(|| parker.grant());
            while parker.park(None) != Parked::Granted {}
        });
        assert_eq!(parker.park(None), Parked::Granted);
    }

    #[test]
    fn an_instant_that_has_passed_ends_it() {
        let parker = Parker::default();
        assert_eq!(parker.park(Some(Instant::now())), Parked::TimedOut);
        let soon = Instant::now() + Duration::from_millis(5);
        while parker.park(Some(soon)) == Parked::Interrupted {}
        assert!(Instant::now() >= soon);
    }
}
