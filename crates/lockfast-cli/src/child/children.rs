//! The command, and the sentinel that observes the signals to its process group.

use std::io;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::{self, Pid};
use signal_hook::low_level::siginfo::Origin;

use super::signals::is_own;
use crate::sys::{self, Sentinel};

/// The child processes.
#[derive(Debug)]
pub(super) struct Children {
    command: Pid,
    /// The status of the command, once it was reaped. Its pid may belong to another process then.
    status: Option<ExitStatus>,
    /// `None` before [`observe`](Self::observe), on systems without a sentinel, or if it could not
    /// be started.
    sentinel: Option<Sentinel>,
    /// The last signal that the sentinel got too, and the time when that was noticed.
    last_heard: Option<(Signal, Instant)>,
}

impl Children {
    pub(super) fn new(command: Pid) -> Self {
        Self {
            command,
            status: None,
            sentinel: None,
            last_heard: None,
        }
    }

    /// Returns the pid of the command, unless it has been reaped.
    pub(super) fn command(&self) -> Option<Pid> {
        self.status.is_none().then_some(self.command)
    }

    /// Starts the sentinel, unless it runs already.
    pub(super) fn observe(&mut self) {
        if self.sentinel.is_none() {
            self.sentinel = Sentinel::start().ok();
        }
    }

    pub(super) fn sentinel(&self) -> Option<&Sentinel> {
        self.sentinel.as_ref()
    }

    /// Reaps all children that have ended. Returns the status of the command once it has ended.
    pub(super) fn reap(&mut self) -> io::Result<Option<ExitStatus>> {
        while self.status.is_none() {
            match sys::reap()? {
                None => break,
                Some((pid, status)) if pid == self.command => self.status = Some(status),
                Some((pid, _)) => {
                    self.sentinel.take_if(|sentinel| sentinel.pid() == pid);
                }
            }
        }
        Ok(self.status)
    }

    /// Ends the sentinel.
    pub(super) fn end(self) {
        if let Some(sentinel) = self.sentinel {
            sentinel.end();
        }
    }

    /// Whether the command has received this signal too.
    ///
    /// The keyboard signals the whole foreground process group. A terminal that hangs up signals
    /// only the leader of its session. Processes signal either a process, a group (`kill %1`,
    /// timeout(1)) or each process of a unit (systemd); only the sentinel shows which.
    pub(super) fn has_received(&mut self, origin: &Origin) -> io::Result<bool> {
        // This process signals the whole group at the time limit.
        if is_own(origin) {
            return Ok(true);
        }
        if unistd::getpgid(Some(self.command)) != Ok(unistd::getpgrp()) {
            return Ok(false);
        }
        if origin.process.is_none() {
            let to_leader = origin.signal == Signal::SIGHUP as i32
                && unistd::getsid(None) == Ok(unistd::getpid());
            return Ok(!to_leader);
        }
        match Signal::try_from(origin.signal) {
            Ok(signal) => self.sentinel_hears(signal),
            Err(_) => Ok(false),
        }
    }

    /// Allows the sentinel some time: the processes of a unit are signalled one after the other.
    fn sentinel_hears(&mut self, signal: Signal) -> io::Result<bool> {
        const LONGEST_PAUSE: Duration = Duration::from_millis(32);
        // Signals of one kind do not queue, so another one this soon may be the same. timeout(1)
        // signals its child and then the child's group.
        const SAME: Duration = Duration::from_millis(100);
        let is_same = |&(last, at): &(Signal, Instant)| last == signal && at.elapsed() < SAME;
        if self.last_heard.as_ref().is_some_and(is_same) {
            return Ok(true);
        }
        let mut pause = Duration::from_millis(1);
        while let Some(sentinel) = &mut self.sentinel {
            if sentinel.heard(signal) {
                self.last_heard = Some((signal, Instant::now()));
                return Ok(true);
            }
            if pause > LONGEST_PAUSE || self.reap()?.is_some() {
                break;
            }
            thread::sleep(pause);
            pause *= 2;
        }
        Ok(false)
    }
}
