//! The permits of a semaphore's file, as far as this handle has to do with them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::file::LockFile;
use crate::file::fifo::InOrder;
use crate::protocol::permits;
use crate::sys::{self, Target};
use crate::sys::{Access, Range};
use crate::types::error::{Cause, Error, Operation, Result};

/// What the threads that share an open file know of its permits.
#[derive(Debug)]
pub(crate) struct PermitSet {
    permits: u32,
    /// A bit for each permit that a thread has or asks for: to the kernel they are all one.
    claims: Box<[AtomicU64]>,
    /// Where to look first: what was given back last is likely to be free.
    next: AtomicU32,
    /// What the last release saw, until an acquire has gone by it.
    line: AtomicU8,
    /// Is a thread of this handle the head of the line?
    leads: AtomicBool,
    /// Could something not be given back? Then nothing more is taken from this file, and the kernel
    /// frees it all when the last permit is dropped.
    is_spoilt: AtomicBool,
    /// Held while the sightings of the file are used.
    sightings: Mutex<()>,
}

/// Permits that were taken; dropped, they are given back.
#[derive(Debug)]
pub(crate) struct Taken {
    file: Arc<LockFile>,
    first: Option<u32>,
    /// Those beyond the first: one is what most want, and needs no memory of its own.
    more: Vec<u32>,
}

/// A place in the line; dropped, it is given back.
#[derive(Debug)]
pub(crate) struct InLine {
    file: Arc<LockFile>,
    /// In the line of all processes.
    _place: InOrder,
}

impl PermitSet {
    /// Joins those who have it open with as many permits.
    pub(crate) fn join(file: &File, path: &Path, permits: u32) -> Result<Self> {
        let own = Target::Bytes(permits::presence(permits));
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
                    // Shared by a program that knows nothing of permits, and hides what they are.
                    None => Cause::Contended(None),
                };
                return Err(Error::new(path, Operation::Open, cause));
            }
        }
        let words = permits.div_ceil(u64::BITS) as usize;
        Ok(Self {
            permits,
            claims: (0..words).map(|_| AtomicU64::new(0)).collect(),
            next: AtomicU32::new(std::process::id() % permits),
            line: AtomicU8::new(UNKNOWN),
            leads: AtomicBool::new(false),
            is_spoilt: AtomicBool::new(false),
            sightings: Mutex::default(),
        })
    }

    /// Where its permits are.
    pub(crate) fn all(&self) -> Range {
        permits::all(self.permits)
    }

    /// Is nothing more to be taken from this file?
    pub(crate) fn is_spoilt(&self) -> bool {
        self.is_spoilt.load(Ordering::Relaxed)
    }

    /// To be held while the sightings of the file are used.
    pub(crate) fn sightings(&self) -> MutexGuard<'_, ()> {
        self.sightings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self, number: u32) -> bool {
        let (word, bit) = self.bit(number);
        // What was released by others of this process is acquired with it.
        word.fetch_or(bit, Ordering::SeqCst) & bit == 0
    }

    fn unclaim(&self, number: u32) {
        let (word, bit) = self.bit(number);
        word.fetch_and(!bit, Ordering::SeqCst);
    }

    fn bit(&self, number: u32) -> (&AtomicU64, u64) {
        let word = &self.claims[(number / u64::BITS) as usize];
        (word, 1 << (number % u64::BITS))
    }
}

impl LockFile {
    /// Is somebody in the line, as far as the last release of this handle saw, or else as of now?
    pub(crate) fn has_line(&self) -> bool {
        if self.order().is_some() {
            return self.has_order();
        }
        self.pool().line.swap(UNKNOWN, Ordering::Relaxed) != NOBODY && self.sees_line()
    }

    /// How many permits nobody has.
    pub(crate) fn available(&self) -> u32 {
        let pool = self.pool();
        let claims = pool.claims.iter();
        let own: u32 = claims
            .map(|word| word.load(Ordering::Relaxed).count_ones())
            .sum();
        let mut others = 0;
        let mut unknown = vec![permits::all(pool.permits)];
        while let Some(part) = unknown.pop() {
            let Some(found) = sys::lock::blocker(self, Access::Exclusive, part) else {
                continue;
            };
            // The kernel tells one lock that lies in that part, and not the first one.
            let end = part.start + part.len;
            let from = found.start.clamp(part.start, end);
            let to = match found.len {
                0 => end,
                len => found.start.saturating_add(len).clamp(from, end),
            };
            let range = |start, end: u64| Range {
                start,
                len: end - start,
            };
            others += permits::within(range(from, to));
            let rest = [range(part.start, from), range(to, end)];
            unknown.extend(rest.into_iter().filter(|rest| rest.len > 0));
        }
        let others = u32::try_from(others).expect("not more than there are");
        pool.permits.saturating_sub(own).saturating_sub(others)
    }

    fn sees_line(&self) -> bool {
        sys::lock::blocker(self, Access::Exclusive, permits::queue()).is_some()
    }
}

impl Taken {
    /// None yet.
    pub(crate) fn none(file: Arc<LockFile>) -> Self {
        Self {
            file,
            first: None,
            more: Vec::new(),
        }
    }

    /// The file that they are of.
    pub(crate) fn file(&self) -> &LockFile {
        &self.file
    }

    /// Gives back what was taken, and tells what it was of.
    pub(crate) fn into_file(self) -> Arc<LockFile> {
        Arc::clone(&self.file)
    }

    pub(crate) fn count(&self) -> u32 {
        let more = u32::try_from(self.more.len()).expect("not more than there are");
        u32::from(self.first.is_some()) + more
    }

    /// Takes what is free until it has as many; tells whether it has.
    pub(crate) fn collect(&mut self, count: u32) -> io::Result<bool> {
        let pool = self.file.pool();
        let mut number = pool.next.load(Ordering::Relaxed);
        for _ in 0..pool.permits {
            if self.count() >= count {
                break;
            }
            if pool.claim(number) {
                let target = Target::Bytes(permits::permit(number));
                match sys::lock::try_lock(&self.file, Access::Exclusive, target) {
                    Ok(true) => match self.first {
                        None => self.first = Some(number),
                        Some(_) => self.more.push(number),
                    },
                    Ok(false) => pool.unclaim(number),
                    Err(error) => {
                        pool.unclaim(number);
                        return Err(error);
                    }
                }
            }
            number = (number + 1) % pool.permits;
        }
        pool.next.store(number, Ordering::Relaxed);
        Ok(self.count() >= count)
    }

    /// Gives all back, and wakes the head of the line. Once is enough; what comes after does nothing.
    pub(crate) fn give_back(&mut self) -> io::Result<()> {
        let Some(first) = self.first.take() else {
            return Ok(());
        };
        if !self.file.is_own() {
            // A forked child's copy: the permits are the parent's.
            return Ok(());
        }
        let pool = self.file.pool();
        let mut outcome = Ok(());
        for number in std::iter::once(first).chain(self.more.drain(..)) {
            let target = Target::Bytes(permits::permit(number));
            match sys::lock::release(&self.file, target) {
                Ok(()) => pool.unclaim(number),
                failed => {
                    pool.is_spoilt.store(true, Ordering::Relaxed);
                    outcome = failed;
                }
            }
        }
        pool.next.store(first, Ordering::Relaxed);
        let has_line = self.file.sees_line();
        let seen = if has_line { SOMEBODY } else { NOBODY };
        pool.line.store(seen, Ordering::Relaxed);
        if has_line || pool.leads.load(Ordering::SeqCst) {
            sys::notifier::notify(&self.file);
        }
        outcome
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // A drop has nobody to tell; `give_back` does.
        let _ = self.give_back();
    }
}

impl InLine {
    /// For one who lines up now.
    pub(crate) fn of(file: &Arc<LockFile>, place: InOrder) -> Self {
        Self {
            file: Arc::clone(file),
            _place: place,
        }
    }

    /// It has become the head.
    pub(crate) fn leads(&self) {
        self.file.pool().leads.store(true, Ordering::SeqCst);
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        let pool = self.file.pool();
        pool.leads.store(false, Ordering::SeqCst);
        if self.file.is_own() && self.file.leave_line().is_err() {
            pool.is_spoilt.store(true, Ordering::Relaxed);
        }
    }
}

const UNKNOWN: u8 = 0;
const NOBODY: u8 = 1;
const SOMEBODY: u8 = 2;
