//! A limit of the time that the command may run, in the words of timeout(1).

use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::{self, Pid};

use super::exit_of;
use crate::args;
use crate::exit::{Exit, say};
use crate::sys::{self, Sentinel};

/// How long the command may run, and how it is ended then.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) time: Duration,
    /// Sent when the time is over.
    pub(crate) signal: Signal,
    /// How long after that SIGKILL is sent; never, if it is 0.
    pub(crate) kill_after: Duration,
    /// Whether the command alone is signalled, and not its process group.
    pub(crate) foreground: bool,
}

impl Limit {
    /// The one that is asked for, or why that makes no sense.
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

/// A limit that runs.
#[derive(Debug)]
pub(crate) struct Countdown {
    limit: Limit,
    /// When the next signal is due, and which. `None` when there is nothing more to do.
    next: Option<(Instant, Signal)>,
    /// The last signal that was sent because the time was over.
    sent: Option<Signal>,
}

impl Countdown {
    pub(super) fn start(limit: &Limit) -> Self {
        let end = Instant::now().checked_add(limit.time);
        Self {
            limit: limit.clone(),
            next: end.map(|end| (end, limit.signal)),
            sent: None,
        }
    }

    /// Has the alarm ring when the next signal is due.
    pub(super) fn next_ring(&self) -> io::Result<()> {
        match self.next {
            Some((due, _)) => sys::ring_after(due.saturating_duration_since(Instant::now())),
            None => Ok(()),
        }
    }

    /// Sends what is due.
    pub(super) fn ring(&mut self, command: Pid, sentinel: Option<&Sentinel>) -> io::Result<()> {
        if let Some((due, signal)) = self.next
            && due <= Instant::now()
        {
            let time = humantime::format_duration(self.limit.time);
            say(format_args!(
                "the command did not end within {time}: sending {signal}"
            ));
            let kill_at = (self.sent.is_none() && self.limit.kill_after > Duration::ZERO)
                .then(|| due.checked_add(self.limit.kill_after))
                .flatten();
            self.next = kill_at.map(|due| (due, Signal::SIGKILL));
            self.sent = Some(signal);
            if signal == Signal::SIGKILL {
                self.kill(command, sentinel);
            } else {
                self.send(command, signal);
                // A stopped process would not hear it.
                self.send(command, Signal::SIGCONT);
            }
        }
        self.next_ring()
    }

    /// Sends a signal to the command, and to all of its group if that is to be signalled as well.
    ///
    /// It fails when the command runs as another user (sudo): then it can't be signalled.
    pub(super) fn send(&self, command: Pid, signal: Signal) {
        if self.limit.foreground || !is_in_own_group(command) {
            let _ = signal::kill(command, signal);
        }
        if !self.limit.foreground {
            // This process is one of the group.
            sys::ignore_unless_caught(signal);
            let _ = signal::kill(Pid::from_raw(0), signal);
        }
    }

    fn kill(&self, command: Pid, sentinel: Option<&Sentinel>) {
        let group = unistd::getpgrp();
        let _ = signal::kill(command, Signal::SIGKILL);
        if self.limit.foreground {
            return;
        }
        // So as to live on and tell; where it can't leave, this process is killed with the others.
        if let Some(sentinel) = sentinel {
            let _ = sys::leave_group(sentinel.pid());
        }
        let _ = signal::killpg(group, Signal::SIGKILL);
    }

    pub(super) fn exit_of(&self, status: ExitStatus) -> Exit {
        match self.sent {
            None => exit_of(status),
            Some(Signal::SIGKILL) => Exit::code(128 + Signal::SIGKILL as u8),
            Some(_) => Exit::TIMED_OUT,
        }
    }
}

/// `TERM`, `SIGTERM`, `term` or `15`.
fn named(text: &str) -> Result<Signal, String> {
    let name = text.to_ascii_uppercase();
    let found = match text.parse::<i32>() {
        Ok(number) => Signal::try_from(number),
        Err(_) if name.starts_with("SIG") => name.parse(),
        Err(_) => format!("SIG{name}").parse(),
    };
    found.map_err(|_| format!("--signal {text}: there is no such signal; `kill -l` lists them"))
}

fn is_in_own_group(command: Pid) -> bool {
    unistd::getpgid(Some(command)) == Ok(unistd::getpgrp())
}
