//! A process that shows which signals were sent to a whole group.

use std::fs;
use std::io;
use std::ptr;

use nix::sys::signal::{self, SigSet, SigmaskHow, Signal};
use nix::sys::wait::waitpid;
use nix::unistd::{self, ForkResult, Pid};

/// A process in the same process group and cgroup, which keeps the signals it gets pending for a
/// second.
///
/// A signal does not show whether it was sent to one process or to each of a group, except if it
/// comes from the keyboard. A signal that the sentinel got too was sent to the group. The kernel
/// shows it as pending from that moment on, however busy the machine is.
#[derive(Debug)]
pub(crate) struct Sentinel {
    pid: Pid,
    /// Bits of signals that an earlier sentinel got and nobody has asked for yet.
    carried: u64,
}

impl Sentinel {
    pub(crate) fn start() -> io::Result<Self> {
        let parent = unistd::getpid();
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        // SAFETY: the child makes system calls only.
        let forked = unsafe { unistd::fork() };
        if matches!(forked, Ok(ForkResult::Child)) {
            keep_watch(parent);
        }
        before.thread_set_mask()?;
        match forked? {
            ForkResult::Parent { child } => Ok(Self {
                pid: child,
                carried: 0,
            }),
            ForkResult::Child => unreachable!("it never returns"),
        }
    }

    /// Returns its process id.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it got that signal within the last second. Each signal is reported once.
    pub(crate) fn heard(&mut self, signal: Signal) -> bool {
        let bit = 1 << (signal as u32 - 1);
        let got = self.carried | pending(self.pid).unwrap_or(0);
        if got & bit == 0 {
            return false;
        }
        // Replaced by a new one, as only the sentinel itself could consume the signal.
        if let Ok(next) = Self::start() {
            let carried = got & !bit;
            std::mem::replace(self, Self { carried, ..next }).end();
        }
        true
    }

    /// Ends and reaps it. It must not have been reaped yet.
    pub(crate) fn end(self) {
        let _ = signal::kill(self.pid, Signal::SIGKILL);
        let _ = waitpid(self.pid, None);
    }
}

/// Returns the pending signals of a process as bits; `None` without `/proc`.
fn pending(pid: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    u64::from_str_radix(line?.trim(), 16).ok()
}

/// Runs the sentinel. It closes all files, so as to keep no lock or pipe open when its parent ends.
fn keep_watch(parent: Pid) -> ! {
    // SAFETY: takes numbers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // SAFETY: takes a name that ends in NUL.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"lockfast-ear".as_ptr()) };
    close_all();
    let all = SigSet::all();
    // SAFETY: reads a set.
    let signals = unsafe { libc::signalfd(-1, all.as_ref(), libc::SFD_NONBLOCK) };
    let second = libc::timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    // The parent may have ended before the request.
    while unistd::getppid() == parent && signals != -1 {
        let mut pending = libc::pollfd {
            fd: signals,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one structure, which lives longer than the call.
        unsafe { libc::poll(&raw mut pending, 1, -1) };
        // SAFETY: reads a structure that lives longer than the call.
        unsafe { libc::nanosleep(&raw const second, ptr::null_mut()) };
        let mut taken = [0_u8; size_of::<libc::signalfd_siginfo>()];
        // SAFETY: the buffer is as long as the call is told.
        while unsafe { libc::read(signals, taken.as_mut_ptr().cast(), taken.len()) } > 0 {}
    }
    // SAFETY: ends the process and runs nothing of it.
    unsafe { libc::_exit(0) }
}

fn close_all() {
    // SAFETY: takes numbers; nothing of this process uses a descriptor any more.
    if unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) } == 0 {
        return;
    }
    // Linux before 5.9 has no close_range.
    for descriptor in 0..4096 {
        // SAFETY: as above.
        unsafe { libc::close(descriptor) };
    }
}
