//! The permits of a semaphore's file, as far as this process knows them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::fifo::{self, FifoQueue};
use crate::protocol::{line, permits};
use crate::sys::{self, Access, Range, Target};
use crate::types::error::{Cause, Error, Operation, Result};

/// The permits of an open file, shared by all threads that use it.
#[derive(Debug)]
pub(crate) struct PermitSet {
    permits: u32,
    /// The order in which processes get permits, if it is FIFO.
    pub(super) fifo: Option<FifoQueue>,
    /// A bit for each permit that a thread has or tries to get: to the kernel all threads are one owner.
    ///
    /// Invariant: a permit is locked in the kernel only while its bit is set.
    claims: Vec<AtomicU64>,
    /// The permit to try first: the one that was given back last is likely to be free.
    next: AtomicU32,
    /// The answer of the last release about the queue, until an acquire has used it: a constant below.
    seen: AtomicU8,
    /// Whether a thread of this process is the head of the queue, so that releases notify it.
    // `SeqCst` with the claims: a release gives the claim back and then reads this, and a head sets
    // this and then tries the claims. So the release sees the head, or the head sees the permit.
    leads: AtomicBool,
    /// Whether something could not be released. Then nothing more is taken from this file, and the kernel
    /// frees it all when the last permit is dropped.
    is_spoilt: AtomicBool,
}

// `seen`, and what the next acquire does: `UNKNOWN`, it looks; `NOBODY`, it takes a permit without a look,
// once; `SOMEBODY`, it looks. A wrong `NOBODY` lets one acquire overtake the queue, once after a release.
const UNKNOWN: u8 = 0;
const NOBODY: u8 = 1;
const SOMEBODY: u8 = 2;

impl PermitSet {
    /// The permits of a file that is no semaphore's.
    pub(super) const fn none() -> Self {
        Self::new(0, None, Vec::new(), 0)
    }

    const fn new(permits: u32, fifo: Option<FifoQueue>, claims: Vec<AtomicU64>, next: u32) -> Self {
        Self {
            permits,
            fifo,
            claims,
            next: AtomicU32::new(next),
            seen: AtomicU8::new(UNKNOWN),
            leads: AtomicBool::new(false),
            is_spoilt: AtomicBool::new(false),
        }
    }

    /// Joins the processes that have the file open, if they have as many permits.
    pub(super) fn join(
        file: &File,
        path: &Path,
        permits: u32,
        fifo: Option<FifoQueue>,
    ) -> Result<Self> {
        let own = Target::Bytes(permits::presence(permits));
        // Shown first, then compared: of two that join with different numbers, at least one sees the other.
        let joined = sys::lock::try_lock(file, Access::Shared, own)
            .map_err(|error| Error::system(path, Operation::Acquire, error))?;
        if !joined {
            return Err(Error::new(path, Operation::Open, Cause::Contended(None)));
        }
        for others in permits::others(permits) {
            if let Some(blocker) = sys::lock::blocker(file, Access::Exclusive, others) {
                let cause = match permits::number_of(blocker.start) {
                    Some(theirs) => Cause::OtherPermits {
                        wanted: permits,
                        theirs,
                    },
                    // Shared by a program that knows nothing of permits, and hides the real number.
                    None => Cause::Contended(None),
                };
                return Err(Error::new(path, Operation::Open, cause));
            }
        }
        let words = permits.div_ceil(u64::BITS);
        let claims = (0..words).map(|_| AtomicU64::new(0)).collect();
        // Processes begin at different permits, so that fewer attempts meet one that is taken.
        let next = std::process::id() % permits;
        Ok(Self::new(permits, fifo, claims, next))
    }

    /// The bytes of its permits.
    pub(crate) fn all(&self) -> Range {
        permits::all(self.permits)
    }

    /// Whether nothing more is to be taken from this file.
    pub(crate) fn is_spoilt(&self) -> bool {
        self.is_spoilt.load(Ordering::Relaxed)
    }

    pub(super) fn spoil(&self) {
        // Relaxed: a thread that overlooks it takes a permit that is good all the same, and the file stays
        // open for it.
        self.is_spoilt.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_leads(&self, leads: bool) {
        self.leads.store(leads, Ordering::SeqCst);
    }

    /// Whether anybody is in the queue, as far as the last release of this process saw, or else as of now.
    pub(super) fn has_queue(&self, file: &File) -> bool {
        // In the strict order, whatever the last release saw is not enough.
        if self.fifo.is_some() {
            return fifo::is_anybody_before_permits(file);
        }
        // Taken out: each answer spares one acquire its look, and no more.
        self.seen.swap(UNKNOWN, Ordering::Relaxed) != NOBODY && is_queue_taken(file)
    }

    /// The number of permits that nobody has.
    pub(super) fn available(&self, file: &File) -> u32 {
        let claims = self.claims.iter();
        let own: u32 = claims
            // A thread that is about to try a permit counts as its holder. The number is out of date
            // anyway.
            .map(|word| word.load(Ordering::Relaxed).count_ones())
            .sum();
        let mut others = 0;
        let mut unknown = vec![self.all()];
        while let Some(part) = unknown.pop() {
            let Some(found) = sys::lock::blocker(file, Access::Exclusive, part) else {
                continue;
            };
            // The kernel names one lock in that part, and not always the first one.
            let from = found.start.clamp(part.start, part.end());
            let to = found.range().end().clamp(from, part.end());
            others += permits::within(Range::between(from, to));
            let rest = [(part.start, from), (to, part.end())];
            let rest = rest.into_iter().filter(|(from, to)| from < to);
            unknown.extend(rest.map(|(from, to)| Range::between(from, to)));
        }
        let others = u32::try_from(others).expect("not more than there are");
        self.permits.saturating_sub(own).saturating_sub(others)
    }

    /// Takes free permits, passes each to `take`, and stops after `count`.
    pub(super) fn collect(
        &self,
        file: &File,
        count: u32,
        mut take: impl FnMut(u32),
    ) -> io::Result<()> {
        let mut number = self.next.load(Ordering::Relaxed);
        let mut left = count;
        for _ in 0..self.permits {
            if left == 0 {
                break;
            }
            // The claim first: to the kernel two threads are one owner, which may lock a byte twice.
            if self.claim(number) {
                let target = Target::Bytes(permits::permit(number));
                match sys::lock::try_lock(file, Access::Exclusive, target) {
                    Ok(true) => {
                        take(number);
                        left -= 1;
                    }
                    failed => {
                        self.unclaim(number);
                        // Permits that were taken before an error are the caller's, which gives them
                        // back.
                        failed?;
                    }
                }
            }
            number = (number + 1) % self.permits;
        }
        self.next.store(number, Ordering::Relaxed);
        Ok(())
    }

    /// Releases permits, and notifies the head of the queue.
    pub(super) fn give_back(
        &self,
        file: &File,
        first: u32,
        more: impl Iterator<Item = u32>,
    ) -> io::Result<()> {
        let mut outcome = Ok(());
        for number in std::iter::once(first).chain(more) {
            match sys::lock::release(file, Target::Bytes(permits::permit(number))) {
                // In this order: with the claim gone, another thread may lock the byte, and the release
                // would unlock it.
                Ok(()) => self.unclaim(number),
                failed => {
                    self.spoil();
                    outcome = failed;
                }
            }
        }
        // Relaxed: a hint where to begin.
        self.next.store(first, Ordering::Relaxed);
        // After the release: a head that joined the queue too late to be seen looks at the permits itself.
        let has_queue = is_queue_taken(file);
        let seen = if has_queue { SOMEBODY } else { NOBODY };
        self.seen.store(seen, Ordering::Relaxed);
        // The head of this process has its bytes by the same description, so the kernel does not report
        // them.
        if has_queue || self.leads.load(Ordering::SeqCst) {
            sys::notifier::notify(file);
        }
        outcome
    }

    fn claim(&self, number: u32) -> bool {
        let (word, bit) = self.bit(number);
        // Acquires what other threads released with the permit.
        word.fetch_or(bit, Ordering::SeqCst) & bit == 0
    }

    fn unclaim(&self, number: u32) {
        let (word, bit) = self.bit(number);
        // Releases to the next claimant what was done with the permit, and comes before the look at `leads`.
        word.fetch_and(!bit, Ordering::SeqCst);
    }

    fn bit(&self, number: u32) -> (&AtomicU64, u64) {
        let word = &self.claims[(number / u64::BITS) as usize];
        (word, 1 << (number % u64::BITS))
    }
}

fn is_queue_taken(file: &File) -> bool {
    let those = line::permit_queue_and_sign();
    sys::lock::blocker(file, Access::Exclusive, those).is_some()
}
