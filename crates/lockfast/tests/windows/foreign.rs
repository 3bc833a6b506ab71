//! Programs that know nothing of lockfast: `LockFileEx` on byte 0, as fasteners and Python's filelock
//! have it, and the whole file, as Rust's standard library has it.

#![allow(unsafe_code, reason = "system calls, as other programs make them")]

use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle;

use windows_sys::Win32::Foundation::ERROR_LOCK_VIOLATION;
use windows_sys::Win32::Storage::FileSystem::{
    LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, UnlockFileEx,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

use crate::stage::{Actor, Stage};
use crate::trials;

trials![
    an_exclusive_lock_of_byte_0_and_ours_exclude_each_other,
    a_shared_lock_of_byte_0_and_readers_are_there_together,
    a_waiter_for_byte_0_gets_it_after_the_release,
    we_wait_for_byte_0_and_an_end_of_the_other_process_frees_it,
    the_standard_library_s_lock_and_ours_exclude_each_other,
    an_upgrade_waits_for_a_foreign_reader,
    a_wait_in_vain_for_byte_0_gives_back_all_the_other_bytes,
];

/// A file that is locked by its first byte.
pub(crate) struct Foreign(File);

impl Foreign {
    pub(crate) fn open(path: &str) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        options.open(path).map(Self)
    }

    pub(crate) fn try_lock(&self, exclusive: bool) -> io::Result<bool> {
        let flags = if exclusive {
            LOCKFILE_EXCLUSIVE_LOCK
        } else {
            0
        };
        match self.lock(flags | LOCKFILE_FAIL_IMMEDIATELY) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == i32::try_from(ERROR_LOCK_VIOLATION).ok() => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn wait(&self) -> io::Result<()> {
        self.lock(LOCKFILE_EXCLUSIVE_LOCK)
    }

    fn lock(&self, flags: u32) -> io::Result<()> {
        // SAFETY: the structure is made of integers and pointers, for which zeros are a value.
        let mut overlapped: OVERLAPPED = unsafe { std::mem::zeroed() };
        let handle = self.0.as_raw_handle();
        // SAFETY: the handle is open, and a call by it is over when it returns.
        match unsafe { LockFileEx(handle, flags, 0, 1, 0, &raw mut overlapped) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    pub(crate) fn unlock(&self) -> io::Result<()> {
        // SAFETY: the structure is made of integers and pointers, for which zeros are a value.
        let mut overlapped: OVERLAPPED = unsafe { std::mem::zeroed() };
        // SAFETY: the handle is open, and a call by it is over when it returns.
        match unsafe { UnlockFileEx(self.0.as_raw_handle(), 0, 1, 0, &raw mut overlapped) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

fn foreigner(stage: &Stage) -> Actor {
    let mut actor = Actor::start();
    actor.ask(&format!("foreign f {}", stage.lock().display()));
    actor
}

fn an_exclusive_lock_of_byte_0_and_ours_exclude_each_other() {
    for options in ["", "protocol=flock", "protocol=both"] {
        let stage = Stage::new();
        let (mut own, mut foreign) = (Actor::with("lock", &stage, options), foreigner(&stage));
        own.ask("take a g");
        assert_eq!(foreign.ask("foreign-try f exclusive"), "false");
        assert_eq!(foreign.ask("foreign-try f shared"), "false");
        own.ask("release g");
        assert_eq!(foreign.ask("foreign-try f exclusive"), "true");
        assert!(own.ask_in_vain("try a g").starts_with("contended"));
        foreign.ask("foreign-unlock f");
        own.ask("try a g");
    }
}

fn a_shared_lock_of_byte_0_and_readers_are_there_together() {
    let stage = Stage::new();
    let (mut own, mut foreign) = (Actor::with("rw", &stage, ""), foreigner(&stage));
    own.ask("read a r");
    assert_eq!(foreign.ask("foreign-try f shared"), "true");
    foreign.ask("foreign-unlock f");
    assert_eq!(foreign.ask("foreign-try f exclusive"), "false");
    own.ask("release r");
    assert_eq!(foreign.ask("foreign-try f shared"), "true");
    own.ask("try-read a r");
    assert!(own.ask_in_vain("try-write a w").starts_with("contended"));
}

fn a_waiter_for_byte_0_gets_it_after_the_release() {
    let stage = Stage::new();
    let (mut own, mut foreign) = (Actor::with("lock", &stage, ""), foreigner(&stage));
    own.ask("take a g");
    let waits = foreign.begin("foreign-wait f");
    assert!(!foreign.has_answered(waits));
    own.ask("release g");
    foreign.succeeds(waits);
    assert!(own.ask_in_vain("try a g").starts_with("contended"));
}

fn we_wait_for_byte_0_and_an_end_of_the_other_process_frees_it() {
    let stage = Stage::new();
    let (mut own, mut foreign) = (Actor::with("lock", &stage, "tell"), foreigner(&stage));
    assert_eq!(foreign.ask("foreign-try f exclusive"), "true");
    let waits = own.begin_waiting("take a g");
    assert!(!own.has_answered(waits));
    foreign.kill();
    own.succeeds(waits);
}

#[allow(clippy::disallowed_methods, reason = "as other programs take it")]
#[allow(clippy::incompatible_msrv, reason = "tests are run by a later one")]
fn the_standard_library_s_lock_and_ours_exclude_each_other() {
    let stage = Stage::new();
    let mut own = Actor::with("rw", &stage, "");
    let file = File::options().read(true).write(true).open(stage.lock());
    let file = file.expect("it is there");
    own.ask("read a r");
    file.try_lock().expect_err("a reader is there");
    own.ask("release r");
    file.lock().expect("nobody is there");
    assert!(own.ask_in_vain("try-read a r").starts_with("contended"));
    drop(file);
    own.ask("try-write a w");
}

fn an_upgrade_waits_for_a_foreign_reader() {
    let stage = Stage::new();
    let (mut own, mut foreign) = (Actor::with("rw", &stage, "tell"), foreigner(&stage));
    own.ask("upgradable a u");
    assert_eq!(foreign.ask("foreign-try f shared"), "true");
    assert!(own.ask_in_vain("convert try-up u").starts_with("contended"));
    assert!(
        own.ask_in_vain("convert up-for u 20")
            .starts_with("timed-out")
    );
    let mut other = foreigner(&stage);
    assert_eq!(other.ask("foreign-try f exclusive"), "false");
    let upgrade = own.begin("convert up u");
    foreign.ask("foreign-unlock f");
    own.succeeds(upgrade);
    assert_eq!(other.ask("foreign-try f shared"), "false");
}

fn a_wait_in_vain_for_byte_0_gives_back_all_the_other_bytes() {
    let stage = Stage::new();
    let (mut own, mut foreign) = (Actor::with("rw", &stage, ""), foreigner(&stage));
    let mut other = Actor::with("rw", &stage, "");
    assert_eq!(foreign.ask("foreign-try f exclusive"), "true");
    assert!(own.ask_in_vain("write-for a w 30").starts_with("timed-out"));
    assert!(own.ask_in_vain("try-write a w").starts_with("contended"));
    foreign.ask("foreign-unlock f");
    other.ask("try-read a r");
    other.ask("release r");
    other.ask("try-write a w");
}
