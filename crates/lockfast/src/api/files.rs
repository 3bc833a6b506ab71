//! The engine of this crate: each lock is a file, and the kernel keeps it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crate::api::engine::{
    Capabilities, Engine, Files, Mode, RawHold, RawLock, RawPermits, RawSemaphore, WaitLimit,
};
use crate::file::held_permits::HeldPermits;
use crate::file::identity;
use crate::file::owner::{Entry, Owner};
use crate::handle::hold::Hold;
use crate::handle::{Handle, Opened, PERMIT, WantedPermits};
use crate::protocol::Protocol;
use crate::sys::lock::HAS_RANGES;
use crate::types::error::{Error, Operation, Result};
use crate::types::fairness::Fairness;
use crate::types::resource::Resource;
use crate::types::trace;

impl Engine for Files {
    type Lock = FileLock;
    type Semaphore = FileSemaphore;
}

/// An opened lock file.
#[derive(Clone, Debug)]
pub struct FileLock {
    handle: Opened,
}

/// A lock file that is locked.
#[derive(Debug)]
pub struct FileHold {
    hold: Hold,
}

/// The opened lock file of a semaphore.
#[derive(Clone, Debug)]
pub struct FileSemaphore {
    // Not `Opened`: a semaphore keeps nothing after a release that its last user would have to end.
    handle: Arc<Handle>,
    permits: u32,
}

/// Locked bytes of a semaphore's file.
#[derive(Debug)]
pub struct FilePermits {
    handle: Arc<Handle>,
    taken: HeldPermits,
    // Stays after a release, when `taken` has none, for the trace of the drop.
    count: u32,
}

impl FileLock {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        Self {
            handle: Opened::new(handle),
        }
    }

    pub(crate) fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }
}

impl RawLock for FileLock {
    type Hold = FileHold;

    fn resource(&self) -> Resource {
        self.handle.path().into()
    }

    fn capabilities(&self) -> Capabilities {
        let settings = self.handle.settings();
        Capabilities {
            shared: true,
            // With `Both` the file system, which is not asked here, may need the `flock` too, which
            // can't be converted.
            conversions: settings.protocol == Protocol::Fcntl && HAS_RANGES,
            fifo: settings.fairness == Fairness::Fifo,
            token: settings.owner_record,
            lease: false,
        }
    }

    #[inline]
    fn acquire(&self, mode: Mode, limit: WaitLimit) -> Result<FileHold> {
        let hold = self.handle.acquire(mode, limit)?;
        Ok(FileHold { hold })
    }

    async fn acquire_async(&self, mode: Mode, limit: WaitLimit) -> Result<FileHold> {
        let hold = self.handle.acquire_async(mode, limit).await?;
        Ok(FileHold { hold })
    }
}

impl FileHold {
    pub(crate) fn path(&self) -> &Path {
        self.hold.path()
    }

    pub fn file(&self) -> &File {
        self.hold.file()
    }

    pub fn is_current(&self) -> Result<bool> {
        self.hold.is_current()
    }

    pub fn abandoned(&self) -> Option<&Owner> {
        self.hold.entry().and_then(Entry::abandoned)
    }

    pub(crate) fn end_record(&mut self) -> Result<()> {
        self.hold.end_record()
    }
}

impl RawHold for FileHold {
    fn resource(&self) -> Resource {
        self.path().into()
    }

    #[inline]
    fn release(&mut self) -> Result<()> {
        self.hold.release()
    }

    fn upgrade(&mut self, limit: WaitLimit) -> Result<()> {
        self.hold.upgrade(limit)
    }

    async fn upgrade_async(&mut self) -> Result<()> {
        self.hold.upgrade_async().await
    }

    fn downgrade(&mut self, to: Mode) -> Result<()> {
        self.hold.downgrade(to)
    }

    fn forget_thread(&mut self) {
        self.hold.disown();
    }

    fn token(&self) -> Option<u64> {
        self.hold.entry().map(Entry::token)
    }
}

impl FileSemaphore {
    pub(crate) fn new(handle: Arc<Handle>, permits: u32) -> Self {
        Self { handle, permits }
    }

    pub(crate) fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    fn permits_of(&self, taken: HeldPermits) -> FilePermits {
        FilePermits {
            handle: Arc::clone(&self.handle),
            count: taken.count(),
            taken,
        }
    }
}

impl RawSemaphore for FileSemaphore {
    type Permits = FilePermits;

    fn resource(&self) -> Resource {
        self.handle.path().into()
    }

    fn permits(&self) -> u32 {
        self.permits
    }

    fn available_permits(&self) -> Result<u32> {
        self.handle.available_permits()
    }

    fn acquire(&self, count: u32, limit: WaitLimit) -> Result<FilePermits> {
        let taken = self.handle.acquire_permits(count, limit)?;
        Ok(self.permits_of(taken))
    }

    async fn acquire_async(&self, count: u32, limit: WaitLimit) -> Result<FilePermits> {
        let taken = self
            .handle
            .acquire_async(WantedPermits(count), limit)
            .await?;
        Ok(self.permits_of(taken))
    }
}

impl FilePermits {
    pub(crate) fn path(&self) -> &Path {
        self.handle.path()
    }

    pub(crate) fn file(&self) -> &File {
        self.taken.file()
    }

    pub fn is_current(&self) -> Result<bool> {
        let follow = self.handle.settings().follow_symlinks;
        identity::is_at(self.taken.file(), self.path(), follow)
            .map_err(|error| Error::system(self.path(), Operation::Check, error))
    }
}

impl RawPermits for FilePermits {
    fn resource(&self) -> Resource {
        self.path().into()
    }

    fn count(&self) -> u32 {
        self.count
    }

    fn release(&mut self) -> Result<()> {
        self.taken
            .give_back()
            .map_err(|error| Error::system(self.path(), Operation::Release, error))
    }

    fn split(&mut self, count: u32) -> Self {
        let taken = self.taken.split(count);
        self.count -= count;
        Self {
            handle: Arc::clone(&self.handle),
            taken,
            count,
        }
    }

    fn merge(&mut self, mut other: Self) -> std::result::Result<(), Self> {
        if !self.taken.merge(&mut other.taken) {
            return Err(other);
        }
        self.count += other.count;
        other.count = 0;
        Ok(())
    }
}

impl Drop for FilePermits {
    fn drop(&mut self) {
        // What was merged into others is not released.
        if self.count > 0 {
            trace::released(self.path(), PERMIT);
        }
    }
}
