//! Ending waits from elsewhere.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use crate::sys::alarm::{Alarm, AlarmId};
use crate::sys::fork;
use crate::sys::made_once::MadeOnce;

/// Token that ends the waits of threads that run under it, from another thread or from a signal handler.
///
/// A thread runs a closure under a token with [`run`](Self::run). Every wait for a lock in there, of any
/// primitive, form and engine, ends once the token is cancelled, with an error whose
/// [`is_cancelled`](crate::Error::is_cancelled) is true. A lock that is free is taken nevertheless;
/// only waits end. A wait that has ended leaves nothing behind, as one that timed out.
///
/// Clones are the same token. A token stays cancelled; make a new one for what comes next.
///
/// Waits of tasks (`lock_async` and its kin) need no token: they end when the future is dropped.
///
/// # Platform-specific behaviour
///
/// On Linux the kernel's call is interrupted, by the signal that ends timed waits (see PLATFORM.md),
/// and the wait ends within microseconds; on Windows its request is cancelled. Elsewhere a wait under a token is one that asks for the lock
/// at least every 10 ms.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("demo.lock");
/// use lockfast::{CancelToken, Lock};
///
/// let held = Lock::open(&path)?.lock()?;
///
/// let token = CancelToken::new();
/// let waiting = std::thread::spawn({
///     let (token, lock) = (token.clone(), Lock::open(&path)?);
///     move || token.run(|| lock.lock())
/// });
/// token.cancel();
/// assert!(waiting.join().unwrap().unwrap_err().is_cancelled());
/// # drop(held);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct CancelToken {
    shared: Arc<TokenState>,
}

impl CancelToken {
    /// Returns a token that is not cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!lockfast::CancelToken::new().is_cancelled());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the waits under this token, now and from now on.
    ///
    /// Does not wait until they have ended. May be called in a signal's handler: it takes no mutex,
    /// allocates nothing and leaves `errno` as it was. (Have the token in a static variable, made
    /// before the handler is installed.)
    ///
    /// # Examples
    ///
    /// ```
    /// let token = lockfast::CancelToken::new();
    /// token.cancel();
    /// assert!(token.is_cancelled());
    /// ```
    pub fn cancel(&self) {
        // Before the slots are looked at: a wait that arms its alarm later looks at this afterwards.
        self.shared.is_cancelled.store(true, Ordering::SeqCst);
        let mut block = Some(&self.shared.first);
        while let Some(Block { slots, next }) = block {
            slots.iter().for_each(AlarmSlot::ring);
            block = next.get();
        }
    }

    /// Whether the token was cancelled.
    ///
    /// # Examples
    ///
    /// See [`cancel`](Self::cancel).
    pub fn is_cancelled(&self) -> bool {
        self.shared.is_cancelled.load(Ordering::SeqCst)
    }

    /// Runs the closure on this thread; the waits for locks in there end when the token is cancelled.
    ///
    /// One `run` may be within another: then each of the tokens ends them.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// use lockfast::{CancelToken, Lock};
    ///
    /// let lock = Lock::open(&path)?;
    /// let token = CancelToken::new();
    /// token.cancel();
    /// let guard = token.run(|| lock.lock())?; // it is free: nothing to wait for
    /// let other = Lock::open(&path)?;
    /// let error = token.run(|| other.try_lock_for(std::time::Duration::MAX)).unwrap_err();
    /// assert!(error.is_cancelled());
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                TOKENS.with_borrow_mut(Vec::pop);
            }
        }
        TOKENS.with_borrow_mut(|tokens| tokens.push(self.clone()));
        // By a drop, so also when the closure panics.
        let _leave = Leave;
        work()
    }

    /// Rings that alarm when it is cancelled, until what this returns is dropped.
    fn arm(&self, alarm: AlarmId) -> Armed {
        let mut number = 0;
        let mut block = &self.shared.first;
        loop {
            for slot in &block.slots {
                // Slots are claimed by the waiting thread and read by `cancel`, which may run in a
                // signal's handler: no mutex guards them, and blocks are never freed while the token
                // lives.
                if slot.claim(alarm) {
                    let token = self.clone();
                    return Armed { token, number };
                }
                number += 1;
            }
            block = block.next.get_or_make(Block::default);
        }
    }

    fn slot(&self, number: usize) -> &AlarmSlot {
        let mut block = &self.shared.first;
        for _ in 0..number / SLOTS {
            block = block.next.get().expect("a slot in it was claimed");
        }
        &block.slots[number % SLOTS]
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// Whether this thread runs under a token.
pub(crate) fn is_possible() -> bool {
    with_tokens(|tokens| !tokens.is_empty())
}

/// Whether a token was cancelled under which this thread runs.
pub(crate) fn is_demanded() -> bool {
    with_tokens(|tokens| tokens.iter().any(CancelToken::is_cancelled))
}

/// Makes the tokens under which this thread runs ring the alarm, until the returned values are dropped. Check
/// [`is_demanded`] afterwards: a token may have been cancelled before.
pub(crate) fn arm(alarm: &Alarm) -> Vec<Armed> {
    let id = alarm.id();
    with_tokens(|tokens| tokens.iter().map(|token| token.arm(id)).collect())
}

/// An alarm that a token rings.
#[derive(Debug)]
pub(crate) struct Armed {
    token: CancelToken,
    number: usize,
}

impl Drop for Armed {
    fn drop(&mut self) {
        self.token.slot(self.number).free();
    }
}

fn with_tokens<R>(read: impl Fn(&[CancelToken]) -> R) -> R {
    // While the thread is torn down it runs under none.
    TOKENS
        .try_with(|tokens| read(&tokens.borrow()))
        .unwrap_or_else(|_| read(&[]))
}

thread_local! {
    /// The tokens under which this thread runs, the innermost last.
    static TOKENS: RefCell<Vec<CancelToken>> = const { RefCell::new(Vec::new()) };
}

const SLOTS: usize = 4;

#[derive(Default)]
struct TokenState {
    is_cancelled: AtomicBool,
    first: Block,
}

/// Alarms to ring. A list that only grows, as a handler can't wait for a mutex.
#[derive(Default)]
struct Block {
    slots: [AlarmSlot; SLOTS],
    next: MadeOnce<Block>,
}

/// Room for an alarm.
#[derive(Default)]
struct AlarmSlot {
    state: AtomicU8,
    // Both are written while the slot is `CLAIMED`. Others read them only while it is `RINGING`, so the wait
    // can't end and delete the alarm meanwhile.
    alarm: AtomicUsize,
    /// The process that the alarm belongs to.
    generation: AtomicU64,
}

// | state | means | next |
// |---|---|---|
// | `FREE` | no alarm | `CLAIMED`, by a wait that begins |
// | `CLAIMED` | the wait writes the alarm into the slot | `ARMED`, by the same wait |
// | `ARMED` | the alarm exists | `FREE`, by the wait when it is over; `RINGING`, by whoever cancels |
// | `RINGING` | the alarm is being rung, so it must not be deleted | `ARMED`, by whoever cancels |
const FREE: u8 = 0;
const CLAIMED: u8 = 1;
const ARMED: u8 = 2;
const RINGING: u8 = 3;

impl AlarmSlot {
    fn claim(&self, alarm: AlarmId) -> bool {
        if !self.changes(FREE, CLAIMED) {
            return false;
        }
        // Published by the store of `ARMED`.
        self.alarm.store(alarm.to_number(), Ordering::Relaxed);
        self.generation.store(fork::generation(), Ordering::Relaxed);
        // Sequentially consistent, as is `is_cancelled`: either `cancel` finds this slot armed, or the wait,
        // which looks at `is_cancelled` after this, finds it set.
        self.state.store(ARMED, Ordering::SeqCst);
        true
    }

    /// After this, nobody rings the alarm.
    fn free(&self) {
        if self.generation.load(Ordering::Relaxed) != fork::generation() {
            // A forked child's copy: whoever was about to ring it does not exist here.
            return;
        }
        while !self.changes(ARMED, FREE) {
            // Another thread is about to ring it. A handler on this thread would be through.
            std::thread::yield_now();
        }
    }

    fn ring(&self) {
        if self.changes(ARMED, RINGING) {
            // A forked child has a copy, but not the alarm.
            if self.generation.load(Ordering::Relaxed) == fork::generation() {
                AlarmId::from_number(self.alarm.load(Ordering::Relaxed)).ring();
            }
            self.state.store(ARMED, Ordering::SeqCst);
        }
    }

    fn changes(&self, from: u8, to: u8) -> bool {
        let order = Ordering::SeqCst;
        self.state.compare_exchange(from, to, order, order).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_apply_while_their_closure_runs() {
        let (outer, inner) = (CancelToken::new(), CancelToken::new());
        outer.cancel();
        assert!(!is_possible());
        inner.run(|| {
            assert!(is_possible() && !is_demanded());
            outer.run(|| inner.run(|| assert!(is_demanded())));
            assert!(!is_demanded());
        });
        let panics = std::panic::catch_unwind(|| outer.run(|| panic!("ouch")));
        assert!(panics.is_err() && !is_possible());
    }

    #[cfg(all(target_os = "linux", not(lockfast_unsupported)))]
    #[test]
    fn each_wait_has_a_slot_that_is_used_again() {
        let token = CancelToken::new();
        let alarm = Alarm::set(None).expect("a timer");
        let arm = || token.arm(alarm.id());
        let many: Vec<_> = (0..3 * SLOTS).map(|_| arm()).collect();
        let numbers: Vec<_> = many.iter().map(|armed| armed.number).collect();
        assert_eq!(numbers, (0..3 * SLOTS).collect::<Vec<_>>());
        drop(many);
        assert_eq!(arm().number, 0);
    }
}
