//! The generation: a number that differs between a parent and its child, and the handlers of forks.
//!
//! It lives on a page that the kernel zeroes in the child (`MADV_WIPEONFORK`), so that a fork that runs no
//! handlers (a raw system call) is noticed too. Where the kernel can't do that, the handler zeroes it.

use std::cell::{Cell, UnsafeCell};
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use super::{Registry, registry, replace_inherited};

/// Returns the number of this process in its line of forks; never 0.
#[inline]
pub(crate) fn generation() -> u64 {
    match known_generation() {
        0 => begin(),
        generation => generation,
    }
}

/// Returns the number of this process, or 0 if nobody has asked for it in this process yet.
#[inline]
pub(crate) fn known_generation() -> u64 {
    let page = PAGE.load(Ordering::Acquire);
    // SAFETY: the pointer is to a static or to a mapping that is never unmapped.
    let page = unsafe { &*page };
    page.load(Ordering::Relaxed)
}

/// Returns how many times this process has forked since the first call.
pub(crate) fn forks() -> u64 {
    // Installs the handlers that count.
    generation();
    FORKS.load(Ordering::SeqCst)
}

// `PAGE` points to `UNMAPPED` until the first call, then for good to a page that the kernel zeroes in
// children, or to `ORDINARY`. What it points to is 0 until somebody asks in this process.
static UNMAPPED: AtomicU64 = AtomicU64::new(0);
/// The place of the generation if no page can be had.
static ORDINARY: AtomicU64 = AtomicU64::new(0);
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new((&raw const UNMAPPED).cast_mut());
// Not a `Once`: a fork during the installation would leave the child waiting for a thread that it does not
// have.
static HAS_HANDLERS: AtomicBool = AtomicBool::new(false);
static LAST: AtomicU64 = AtomicU64::new(0);
// Changed under the registry's mutex. An open compares it before and after it registers its file.
static FORKS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The number of handlers that are in the middle of a fork of this thread. Each runs as often as it was
    /// installed.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// The guard of the registry while `fork` runs.
static DURING_FORK: DuringFork = DuringFork(UnsafeCell::new(None));

struct DuringFork(UnsafeCell<Option<MutexGuard<'static, Registry>>>);

// SAFETY: the cell is used only by the thread that forks, between the handlers, while it holds the
// registry's mutex.
unsafe impl Sync for DuringFork {}

#[cold]
fn begin() -> u64 {
    // Several threads may run this at once, and a child whose parent was in the middle of it.
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
        // Installed twice, they do no harm: `DEPTH` counts them.
        HAS_HANDLERS.store(true, Ordering::Release);
    }
    // `LAST` is copied by a fork, so a child gets a greater number than its parent has.
    let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    // SAFETY: as in `generation`.
    let page = unsafe { &*PAGE.load(Ordering::Acquire) };
    // Relaxed: the number alone is read.
    match page.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => next,
        Err(set_by_another_thread) => set_by_another_thread,
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
// Where pages are larger, the kernel rounds it up in each of the calls.
const PAGE_SIZE: usize = 4096;

/// Maps a page that the kernel zeroes in a forked child.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn wiped_page() -> Option<*mut AtomicU64> {
    // SAFETY: a new anonymous mapping at an address of the kernel's choice.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            PAGE_SIZE,
            libc::PROT_READ | libc::PROT_WRITE,
            // The kernel wipes private anonymous pages only.
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

/// Unmaps a page that no other thread has seen.
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

/// Locks the registry, so that nobody changes it while the process is copied.
extern "C" fn before() {
    if DEPTH.replace(DEPTH.get() + 1) > 0 {
        return;
    }
    // Held across the fork: the child gets a registry that nobody is changing.
    let guard = registry();
    // SAFETY: this thread holds the mutex (see `DuringFork`).
    unsafe { *DURING_FORK.0.get() = Some(guard) };
}

extern "C" fn in_parent() {
    let Some(guard) = end_fork() else { return };
    // Before the registry is free: a file that is registered afterwards was not copied by this fork.
    FORKS.fetch_add(1, Ordering::SeqCst);
    drop(guard);
}

extern "C" fn in_child() {
    // SAFETY: as in `generation`.
    unsafe { &*PAGE.load(Ordering::Acquire) }.store(0, Ordering::Relaxed);
    let Some(guard) = end_fork() else { return };
    drop(guard);
    // After the page was zeroed: from now on all of this is another process.
    replace_inherited();
}

/// Returns the guard when the last handler of this fork runs in this thread.
fn end_fork() -> Option<MutexGuard<'static, Registry>> {
    // A handler that was installed in the middle of the fork did not run before it.
    let depth = DEPTH.get().checked_sub(1)?;
    DEPTH.set(depth);
    if depth > 0 {
        return None;
    }
    // SAFETY: this thread put the guard there, or it is the copy of the thread that did.
    unsafe { (*DURING_FORK.0.get()).take() }
}
