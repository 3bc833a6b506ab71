//! The queue and its hand-off slot in every order in which threads can run.
//!
//! `loom` runs each of these again and again, every time with another interleaving of the threads'
//! atomic operations and mutexes, until all were tried that switch from a thread that could go on at
//! most so many times. It fails for a data race of what the lock protects, and when all sleep.

use std::sync::Arc;
use std::time::Instant;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::*;
use crate::protocol::plan::Mode;
use crate::sys::Access;
use crate::sys::primitive::set_time_left;
use crate::types::thread::ThreadToken;

/// Stands for the file: what the kernel has granted, and what that protects.
struct Kernel {
    is_granted: AtomicBool,
    count: UnsafeCell<usize>,
    /// Whether it may be kept when nobody waits.
    may_linger: AtomicBool,
    /// Whether a free lock is taken and left without the mutex.
    may_be_fast: bool,
}

struct ModelLock {
    queue: Arc<Queue<Kernel>>,
    kernel: Arc<Kernel>,
}

impl ModelLock {
    fn new(queue: &Arc<Queue<Kernel>>, kernel: Arc<Kernel>) -> Box<Self> {
        let queue = Arc::clone(queue);
        Box::new(Self { queue, kernel })
    }

    fn handoff(&self) -> Option<&Handoff<Self>> {
        Some(self.queue.handoff())
    }

    fn fast(&self) -> Option<&FastSlot<Self>> {
        Some(self.queue.fast())
    }
}

impl Kernel {
    fn lock(&self) {
        assert!(!self.is_granted.swap(true, Ordering::SeqCst), "granted");
    }
}

impl Unlock for Kernel {
    type Held = ModelLock;

    fn unlock(&self) -> bool {
        assert!(self.is_granted.swap(false, Ordering::SeqCst), "it is held");
        true
    }
}

/// How a thread got in.
enum Held {
    Own(Arc<Kernel>),
    Fast(Box<ModelLock>),
    Handoff(Box<ModelLock>),
}

impl Held {
    fn kernel(&self) -> &Kernel {
        match self {
            Self::Own(kernel) => kernel,
            Self::Fast(held) | Self::Handoff(held) => &held.kernel,
        }
    }
}

/// What one who waits does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// Looks at the hand-off slot.
    Competing,
    /// Sleeps until it has the turn, as a task does.
    Asleep,
    /// Gives up as soon as it would sleep.
    Briefly,
    /// Says that it comes by, and sleeps instead: this must not work.
    Wrongly,
    /// Does not lock, and has the others not keep it when nobody waits.
    Revoking,
}

impl Waits {
    fn competes(self) -> bool {
        !matches!(self, Self::Asleep)
    }
}

fn acquire(queue: &Arc<Queue<Kernel>>, thread: ThreadToken, waits: Waits) -> Option<Held> {
    let mode = Mode::Exclusive;
    if matches!(waits, Waits::Revoking) {
        let kernel = queue.glance().0.expect("it is never replaced");
        kernel.may_linger.store(false, Ordering::SeqCst);
        queue.end_linger();
        return None;
    }
    let mut turn = loop {
        if let Some(held) = queue.take_handoff(mode, thread) {
            return Some(Held::Handoff(held));
        }
        if let Some(held) = queue.take_fast(mode, thread) {
            held.kernel.lock();
            return Some(Held::Fast(held));
        }
        match queue.try_enter(mode, thread) {
            TryEnter::Turn(turn) => break turn,
            TryEnter::Inside(_) => unreachable!("nobody reads"),
            TryEnter::Full if queue.has_idle_handoff(mode) => continue,
            TryEnter::Full => {}
        }
        let mut place = match queue.enqueue(mode, thread, waits.competes()) {
            Enqueued::Turn(turn) => break turn,
            Enqueued::QueuedWaiter(place) => place,
        };
        if matches!(waits, Waits::Wrongly | Waits::Asleep) {
            assert_eq!(place.park(None), crate::sys::Parked::Granted);
            break place.enter().ok().expect("a writer is not called off");
        }
        loop {
            match place.spin_for_handoff() {
                SpinOutcome::Granted => break,
                SpinOutcome::Handoff(held) => return Some(Held::Handoff(held)),
                SpinOutcome::Nothing => {
                    let until = matches!(waits, Waits::Briefly).then(Instant::now);
                    if place.park(until) == crate::sys::Parked::TimedOut {
                        return None;
                    }
                }
            }
        }
        break place.enter().ok().expect("a writer is not called off");
    };
    let kernel = turn.take().expect("it is never replaced");
    kernel.lock();
    turn.keep();
    Some(Held::Own(kernel))
}

fn release(queue: &Arc<Queue<Kernel>>, thread: ThreadToken, held: Held) {
    let mut is_by_handoff = true;
    let mut held = match held {
        Held::Own(kernel) => {
            is_by_handoff = false;
            ModelLock::new(queue, kernel)
        }
        Held::Fast(held) if queue.has_waiting() => {
            is_by_handoff = false;
            queue.leave_slot(thread);
            held
        }
        Held::Fast(held) => {
            assert!(held.kernel.unlock());
            queue.handoff().disown();
            if let Err(held) = FastSlot::leave_by(held, ModelLock::fast) {
                leave(queue).unlocked(held, true);
            }
            return;
        }
        Held::Handoff(held) => match Handoff::leave_by(held, ModelLock::handoff, Mode::Exclusive) {
            Ok(()) => return,
            Err(held) => held,
        },
    };
    if is_by_handoff || queue.has_waiting() {
        match queue.hand_off(held, Access::Exclusive) {
            Ok(after) => {
                after.run();
                return;
            }
            Err(again) => held = again,
        }
    }
    let mut turn = leave(queue);
    let kernel = Arc::clone(&held.kernel);
    let may_linger = || kernel.may_linger.load(Ordering::SeqCst);
    if may_linger() {
        match turn.linger(held, may_linger) {
            Ok(()) => return,
            Err((again, kept)) => (turn, held) = (again, kept),
        }
    }
    assert!(kernel.unlock());
    turn.unlocked(held, kernel.may_be_fast);
}

fn leave(queue: &Queue<Kernel>) -> Turn<'_, Kernel> {
    match queue.leave(Mode::Exclusive, ThreadToken::NONE, |_| ()) {
        Leave::Last(turn) => turn,
        Leave::Stays(_) => unreachable!("it is alone"),
    }
}

/// Threads that lock so often, each in its way, and count under the lock.
fn explore(threads: &'static [(Waits, usize)], looks_at_the_clock: usize) {
    let mut model = loom::model::Builder::new();
    // With more, three threads take minutes.
    model.preemption_bound = Some(if threads.len() > 2 { 2 } else { 4 });
    let may_linger = threads.iter().any(|(waits, _)| *waits == Revoking);
    model.check(move || {
        set_time_left(looks_at_the_clock);
        let queue = Arc::new(Queue::new(Some(Kernel {
            is_granted: AtomicBool::new(false),
            count: UnsafeCell::new(0),
            may_linger: AtomicBool::new(may_linger),
            may_be_fast: !may_linger,
        })));
        if !may_linger {
            // With what the last holder left, in the fast slot.
            let first = ThreadToken::NONE;
            let held = acquire(&queue, first, Competing).expect("it is free");
            release(&queue, first, held);
        }
        let run = |number: usize, waits, times| {
            let queue = Arc::clone(&queue);
            move || {
                let thread = ThreadToken::for_test(number as u64 + 1);
                let mut counted = 0;
                for _ in 0..times {
                    if let Some(held) = acquire(&queue, thread, waits) {
                        held.kernel().count.with_mut(
                            #[allow(unsafe_code, reason = "what the lock is for")]
                            // SAFETY: whoever holds the lock is alone; that is what is explored.
                            |count| unsafe { *count += 1 },
                        );
                        counted += 1;
                        release(&queue, thread, held);
                    }
                }
                counted
            }
        };
        let mut runs = threads
            .iter()
            .enumerate()
            .map(|(number, &(waits, times))| run(number, waits, times));
        let own = runs.next().expect("somebody");
        let others: Vec<_> = runs.map(thread::spawn).collect();
        let mut counted = own();
        for other in others {
            counted += other.join().expect("it does not panic");
        }
        let (kernel, is_idle) = queue.glance();
        let kernel = kernel.expect("it is never replaced");
        assert!(is_idle && !queue.handoff().is_idle());
        assert!(!kernel.is_granted.load(Ordering::SeqCst), "given back");
        kernel.count.with(
            #[allow(unsafe_code, reason = "all threads have ended")]
            // SAFETY: this thread is the only one.
            |count| assert_eq!(unsafe { *count }, counted),
        );
        // What is kept for a next holder keeps the queue.
        queue.end();
    });
}

use Waits::{Asleep, Briefly, Competing, Revoking, Wrongly};

const MANY: usize = usize::MAX;

#[test]
fn two_threads_that_lock_twice() {
    explore(&[(Competing, 2), (Competing, 2)], MANY);
}

#[test]
fn three_threads_wait_for_each_other() {
    explore(&[(Competing, 1), (Competing, 1), (Competing, 1)], MANY);
}

#[test]
fn the_slice_ends_at_any_time() {
    for looks in 0..4 {
        explore(&[(Competing, 1), (Competing, 1), (Competing, 1)], looks);
    }
}

#[test]
fn a_waiter_gives_up_while_others_wait() {
    explore(&[(Competing, 1), (Briefly, 1), (Competing, 1)], MANY);
    explore(&[(Competing, 1), (Briefly, 1), (Briefly, 1)], MANY);
}

#[test]
fn a_waiter_that_does_not_compete() {
    explore(&[(Competing, 1), (Asleep, 1), (Competing, 1)], MANY);
    explore(&[(Asleep, 1), (Asleep, 1), (Competing, 1)], MANY);
}

#[test]
fn a_cached_lock_is_given_back_when_it_is_revoked() {
    explore(&[(Competing, 2), (Revoking, 1)], MANY);
    explore(&[(Competing, 1), (Competing, 1), (Revoking, 1)], MANY);
    explore(&[(Competing, 1), (Asleep, 1), (Revoking, 1)], MANY);
    explore(&[(Competing, 1), (Briefly, 1), (Revoking, 1)], 1);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_lost_wake_up_is_found() {
    explore(&[(Competing, 1), (Wrongly, 1)], MANY);
}
