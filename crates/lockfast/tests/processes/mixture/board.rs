//! Shared memory in which the workers of all processes show what they do.

use std::fmt;
use std::path::Path;
use std::process;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::shared_memory;
use crate::witness::is_not_exiting;

/// A table of slots, one for each worker, in a file next to the lock.
///
/// | word | meaning |
/// |---|---|
/// | 0 | not zero: the workers are to end |
/// | 1 | a count that only exclusive holders change, in two steps |
/// | 4 x (1 + slot) | [`Slot`] |
#[derive(Clone, Copy)]
pub(crate) struct Board {
    words: NonNull<AtomicU64>,
    /// The most that may be held at once: the weight of an exclusive holder.
    limit: u64,
}

// SAFETY: the words are atomic and mapped for good.
#[allow(unsafe_code, reason = "shared memory")]
unsafe impl Send for Board {}
// SAFETY: as above.
#[allow(unsafe_code, reason = "shared memory")]
unsafe impl Sync for Board {}

/// The part of the board of one worker, which alone writes to it while its process lives.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    board: Board,
    number: usize,
}

/// The process that owns a slot.
const PID: usize = 0;
/// The hold of its worker: `visit << 24 | UPGRADABLE | weight`; 0 for nothing.
const INSIDE: usize = 1;
/// The number of rounds that it has ended.
const ROUNDS: usize = 2;
/// A [`Doing`].
const DOING: usize = 3;

const STOP: usize = 0;
/// The value of the first word after an overlap.
const FAILED: u64 = 2;
const COUNT: usize = 1;

const SLOTS: usize = 128;
const WORDS: usize = 4 * (1 + SLOTS);

const UPGRADABLE: u64 = 1 << 23;
const WEIGHT: u64 = UPGRADABLE - 1;
const VISIT: u32 = 24;

/// A step of a round, for the report of a standstill.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doing {
    Pausing,
    Waiting,
    Trying,
    WaitingWithLimit,
    WaitingToBeCancelled,
    Awaiting,
    AwaitingToBeDropped,
    Holding,
    Upgrading,
    Releasing,
}

impl Doing {
    const ALL: [Self; 10] = [
        Self::Pausing,
        Self::Waiting,
        Self::Trying,
        Self::WaitingWithLimit,
        Self::WaitingToBeCancelled,
        Self::Awaiting,
        Self::AwaitingToBeDropped,
        Self::Holding,
        Self::Upgrading,
        Self::Releasing,
    ];
}

impl Board {
    pub(crate) fn beside(lock: &Path, limit: u64) -> Self {
        let size = WORDS * size_of::<u64>();
        let words = shared_memory::map(&lock.with_extension("board"), size);
        Self { words, limit }
    }

    #[allow(unsafe_code, reason = "shared memory")]
    fn word(&self, number: usize) -> &AtomicU64 {
        assert!(number < WORDS);
        // SAFETY: within the mapping.
        let word = unsafe { self.words.add(number) };
        // SAFETY: the mapping stays for good and is aligned; any bits are a number.
        unsafe { word.as_ref() }
    }

    pub(crate) fn slot(self, number: usize) -> Slot {
        assert!(number < SLOTS);
        Slot {
            board: self,
            number,
        }
    }

    pub(crate) fn stop(&self) {
        self.word(STOP).store(1, SeqCst);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.word(STOP).load(SeqCst) != 0
    }

    /// Returns how often an exclusive holder was inside.
    pub(crate) fn count(&self) -> u64 {
        self.word(COUNT).load(SeqCst)
    }

    /// An error when more is held at this instant than may be.
    ///
    /// The slots are read twice. What did not change between the two readings was held at the instant
    /// between them, together with the caller's own.
    fn check(&self) -> Result<(), String> {
        let read = || -> Vec<u64> {
            let inside = |number| self.slot(number).word(INSIDE).load(SeqCst);
            (0..SLOTS).map(inside).collect()
        };
        let first = read();
        if self.is_allowed(first.iter().copied()) {
            return Ok(());
        }
        // The kernel frees the locks of a process that was killed before its parent can clear its slots.
        let alive: Vec<_> = (0..SLOTS).map(|slot| self.slot(slot).is_alive()).collect();
        let second = read();
        let stayed = |&slot: &usize| alive[slot] && first[slot] == second[slot];
        let held: Vec<_> = (0..SLOTS).filter(stayed).collect();
        if self.is_allowed(held.iter().map(|&slot| second[slot])) {
            return Ok(());
        }
        if self.word(STOP).swap(FAILED, SeqCst) == FAILED {
            // Others are inside for good since the first overlap was found.
            return Ok(());
        }
        let held = held.into_iter().filter(|&slot| second[slot] != 0);
        let held: Vec<_> = held.map(|slot| self.slot(slot).to_string()).collect();
        Err(format!("overlap: {}", held.join("; ")))
    }

    fn is_allowed(&self, held: impl Iterator<Item = u64> + Clone) -> bool {
        let weight: u64 = held.clone().map(|inside| inside & WEIGHT).sum();
        let upgradable = held.filter(|inside| inside & UPGRADABLE != 0).count();
        weight <= self.limit && upgradable <= 1
    }
}

impl Slot {
    fn word(&self, which: usize) -> &AtomicU64 {
        self.board.word(4 * (1 + self.number) + which)
    }

    /// Takes the slot for this process.
    pub(crate) fn claim(&self) {
        self.word(INSIDE).store(0, SeqCst);
        self.word(ROUNDS).store(0, SeqCst);
        self.word(PID).store(process::id().into(), SeqCst);
    }

    /// Clears the slot of a dead process.
    pub(crate) fn clear(&self) {
        for which in [PID, INSIDE, ROUNDS, DOING] {
            self.word(which).store(0, SeqCst);
        }
    }

    pub(crate) fn shows(&self, doing: Doing) {
        self.word(DOING).store(doing as u64, SeqCst);
    }

    pub(crate) fn rounds(&self) -> u64 {
        self.word(ROUNDS).load(SeqCst)
    }

    pub(crate) fn end_round(&self) {
        self.word(ROUNDS).fetch_add(1, SeqCst);
    }

    /// Shows that the worker holds so much, and looks for others that must not be inside.
    pub(crate) fn enter(&self, weight: u64) -> Result<(), String> {
        self.show(weight);
        self.board.check()
    }

    /// Shows that the worker holds an upgradable guard.
    pub(crate) fn enter_upgradable(&self) -> Result<(), String> {
        self.show(1 | UPGRADABLE);
        self.board.check()
    }

    /// Changes what the worker holds, alone: adds one to the count in two steps.
    pub(crate) fn write(&self) -> Result<(), String> {
        let count = self.board.word(COUNT);
        let before = count.load(SeqCst);
        std::thread::yield_now();
        count.store(before + 1, SeqCst);
        self.board.check()
    }

    pub(crate) fn leave(&self) -> Result<(), String> {
        let checked = self.board.check();
        self.word(INSIDE).store(0, SeqCst);
        checked
    }

    /// Each call shows another number, so that two visits are never taken for one.
    fn show(&self, inside: u64) {
        let visit = self.word(INSIDE).load(SeqCst) >> VISIT;
        let visit = if visit == 0 {
            self.rounds() << 3
        } else {
            visit
        };
        self.word(INSIDE)
            .store((visit + 1) << VISIT | inside, SeqCst);
    }

    /// Whether its process runs and has not begun to end.
    fn is_alive(&self) -> bool {
        is_not_exiting(self.word(PID).load(SeqCst))
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = self.word(INSIDE).load(SeqCst);
        let doing = usize::try_from(self.word(DOING).load(SeqCst)).expect("small");
        write!(
            f,
            "worker {} of pid {}: {:?}, {} rounds",
            self.number,
            self.word(PID).load(SeqCst),
            Doing::ALL[doing],
            self.rounds(),
        )?;
        if inside != 0 {
            let upgradable = if inside & UPGRADABLE == 0 {
                ""
            } else {
                ", upgradable"
            };
            write!(f, ", inside with weight {}{upgradable}", inside & WEIGHT)?;
        }
        Ok(())
    }
}
