//! The queue and its lane in every order in which threads can run.
//!
//! `loom` runs each of these again and again, every time with another interleaving of the threads'
//! atomic operations and mutexes, until all were tried that switch from a thread that could go on at
//! most so many times. It fails for a data race of what the lock protects, and when all sleep.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::*;

/// Stands for the file: what the kernel has granted, and what that protects.
struct Kernel {
    is_granted: AtomicBool,
    count: UnsafeCell<usize>,
    /// May it be kept when nobody waits?
    may_linger: AtomicBool,
}

struct HeldLock {
    queue: Arc<Queue<Kernel>>,
    kernel: Arc<Kernel>,
}

impl HeldLock {
    fn lane(&self) -> Option<&Handoff<Self>> {
        Some(self.queue.lane())
    }
}

impl Shared for Kernel {
    type HeldLock = HeldLock;

    fn let_go(&self) -> bool {
        assert!(self.is_granted.swap(false, Ordering::SeqCst), "it is held");
        true
    }
}

/// How a thread got in.
enum Held {
    Own(Arc<Kernel>),
    Handoff(Box<HeldLock>),
}

impl Held {
    fn kernel(&self) -> &Kernel {
        match self {
            Self::Own(kernel) => kernel,
            Self::Handoff(parcel) => &parcel.kernel,
        }
    }
}

/// What one who waits does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// Comes by at the lane.
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
        if let Some(parcel) = queue.take_from_lane(mode, thread) {
            return Some(Held::Handoff(parcel));
        }
        match queue.try_enter(mode, thread) {
            Entry::Turn(turn) => break turn,
            Entry::Inside(_) => unreachable!("nobody reads"),
            Entry::Full if queue.has_idle_lane(mode) => continue,
            Entry::Full => {}
        }
        let mut place = match queue.line_up(mode, thread, waits.competes()) {
            Enqueued::Turn(turn) => break turn,
            Enqueued::QueuedWaiter(place) => place,
        };
        if matches!(waits, Waits::Wrongly | Waits::Asleep) {
            assert_eq!(place.park(None), crate::sys::Parked::Granted);
            break place.enter().ok().expect("a writer is not called off");
        }
        loop {
            match place.come_by() {
                SpinOutcome::Granted => break,
                SpinOutcome::Handoff(parcel) => return Some(Held::Handoff(parcel)),
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
    assert!(!kernel.is_granted.swap(true, Ordering::SeqCst), "granted");
    turn.keep();
    Some(Held::Own(kernel))
}

fn release(queue: &Arc<Queue<Kernel>>, held: Held) {
    let mut is_by_lane = true;
    let mut parcel = match held {
        Held::Own(kernel) => {
            is_by_lane = false;
            Box::new(HeldLock {
                queue: Arc::clone(queue),
                kernel,
            })
        }
        Held::Handoff(parcel) => match Handoff::leave_by(parcel, HeldLock::lane, Mode::Exclusive) {
            Ok(()) => return,
            Err(parcel) => parcel,
        },
    };
    if is_by_lane || queue.has_waiting() {
        match queue.pass_by_lane(parcel, Access::Exclusive) {
            None => return,
            Some(again) => parcel = again,
        }
    }
    let kernel = Arc::clone(&parcel.kernel);
    let may_linger = || kernel.may_linger.load(Ordering::SeqCst);
    if may_linger() {
        match queue.linger(parcel, may_linger) {
            None => return,
            Some(again) => parcel = again,
        }
    }
    queue.leave_alone(parcel.kernel.let_go(), None);
}

/// The slices that are not over yet, as no time passes here.
fn slices(number: usize) {
    SLICES.set(number);
}

thread_local! {
    // All threads of a model are run by one, one after the other.
    static SLICES: Cell<usize> = const { Cell::new(0) };
}

pub(crate) fn elapsed() -> Duration {
    let left = SLICES.get();
    SLICES.set(left.saturating_sub(1));
    if left == 0 {
        Duration::from_secs(1)
    } else {
        Duration::ZERO
    }
}

/// Threads that lock so often, each in its way, and count under the lock.
fn explore(threads: &'static [(Waits, usize)], looks_at_the_clock: usize) {
    let mut model = loom::model::Builder::new();
    // With more, three threads take minutes.
    model.preemption_bound = Some(if threads.len() > 2 { 2 } else { 4 });
    model.check(move || {
        slices(looks_at_the_clock);
        let queue = Arc::new(Queue::new(Some(Kernel {
            is_granted: AtomicBool::new(false),
            count: UnsafeCell::new(0),
            may_linger: AtomicBool::new(threads.iter().any(|(waits, _)| *waits == Revoking)),
        })));
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
                        release(&queue, held);
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
        assert!(is_idle && !queue.lane.is_idle());
        assert!(!kernel.is_granted.load(Ordering::SeqCst), "given back");
        kernel.count.with(
            #[allow(unsafe_code, reason = "all threads have ended")]
            // SAFETY: this thread is the only one.
            |count| assert_eq!(unsafe { *count }, counted),
        );
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
fn one_gives_up_while_others_wait() {
    explore(&[(Competing, 1), (Briefly, 1), (Competing, 1)], MANY);
    explore(&[(Competing, 1), (Briefly, 1), (Briefly, 1)], MANY);
}

#[test]
fn one_waits_that_does_not_compete() {
    explore(&[(Competing, 1), (Asleep, 1), (Competing, 1)], MANY);
    explore(&[(Asleep, 1), (Asleep, 1), (Competing, 1)], MANY);
}

#[test]
fn what_lingers_is_given_back_when_it_is_revoked() {
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
