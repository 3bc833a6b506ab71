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
//!
//! A fork may come at any moment, also while another thread sets all of this up. So nothing in here
//! waits for a thread that the child does not have: what is set up twice does no harm, and each process
//! has a registry of its own.
//!
//! The program may have closed a registered descriptor and given its number to a file of its own. So
//! before a descriptor is closed or replaced, it is compared with what was registered.

use std::cell::{Cell, UnsafeCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::descriptor;
use super::file::status;
use crate::per_process::PerProcess;
use crate::sys::FileId;
use crate::sys::made_once::MadeOnce;

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
    // SAFETY: the pointer is to a static or to a mapping that is never unmapped.
    let page = unsafe { &*page };
    page.load(Ordering::Relaxed)
}

/// How many times this process has forked since it was asked first.
pub(crate) fn forks() -> u64 {
    // Installs the handlers that count.
    generation();
    FORKS.load(Ordering::SeqCst)
}

/// How many such files this process has open.
pub(crate) fn private_files() -> usize {
    registry().len()
}

/// A file that forked children do not share.
#[derive(Debug)]
pub(crate) struct PrivateFile {
    file: ManuallyDrop<File>,
    registered: Registered,
    generation: u64,
}

/// How a descriptor is recognised.
#[derive(Clone, Copy, Debug)]
struct Registered {
    id: FileId,
    is_marked: bool,
    /// Tells it from others of the same number.
    serial: u64,
}

impl PrivateFile {
    /// Takes a file that has that identity. From now on, children lose its descriptor.
    pub(crate) fn new(file: File, id: FileId) -> io::Result<Self> {
        Self::registered(file, id, false)
    }

    /// Takes a descriptor of the library's own that has no file (inotify, eventfd).
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
            serial: LAST.fetch_add(1, Ordering::Relaxed),
        };
        let generation = generation();
        let mut registry = registry();
        // The program has closed a file that is registered, and its number is free again. Whoever still
        // has that file must not lock or release this one.
        while registry.contains_key(&file.as_raw_fd()) {
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

    /// Was it opened by this process, or is this a child's copy?
    #[inline]
    pub(crate) fn is_own(&self) -> bool {
        self.generation == generation()
    }

    /// Whether the number of the descriptor still means this file. Takes a system call.
    pub(crate) fn is_there(&self) -> bool {
        self.registered.is_behind(&self.file)
    }

    /// Whether it may be closed: not if its number belongs to somebody else by now.
    fn may_be_closed(&self) -> bool {
        match registry().get(&self.file.as_raw_fd()) {
            Some(registered) if registered.serial == self.registered.serial => {}
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
        if self.may_be_closed() {
            // SAFETY: dropped here only, and not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
        // It was registered until it was closed: a child that is forked in between must not keep it.
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

static UNMAPPED: AtomicU64 = AtomicU64::new(0);
/// Where the generation is if no page can be had.
static ORDINARY: AtomicU64 = AtomicU64::new(0);
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new((&raw const UNMAPPED).cast_mut());
static HAS_HANDLERS: AtomicBool = AtomicBool::new(false);
static LAST: AtomicU64 = AtomicU64::new(0);
static FORKS: AtomicU64 = AtomicU64::new(0);

/// What stands where a descriptor was that is not to be used any more.
static TOMBSTONE: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

static REGISTRY: MadeOnce<PerProcess<Mutex<Registry>>> = MadeOnce::new();

thread_local! {
    /// How many times the handlers are in the middle of a fork of this thread: each runs as often as it
    /// was installed.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Where the guard of the registry is kept while `fork` runs.
static DURING_FORK: DuringFork = DuringFork(UnsafeCell::new(None));

struct DuringFork(UnsafeCell<Option<MutexGuard<'static, Registry>>>);

// SAFETY: the cell is used only by the thread that forks, between the handlers, while it holds the
// registry's mutex.
unsafe impl Sync for DuringFork {}

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY
        .get_or_make(|| PerProcess::new(Mutex::default()))
        .get(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

#[cold]
fn begin() -> u64 {
    // Several threads may come by here, and a child whose parent was in the middle of it.
    let unmapped = (&raw const UNMAPPED).cast_mut();
    if PAGE.load(Ordering::Acquire) == unmapped {
        let page = wiped_page();
        let settled = page.unwrap_or((&raw const ORDINARY).cast_mut());
        let order = Ordering::AcqRel;
        let published = PAGE.compare_exchange(unmapped, settled, order, Ordering::Acquire);
        if let (Err(_), Some(page)) = (published, page) {
            unmap(page);
        }
    }
    if !HAS_HANDLERS.load(Ordering::Acquire) {
        // SAFETY: the handlers are functions of this crate that are never unloaded, and each does
        // only what the thread that forks may do at that moment.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
        HAS_HANDLERS.store(true, Ordering::Release);
    }
    let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    // SAFETY: as in `generation`.
    let page = unsafe { &*PAGE.load(Ordering::Acquire) };
    match page.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => next,
        Err(set_by_another_thread) => set_by_another_thread,
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const PAGE_SIZE: usize = 4096;

/// A page that the kernel zeroes in a forked child.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn wiped_page() -> Option<*mut AtomicU64> {
    // SAFETY: a new anonymous mapping at an address of the kernel's choice.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            PAGE_SIZE,
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
    unsafe { libc::madvise(page, PAGE_SIZE, libc::MADV_WIPEONFORK) };
    Some(page.cast())
}

/// Gives back a page that nobody has seen.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn unmap(page: *mut AtomicU64) {
    // SAFETY: `wiped_page` mapped it, and nobody has the address.
    unsafe { libc::munmap(page.cast(), PAGE_SIZE) };
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn wiped_page() -> Option<*mut AtomicU64> {
    None
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn unmap(_page: *mut AtomicU64) {}

/// Nobody changes the registry while the process is copied.
extern "C" fn before() {
    if DEPTH.replace(DEPTH.get() + 1) > 0 {
        return;
    }
    let guard = registry();
    // SAFETY: this thread holds the mutex (see `DuringFork`).
    unsafe { *DURING_FORK.0.get() = Some(guard) };
}

extern "C" fn in_parent() {
    let Some(guard) = end_fork() else { return };
    FORKS.fetch_add(1, Ordering::SeqCst);
    drop(guard);
}

extern "C" fn in_child() {
    // SAFETY: as in `generation`.
    unsafe { &*PAGE.load(Ordering::Acquire) }.store(0, Ordering::Relaxed);
    let Some(guard) = end_fork() else { return };
    drop(guard);
    // Those of the parent, and of the processes before it if one was forked without handlers.
    for registry in REGISTRY.get().into_iter().flat_map(PerProcess::inherited) {
        match registry.try_lock() {
            Ok(registry) => replace_all(&registry),
            Err(TryLockError::Poisoned(poisoned)) => replace_all(&poisoned.into_inner()),
            // A thread that does not exist here was changing it.
            Err(TryLockError::WouldBlock) => {}
        }
    }
}

/// The guard, when the last handler of this fork runs in this thread.
fn end_fork() -> Option<MutexGuard<'static, Registry>> {
    // One that was installed in the middle of the fork did not run before it.
    let depth = DEPTH.get().checked_sub(1)?;
    DEPTH.set(depth);
    if depth > 0 {
        return None;
    }
    // SAFETY: this thread put the guard there, or it is the copy of the thread that did.
    unsafe { (*DURING_FORK.0.get()).take() }
}

/// Replaces each descriptor by one that can do nothing.
fn replace_all(registry: &Registry) {
    let is_ours = |&(&fd, registered): &(&RawFd, &Registered)| {
        // SAFETY: only looked at, and not closed.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
        registered.is_behind(&file)
    };
    let mut tombstone = None;
    for (&fd, _) in registry.iter().filter(is_ours) {
        let other = match tombstone {
            Some(tombstone) => Ok(tombstone),
            None => open_root().or_else(|_| {
                // The table of descriptors is full: give one back and use its number.
                close(fd);
                open_root()
            }),
        };
        // Else it is closed, and the table full again.
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

/// Opens the root directory, so that nothing can be done with it.
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
#[cfg(any(target_os = "linux", target_os = "android"))]
fn replace(fd: RawFd, by: RawFd) {
    // SAFETY: both numbers are open descriptors of this process; the one that is replaced was registered,
    // and whoever has it does not use it any more.
    unsafe { libc::dup3(by, fd, libc::O_CLOEXEC) };
}

/// Replaces an open descriptor, in two steps, as not every system has `dup3`.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
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
