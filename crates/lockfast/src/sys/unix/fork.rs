//! Telling a forked child from its parent, and taking the lock descriptors from the child.
//!
//! A child shares the open file descriptions of its parent, and with them the locks: they would
//! outlive the parent for as long as the child lives. So the child, before `fork` returns in it,
//! replaces each registered descriptor by one of the root directory that can do nothing but be
//! closed. Its number stays taken, so nothing that the child opens is mistaken for a lock file.
//!
//! The generation is a number that differs between a parent and its child. It lives on a page that
//! the kernel zeroes in the child (`MADV_WIPEONFORK`), so that a fork that runs no handlers (a raw
//! system call) is noticed too; where the kernel can't do that, the handler zeroes it.

use std::cell::UnsafeCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// Which process this is, counted along the line of its forefathers; never 0.
#[inline]
pub(crate) fn generation() -> u64 {
    match known_generation() {
        0 => begin(),
        generation => generation,
    }
}

/// The same, but 0 as long as nobody has asked in this process.
#[inline]
pub(crate) fn known_generation() -> u64 {
    let page = PAGE.load(Ordering::Acquire);
    // SAFETY: the pointer is to the static or to a mapping that is never unmapped.
    let page = unsafe { &*page };
    page.load(Ordering::Relaxed)
}

/// How many times this process has forked.
pub(crate) fn forks() -> u64 {
    FORKS.load(Ordering::SeqCst)
}

/// A file that forked children do not share.
#[derive(Debug)]
pub(crate) struct PrivateFile {
    file: ManuallyDrop<File>,
    generation: u64,
}

impl PrivateFile {
    /// From now on, children lose the descriptor of this file.
    pub(crate) fn new(file: File) -> Self {
        let generation = generation();
        registry().insert(file.as_raw_fd());
        Self {
            file: ManuallyDrop::new(file),
            generation,
        }
    }

    /// Was it opened by this process, or is this a child's copy?
    #[inline]
    pub(crate) fn is_own(&self) -> bool {
        self.generation == generation()
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
        registry().remove(&self.file.as_raw_fd());
        if self.is_own() || !WITHOUT_TOMBSTONE.load(Ordering::Relaxed) {
            // SAFETY: dropped here only, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

static UNMAPPED: AtomicU64 = AtomicU64::new(0);
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new((&raw const UNMAPPED).cast_mut());
static LAST: AtomicU64 = AtomicU64::new(0);
static FORKS: AtomicU64 = AtomicU64::new(0);
static INSTALL: Once = Once::new();

/// Set in a child that had to close the descriptors because it could not open the root directory.
static WITHOUT_TOMBSTONE: AtomicBool = AtomicBool::new(false);

static REGISTRY: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// Where the guard of the registry is kept while `fork` runs.
static DURING_FORK: DuringFork = DuringFork(UnsafeCell::new(None));

struct DuringFork(UnsafeCell<Option<MutexGuard<'static, BTreeSet<RawFd>>>>);

// SAFETY: the cell is used only by the thread that forks, between the handlers, while it holds the
// registry's mutex.
unsafe impl Sync for DuringFork {}

fn registry() -> MutexGuard<'static, BTreeSet<RawFd>> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cold]
fn begin() -> u64 {
    INSTALL.call_once(|| {
        if let Some(page) = wiped_page() {
            PAGE.store(page, Ordering::Release);
        }
        // SAFETY: the handlers are functions of this crate that are never unloaded, and each does
        // only what the thread that forks may do at that moment.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
    let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    // SAFETY: as in `generation`.
    let page = unsafe { &*PAGE.load(Ordering::Acquire) };
    match page.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => next,
        Err(set_by_another_thread) => set_by_another_thread,
    }
}

/// A page that the kernel zeroes in a forked child.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn wiped_page() -> Option<*mut AtomicU64> {
    const SIZE: usize = 4096;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            SIZE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the mapping is this function's own. A kernel that doesn't know the advice leaves the
    // page as it is, and the handler zeroes it.
    unsafe { libc::madvise(page, SIZE, libc::MADV_WIPEONFORK) };
    Some(page.cast())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn wiped_page() -> Option<*mut AtomicU64> {
    None
}

/// Nobody changes the registry while the process is copied.
extern "C" fn before() {
    let guard = registry();
    // SAFETY: this thread holds the mutex (see `DuringFork`).
    unsafe { *DURING_FORK.0.get() = Some(guard) };
}

extern "C" fn in_parent() {
    FORKS.fetch_add(1, Ordering::SeqCst);
    // SAFETY: this thread put the guard there.
    drop(unsafe { (*DURING_FORK.0.get()).take() });
}

extern "C" fn in_child() {
    // SAFETY: as in `generation`.
    unsafe { &*PAGE.load(Ordering::Acquire) }.store(0, Ordering::Relaxed);
    // SAFETY: this is the copy of the thread that put the guard there.
    let guard = unsafe { (*DURING_FORK.0.get()).take() };
    if let Some(registry) = guard {
        replace_all(&registry);
    }
}

/// Replaces each descriptor by one that can do nothing.
fn replace_all(descriptors: &BTreeSet<RawFd>) {
    let mut tombstone = open_root();
    for &fd in descriptors {
        if tombstone.is_err() {
            // The table of descriptors is full: give one back and use its number.
            close(fd);
            tombstone = open_root();
        }
        match tombstone {
            Ok(tombstone) if tombstone == fd => {}
            Ok(tombstone) => replace(fd, tombstone),
            Err(_) => {
                close(fd);
                WITHOUT_TOMBSTONE.store(true, Ordering::Relaxed);
            }
        }
    }
    if let Ok(tombstone) = tombstone {
        if !descriptors.contains(&tombstone) {
            close(tombstone);
        }
    }
}

fn open_root() -> io::Result<RawFd> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const ACCESS: libc::c_int = libc::O_PATH;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const ACCESS: libc::c_int = libc::O_RDONLY;
    // SAFETY: the path is a string that ends in NUL.
    super::check(unsafe { libc::open(c"/".as_ptr(), ACCESS | libc::O_CLOEXEC | libc::O_DIRECTORY) })
}

/// In two steps, as not every system has `dup3`: the child has one thread, so nothing can execute a
/// program in between.
fn replace(fd: RawFd, by: RawFd) {
    // SAFETY: both numbers are open descriptors of this process; the one that is replaced is owned
    // by a lock handle, whose copy in this child does not use it.
    unsafe { libc::dup2(by, fd) };
    #[allow(clippy::disallowed_methods, reason = "not a lock call")]
    // SAFETY: as above.
    unsafe {
        libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC)
    };
}

fn close(fd: RawFd) {
    // SAFETY: the descriptor is this module's, or a lock handle's whose copy here does not use it.
    unsafe { libc::close(fd) };
}
