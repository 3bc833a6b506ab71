//! The end of a command at its time limit, which behaves as timeout(1), or when its lock is lost.

use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::{self, Pid};

use super::exit_of;
use crate::args;
use crate::exit::{Exit, say};
use crate::sys::{self, Sentinel};

/// A limit on the run time of the command.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) time: Duration,
    /// Sent at the time limit.
    pub(crate) signal: Signal,
    /// Time from `signal` to SIGKILL; 0 for no SIGKILL.
    pub(crate) kill_after: Duration,
    /// Whether only the command is signalled, and not its process group.
    pub(crate) foreground: bool,
}

impl Limit {
    /// Returns the requested limit, or the reason why it is invalid.
    pub(crate) fn of(arguments: &args::Run) -> Result<Option<Self>, String> {
        let Some(time) = arguments.time_limit else {
            return Ok(None);
        };
        Ok(Some(Self {
            time,
            signal: named(&arguments.signal)?,
            kill_after: arguments.kill_after,
            foreground: arguments.foreground,
        }))
    }

    pub(crate) fn is_of_group(&self) -> bool {
        !self.foreground
    }
}

/// The reason why the command is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// Its time is over.
    Time(Duration),
    /// A lock is lost.
    Lost,
}

/// The end of a command that does not end by itself: at its time limit, or when a lock is lost.
#[derive(Debug)]
pub(crate) struct Countdown {
    reason: Reason,
    of_group: bool,
    /// The next signal and its time. `None` once there is nothing left to send.
    next: Option<(Instant, Signal)>,
    /// Time from the first signal to SIGKILL; `None` for no SIGKILL.
    grace: Option<Duration>,
    /// The last signal that was sent for this reason.
    sent: Option<Signal>,
}

impl Countdown {
    pub(super) fn start(limit: &Limit) -> Self {
        let end = Instant::now().checked_add(limit.time);
        Self {
            reason: Reason::Time(limit.time),
            of_group: limit.is_of_group(),
            next: end.map(|end| (end, limit.signal)),
            grace: Some(limit.kill_after).filter(|grace| !grace.is_zero()),
            sent: None,
        }
    }

    /// Returns the end of a command whose lock is lost: this signal now, and SIGKILL after the grace.
    pub(super) fn of_loss(of_group: bool, signal: Signal, grace: Duration) -> Self {
        Self {
            reason: Reason::Lost,
            of_group,
            next: Some((Instant::now(), signal)),
            grace: Some(grace),
            sent: None,
        }
    }

    /// Schedules an alarm for the next signal.
    pub(super) fn next_ring(&self) -> io::Result<()> {
        match self.next {
            Some((due, _)) => sys::ring_after(due.saturating_duration_since(Instant::now())),
            None => Ok(()),
        }
    }

    /// Sends the signal that is due. An alarm for a later one is scheduled already.
    pub(super) fn ring(&mut self, command: Pid, sentinel: Option<&Sentinel>) -> io::Result<()> {
        let Some((due, signal)) = self.next.filter(|(due, _)| *due <= Instant::now()) else {
            return Ok(());
        };
        match self.reason {
            Reason::Time(time) => {
                let time = humantime::format_duration(time);
                say(format_args!(
                    "the command did not end within {time}: sending {signal}"
                ));
            }
            Reason::Lost => say(format_args!("sending {signal} to the command")),
        }
        // A second SIGKILL would reach the group that this process has moved to.
        let is_first = self.sent.is_none() && signal != Signal::SIGKILL;
        let grace = self.grace.filter(|_| is_first);
        let kill_at = grace.and_then(|grace| due.checked_add(grace));
        self.next = kill_at.map(|due| (due, Signal::SIGKILL));
        self.sent = Some(signal);
        if signal == Signal::SIGKILL {
            self.kill(command, sentinel);
        } else {
            self.send(command, signal);
            // A stopped process would not handle the signal.
            self.send(command, Signal::SIGCONT);
        }
        self.next_ring()
    }

    /// Sends a signal to the command, and to its whole group if this process leads it.
    ///
    /// Fails if the command runs as another user (sudo): then it can't be signalled.
    pub(super) fn send(&self, command: Pid, signal: Signal) {
        if !self.of_group || !is_in_own_group(command) {
            let _ = signal::kill(command, signal);
        }
        if self.of_group {
            // This process belongs to the group.
            sys::ignore_unless_caught(signal);
            let _ = signal::kill(Pid::from_raw(0), signal);
        }
    }

    fn kill(&self, command: Pid, sentinel: Option<&Sentinel>) {
        let group = unistd::getpgrp();
        let _ = signal::kill(command, Signal::SIGKILL);
        if !self.of_group {
            return;
        }
        // Leaves the group to survive and report. If that fails, this process is killed with the
        // group.
        if let Some(sentinel) = sentinel {
            let _ = sys::leave_group(sentinel.pid());
        }
        let _ = signal::killpg(group, Signal::SIGKILL);
    }

    pub(super) fn exit_of(&self, status: ExitStatus) -> Exit {
        match self.sent {
            None => exit_of(status),
            Some(_) if self.reason == Reason::Lost => Exit::LOST,
            Some(Signal::SIGKILL) => Exit::code(128 + Signal::SIGKILL as u8),
            Some(_) => Exit::TIMED_OUT,
        }
    }
}

/// Parses a signal: `TERM`, `SIGTERM`, `term` or `15`.
fn named(text: &str) -> Result<Signal, String> {
    let name = text.to_ascii_uppercase();
    let found = match text.parse::<i32>() {
        Ok(number) => Signal::try_from(number),
        Err(_) if name.starts_with("SIG") => name.parse(),
        Err(_) => format!("SIG{name}").parse(),
    };
    found.map_err(|_| format!("--signal {text}: no such signal; `kill -l` lists them"))
}

fn is_in_own_group(command: Pid) -> bool {
    unistd::getpgid(Some(command)) == Ok(unistd::getpgrp())
}
