//! Permits that are held, and a place in the queue for them.

use std::io;
use std::sync::Arc;

use crate::file::LockFile;
use crate::file::fifo_place::FifoPlace;

/// Permits of one file, given back when dropped.
#[derive(Debug)]
pub(crate) struct HeldPermits {
    file: Arc<LockFile>,
    first: Option<u32>,
    /// The permits beyond the first: most holders want one, which needs no memory of its own.
    more: Vec<u32>,
}

impl HeldPermits {
    /// No permits yet.
    pub(crate) fn none(file: Arc<LockFile>) -> Self {
        Self {
            file,
            first: None,
            more: Vec::new(),
        }
    }

    pub(crate) fn file(&self) -> &LockFile {
        &self.file
    }

    /// Gives back the permits, and returns the file.
    pub(crate) fn into_file(self) -> Arc<LockFile> {
        Arc::clone(&self.file)
    }

    pub(crate) fn count(&self) -> u32 {
        let more = u32::try_from(self.more.len()).expect("not more than there are");
        u32::from(self.first.is_some()) + more
    }

    /// Takes free permits until it has `count`; whether it has.
    pub(crate) fn collect(&mut self, count: u32) -> io::Result<bool> {
        let missing = count.saturating_sub(self.count());
        let Self { file, first, more } = self;
        file.permits()
            .collect(file, missing, |number| match first {
                None => *first = Some(number),
                Some(_) => more.push(number),
            })?;
        Ok(self.count() >= count)
    }

    /// Splits off `count` permits, of which there must be more.
    pub(crate) fn split(&mut self, count: u32) -> Self {
        let mut more = self.more.split_off(self.more.len() - count as usize);
        Self {
            file: Arc::clone(&self.file),
            first: more.pop(),
            more,
        }
    }

    /// Takes over the permits of another value. `false` if they are of another file.
    pub(crate) fn merge(&mut self, other: &mut Self) -> bool {
        let is_same = Arc::ptr_eq(&self.file, &other.file);
        if is_same {
            // Moved, not copied: the drop of the other one must find nothing to give back.
            self.more.extend(other.first.take());
            self.more.append(&mut other.more);
        }
        is_same
    }

    /// Gives all back, and notifies the head of the queue. Later calls do nothing.
    pub(crate) fn give_back(&mut self) -> io::Result<()> {
        // Taken out: the drop gives nothing back a second time.
        let Some(first) = self.first.take() else {
            return Ok(());
        };
        if !self.file.is_own() {
            // A forked child's copy: the permits are the parent's.
            return Ok(());
        }
        let permits = self.file.permits();
        permits.give_back(&self.file, first, self.more.drain(..))
    }
}

impl Drop for HeldPermits {
    fn drop(&mut self) {
        // A drop can't report an error; `give_back` does.
        let _ = self.give_back();
    }
}

/// A place in the queue for permits, given up when dropped.
#[derive(Debug)]
pub(crate) struct PermitPlace {
    file: Arc<LockFile>,
    /// Its place in the FIFO order, given up after the queue.
    _place: FifoPlace,
}

impl PermitPlace {
    /// A place for a waiter that joins the queue now.
    pub(crate) fn of(file: &Arc<LockFile>, place: FifoPlace) -> Self {
        Self {
            file: Arc::clone(file),
            _place: place,
        }
    }

    /// Notes that it has become the head.
    pub(crate) fn leads(&self) {
        self.file.permits().set_leads(true);
    }
}

impl Drop for PermitPlace {
    fn drop(&mut self) {
        let permits = self.file.permits();
        // First: a release in between notifies nobody, and the next head looks at the permits itself.
        permits.set_leads(false);
        // A byte that stays locked would block the queue. The kernel frees it when the file is closed, after
        // the last permit.
        if self.file.is_own() && self.file.leave_permit_queue().is_err() {
            permits.spoil();
        }
    }
}
