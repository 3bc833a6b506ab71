//! Files that forked children do not share.
//!
//! A child shares the open file descriptions of its parent, and with them the locks: they would outlive the
//! parent for as long as the child lives. So the child, before `fork` returns in it, replaces each registered
//! descriptor by one of the root directory that can do nothing but be closed. Its number stays taken, so
//! nothing that the child opens is mistaken for a lock file.
//!
//! A fork may come at any moment, also while another thread sets all of this up. So nothing in here waits for
//! a thread that the child does not have: a set-up that runs twice does no harm, and each process has a
//! registry of its own.
//!
//! The program may have closed a registered descriptor and given its number to a file of its own. So
//! before a descriptor is closed or replaced, it is compared with what was registered.

mod generation;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use super::descriptor;
use super::file::status;
use crate::sys::made_once::MadeOnce;
use crate::sys::per_process::PerProcess;
use crate::sys::{FileId, mutex};

pub(crate) use generation::{forks, generation, known_generation};

/// Returns how many of these files this process has open.
pub(crate) fn private_files() -> usize {
    registry().len()
}

/// A file that forked children do not share.
///
/// Its descriptor is registered from before it is used until after it is closed, so that a fork at any
/// moment takes it from the child.
#[derive(Debug)]
pub(crate) struct PrivateFile {
    file: ManuallyDrop<File>,
    registered: Registered,
    generation: u64,
}

/// The identity of a registered descriptor.
#[derive(Clone, Copy, Debug)]
struct Registered {
    id: FileId,
    is_marked: bool,
    /// Tells it from others that had or will have the same number.
    serial: u64,
    /// Set before it is closed: from then on its number may be another file's at any moment.
    is_closing: bool,
}

impl PrivateFile {
    /// Registers a file that has this identity. From now on, children lose its descriptor.
    pub(crate) fn new(file: File, id: FileId) -> io::Result<Self> {
        Self::registered(file, id, false)
    }

    /// Registers a descriptor of the library's own that has no file (inotify, eventfd).
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn without_file(file: File) -> io::Result<Self> {
        let file = descriptor::above_standard(file)?;
        let is_marked = descriptor::mark(&file);
        let id = status(&file)?.id;
        Self::registered(file, id, is_marked)
    }

    fn registered(mut file: File, id: FileId, is_marked: bool) -> io::Result<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let registered = Registered {
            id,
            is_marked,
            // Relaxed: the numbers have to differ, and order nothing.
            serial: LAST.fetch_add(1, Ordering::Relaxed),
            is_closing: false,
        };
        // Installs the handlers of forks before the first file is registered.
        let generation = generation();
        let mut registry = registry();
        // If this number is registered for a file that is not being closed here, the program has closed that
        // file. Its owner still uses the number, and must not lock or release the new file by it. So the new
        // file moves to another number, and a tombstone takes the old one.
        let is_taken = |registered: &Registered| !registered.is_closing;
        while registry.get(&file.as_raw_fd()).is_some_and(is_taken) {
            let moved = descriptor::moved(&file)?;
            let tombstone = open_root()?;
            replace(file.into_raw_fd(), tombstone);
            close(tombstone);
            file = moved;
        }
        registry.insert(file.as_raw_fd(), registered);
        Ok(Self {
            file: ManuallyDrop::new(file),
            registered,
            generation,
        })
    }

    /// Whether this process opened it, so that it is not a child's copy.
    #[inline]
    pub(crate) fn is_own(&self) -> bool {
        self.generation == generation()
    }

    /// Whether the number of the descriptor still means this file. Takes a system call.
    pub(crate) fn is_there(&self) -> bool {
        self.registered.is_behind(&self.file)
    }

    // | registered | behind the number | the number is |
    // |---|---|---|
    // | as this file | this file, or a tombstone in its place | closed |
    // | as this file | a file of the program | left alone |
    // | in the parent only | a tombstone; this file after a fork without handlers | closed |
    // | as another file, or not at all | – | left alone |
    /// Marks it as being closed. Returns whether it may be closed: not if its number is another file's now.
    fn begin_to_close(&self) -> bool {
        match registry().get_mut(&self.file.as_raw_fd()) {
            Some(registered) if registered.serial == self.registered.serial => {
                registered.is_closing = true;
            }
            // In a child, only what it has opened itself is registered.
            None if !self.is_own() => {}
            _ => return false,
        }
        self.registered.is_behind(&self.file) || is_tombstone(&self.file)
    }
}

impl Deref for PrivateFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        let number = self.file.as_raw_fd();
        if self.begin_to_close() {
            // SAFETY: dropped here only, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
        // It stays registered until it is closed: a child that is forked in between must not keep it.
        let mut registry = registry();
        let is_registered = |registered: &Registered| registered.serial == self.registered.serial;
        if registry.get(&number).is_some_and(is_registered) {
            registry.remove(&number);
        }
    }
}

impl Registered {
    fn is_behind(&self, file: &File) -> bool {
        status(file).is_ok_and(|status| status.id == self.id)
            && (!self.is_marked || descriptor::is_marked(file))
    }
}

type Registry = BTreeMap<RawFd, Registered>;

/// Device and inode of the tombstones: descriptors in the place of those that must not be used any more.
// Relaxed: written before a tombstone takes a number, under the registry's mutex or before `fork` returns,
// and read after that.
static TOMBSTONE: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

// No other mutex is locked while this one is held: a handler of forks takes it in any thread that forks.
static REGISTRY: MadeOnce<PerProcess<Mutex<Registry>>> = MadeOnce::new();

fn registry() -> MutexGuard<'static, Registry> {
    let registries = REGISTRY.get_or_make(|| PerProcess::new(Mutex::default()));
    mutex::lock(registries.get(Mutex::default))
}

/// Replaces the descriptors that a child has inherited: from its parent, and from the processes before it
/// if one of these was forked without handlers.
fn replace_inherited() {
    for registry in REGISTRY.get().into_iter().flat_map(PerProcess::inherited) {
        match registry.try_lock() {
            Ok(registry) => replace_all(&registry),
            Err(TryLockError::Poisoned(poisoned)) => replace_all(&poisoned.into_inner()),
            // A thread that does not exist in this process was changing it.
            Err(TryLockError::WouldBlock) => {}
        }
    }
}

/// Replaces each descriptor by a tombstone.
fn replace_all(registry: &Registry) {
    let is_ours = |&(&fd, registered): &(&RawFd, &Registered)| {
        // SAFETY: only looked at, and not closed.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
        registered.is_behind(&file)
    };
    // Opened when the first descriptor needs it.
    let mut tombstone = None;
    for (&fd, _) in registry.iter().filter(is_ours) {
        let other = match tombstone {
            Some(tombstone) => Ok(tombstone),
            None => open_root().or_else(|_| {
                // The table of descriptors is full: close this one and use its number.
                close(fd);
                open_root()
            }),
        };
        // If even that fails, the descriptor is closed, and another thread has filled the table again.
        if let Ok(other) = other {
            tombstone = Some(other);
            if other != fd {
                replace(fd, other);
            }
        }
    }
    if let Some(tombstone) = tombstone {
        if !registry.contains_key(&tombstone) {
            close(tombstone);
        }
    }
}

fn is_tombstone(file: &File) -> bool {
    let [device, inode] = [&TOMBSTONE[0], &TOMBSTONE[1]].map(|half| half.load(Ordering::Relaxed));
    inode != 0
        && status(file).is_ok_and(|status| (status.id.device, status.id.inode) == (device, inode))
}

/// Opens a tombstone: the root directory, in a way that allows nothing but to close it.
fn open_root() -> io::Result<RawFd> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const ACCESS: libc::c_int = libc::O_PATH;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const ACCESS: libc::c_int = libc::O_RDONLY;
    let flags = ACCESS | libc::O_CLOEXEC | libc::O_DIRECTORY;
    // SAFETY: the path is a string that ends in NUL.
    let root = super::check(unsafe { libc::open(c"/".as_ptr(), flags) })?;
    // SAFETY: only looked at, and not closed.
    let file = ManuallyDrop::new(unsafe { File::from_raw_fd(root) });
    if let Ok(status) = status(&file) {
        TOMBSTONE[0].store(status.id.device, Ordering::Relaxed);
        TOMBSTONE[1].store(status.id.inode, Ordering::Relaxed);
    }
    Ok(root)
}

/// Replaces an open descriptor.
#[cfg(target_os = "linux")]
fn replace(fd: RawFd, by: RawFd) {
    // SAFETY: both numbers are open descriptors of this process; the one that is replaced was registered,
    // and whoever has it does not use it any more.
    unsafe { libc::dup3(by, fd, libc::O_CLOEXEC) };
}

/// Replaces an open descriptor, in two steps, as not every system has `dup3`.
#[cfg(not(target_os = "linux"))]
fn replace(fd: RawFd, by: RawFd) {
    // SAFETY: as above.
    unsafe { libc::dup2(by, fd) };
    #[allow(clippy::disallowed_methods, reason = "not a lock call")]
    // SAFETY: takes numbers.
    unsafe {
        libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC)
    };
}

fn close(fd: RawFd) {
    // SAFETY: the descriptor is this module's, or a lock handle's whose copy here does not use it.
    unsafe { libc::close(fd) };
}
