//! The lane: how a lock that the kernel has granted passes among threads without a system call.
//!
//! One who releases may leave what it had in the lane instead of giving the lock back to the kernel,
//! and the next one takes it from there: one atomic operation each. While the lane is open the queue
//! counts it as somebody inside, so nobody deals with the kernel, and those who find it in use line
//! up as ever.
//!
//! Who comes by takes it, even before those who wait: to wait for a thread that sleeps would waste
//! what the lane is for. So that it is never left where nobody comes by:
//!
//! * The flag `KEEP` says that it may be left there without a look at the queue: because somebody who
//!   waits is awake and will come by, or because it lingers and nobody waits.
//! * One who leaves without that flag looks at the queue, under its mutex, as does everybody who
//!   clears the flag and finds that the lane is idle at that moment. Whoever looks either wakes the
//!   first one that waits (and then one is awake), or closes the lane: gives the lock back to the
//!   kernel and the turn to the first one.
//! * One that waits is counted as awake or asleep under the mutex. When the last one that is awake
//!   falls asleep or gives up, it clears the flag.
//!
//! So that it is fair to others: when a [`SLICE`] is over since the kernel granted the lock, or since
//! somebody began to wait, the lane is closed. Then the turn goes to the first one of the queue,
//! which asks the kernel, and another process has its chance. The clock is read under the mutex only,
//! when somebody waits.

use std::time::{Duration, Instant};

use super::Shared;
use super::locked::Locked;
use super::state::State;
use crate::protocol::plan::Mode;
use crate::sys::Access;
use crate::sys::primitive;
use crate::sys::slot::Slot;
use crate::types::thread::{AtomicThreadToken, ThreadToken};

/// What is left for the next one, and who has it.
#[derive(Debug)]
pub(crate) struct Handoff<P> {
    slot: Slot<P>,
    holder: AtomicThreadToken,
}

/// It may be left in the lane without a look at the queue.
const KEEP: usize = 0b01;

/// What is left is held to read.
const SHARED: usize = 0b10;

/// How long a lock passes among the threads of a process while others may wait for it.
const SLICE: Duration = Duration::from_millis(1);

impl<P> Handoff<P> {
    pub(super) fn new() -> Self {
        Self {
            slot: Slot::new(),
            holder: AtomicThreadToken::default(),
        }
    }

    /// Takes what the one before left, if it was held in that way.
    #[inline]
    pub(super) fn take(&self, mode: Mode, thread: ThreadToken) -> Option<Box<P>> {
        if mode == Mode::Upgradable {
            return None;
        }
        let parcel = self.slot.take(SHARED, shared(mode.access()))?;
        self.holder.store(thread);
        Some(parcel)
    }

    /// Leaves the parcel, which leads to its lane or to none, to the next one, if it need not be closed and
    /// nobody is to be woken.
    #[inline]
    pub(crate) fn leave_by<'l>(
        parcel: Box<P>,
        lane: impl Fn(&'l P) -> Option<&'l Self>,
        mode: Mode,
    ) -> Result<(), Box<P>>
    where
        P: 'l,
    {
        let slot = |parcel| {
            let lane = lane(parcel)?;
            lane.holder.store(ThreadToken::NONE);
            Some(&lane.slot)
        };
        Slot::leave_by(parcel, slot, KEEP | shared(mode.access()))
    }

    /// Is it this thread that has taken it?
    pub(super) fn is_held_by(&self, thread: ThreadToken) -> bool {
        thread != ThreadToken::NONE && self.holder.load() == thread
    }

    /// No thread counts as its holder from now on.
    pub(super) fn disown(&self) {
        self.holder.store(ThreadToken::NONE);
    }

    /// Could it be taken now?
    pub(super) fn is_idle(&self) -> bool {
        self.slot.is_taken()
    }

    /// Leaves the parcel there, under the mutex. Nobody else has one.
    pub(super) fn open(&self, parcel: Box<P>, access: Access) {
        self.holder.store(ThreadToken::NONE);
        self.slot.set(KEEP | SHARED, shared(access));
        let left = self.slot.leave(parcel, shared(access));
        assert!(left.is_ok(), "nobody else has a parcel");
    }

    /// The same, where it will be taken and left again by one thread, mostly.
    pub(super) fn open_to_linger(&self, parcel: Box<P>, access: Access) {
        self.open(parcel, access);
        self.slot.is_likely_to_stay();
    }

    /// Nobody leaves anything there from now on. Whoever says so has the parcel.
    fn shut(&self) {
        self.slot.may_be_anything();
        self.slot.set(KEEP | SHARED, 0);
        self.holder.store(ThreadToken::NONE);
    }

    /// May it be left there without a look at the queue? Tells whether it was idle then.
    fn keep(&self, may_be_left: bool) -> bool {
        self.slot.set(KEEP, if may_be_left { KEEP } else { 0 })
    }

    /// Takes what is there, to close it.
    pub(super) fn withdraw(&self) -> Option<Box<P>> {
        self.slot.take(0, 0)
    }
}

fn shared(access: Access) -> usize {
    match access {
        Access::Shared => SHARED,
        Access::Exclusive => 0,
    }
}

impl<T: Shared> State<T> {
    /// May the lane be left open, for those who wait or because it lingers?
    pub(super) fn may_be_left(&mut self) -> bool {
        if self.upgrader.is_some() {
            return false;
        }
        match self.waiting.first() {
            None => self.lingers,
            Some(first) => {
                first.competes && self.open != Some(Access::Shared) && !self.is_slice_over()
            }
        }
    }

    /// Closes the lane for one who has the parcel.
    pub(super) fn shut(&mut self, lane: &Handoff<T::HeldLock>) {
        self.open = None;
        self.lingers = false;
        lane.shut();
    }

    /// Somebody waits from now on, if nobody did since the kernel granted it.
    pub(super) fn begin_slice(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// The kernel has granted it, and somebody waits already.
    pub(super) fn restart_slice(&mut self) {
        self.since = Some(Instant::now());
    }

    fn is_slice_over(&mut self) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        primitive::elapsed(since) > SLICE
    }
}

impl<T: Shared> Locked<'_, T> {
    /// Sees to it that an open lane is never idle where nobody comes by. What this returns is to be
    /// closed.
    pub(super) fn settle(&mut self) -> Option<(Access, Box<T::HeldLock>)> {
        let open = self.open?;
        let queue = self.queue;
        let lane = &queue.lane;
        let may_be_left = self.may_be_left();
        if may_be_left && (self.awake > 0 || self.waiting.is_empty()) {
            lane.keep(true);
            return None;
        }
        if !lane.keep(false) {
            // Whoever has it looks at the queue when it leaves.
            return None;
        }
        if may_be_left {
            self.wake_first();
            lane.keep(true);
            return None;
        }
        // If it is gone already, somebody came by, and looks at the queue when it leaves.
        let parcel = lane.withdraw()?;
        self.shut(lane);
        Some((open, parcel))
    }

    fn wake_first(&mut self) {
        let first = self.waiting.first_mut().expect("looked at just now");
        first.awake = true;
        let sleeper = std::sync::Arc::clone(&first.sleeper);
        self.awake += 1;
        self.woken = Some(sleeper);
    }
}
