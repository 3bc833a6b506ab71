//! A process that hears what is sent to all of a group.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{self, SigSet, SigmaskHow, Signal};
use nix::sys::wait::waitpid;
use nix::unistd::{self, ForkResult, Pid};

use super::monotonic_time;

/// A process in the group and the cgroup of this one that only notes the times of the signals that it gets.
///
/// Nothing in a signal tells whether it was sent to one process or to each of a group, except for those of
/// the keyboard. A signal that the sentinel got as well was sent to the group.
#[derive(Debug)]
pub(crate) struct Sentinel {
    pid: Pid,
    notes: Notes,
}

/// Memory that is shared with it: for each signal the time of the last one, in nanoseconds.
#[derive(Debug)]
struct Notes(ptr::NonNull<[AtomicU64; SIGNALS]>);

const SIGNALS: usize = 65;

impl Sentinel {
    pub(crate) fn start() -> io::Result<Self> {
        let notes = Notes::new()?;
        let parent = unistd::getpid();
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        // SAFETY: the child makes system calls only.
        let forked = unsafe { unistd::fork() };
        if matches!(forked, Ok(ForkResult::Child)) {
            notes.take(parent);
        }
        before.thread_set_mask()?;
        match forked? {
            ForkResult::Parent { child } => Ok(Self { pid: child, notes }),
            ForkResult::Child => unreachable!("it never returns"),
        }
    }

    /// Returns its process id.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it got that signal since then, by [`monotonic_time`].
    pub(crate) fn heard(&self, signal: Signal, since: Duration) -> bool {
        let time = self.notes.of(signal as usize).load(Ordering::Acquire);
        Duration::from_nanos(time) >= since
    }

    /// Ends it, if it was not reaped yet.
    pub(crate) fn end(self) {
        let _ = signal::kill(self.pid, Signal::SIGKILL);
        let _ = waitpid(self.pid, None);
    }
}

impl Notes {
    fn new() -> io::Result<Self> {
        // SAFETY: a new mapping of anonymous memory, which is zero.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<[AtomicU64; SIGNALS]>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(
            ptr::NonNull::new(memory.cast()).expect("no mapping is at 0"),
        ))
    }

    fn of(&self, signal: usize) -> &AtomicU64 {
        // SAFETY: it is mapped until the end of the process, and has atomics only.
        let all = unsafe { self.0.as_ref() };
        &all[signal.min(SIGNALS - 1)]
    }

    /// Runs the sentinel. It closes everything, so as to keep no lock or pipe open when its parent ends.
    fn take(&self, parent: Pid) -> ! {
        // SAFETY: takes numbers.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        // SAFETY: takes a name that ends in NUL.
        unsafe { libc::prctl(libc::PR_SET_NAME, c"lockfast-ear".as_ptr()) };
        close_all();
        let all = SigSet::all();
        while unistd::getppid() == parent {
            let mut number = 0;
            // SAFETY: reads a set and writes a number. (`nix` refuses real-time signals.)
            let answer = unsafe { libc::sigwait(all.as_ref(), &raw mut number) };
            if let (0, Ok(number)) = (answer, usize::try_from(number)) {
                let now = monotonic_time().as_nanos();
                let now = u64::try_from(now).unwrap_or(u64::MAX);
                self.of(number).store(now, Ordering::Release);
            }
        }
        // SAFETY: ends the process and runs nothing of it.
        unsafe { libc::_exit(0) }
    }
}

fn close_all() {
    // SAFETY: takes numbers; nothing of this process uses a descriptor any more.
    if unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) } == 0 {
        return;
    }
    // Before Linux 5.9.
    for descriptor in 0..4096 {
        // SAFETY: as above.
        unsafe { libc::close(descriptor) };
    }
}
