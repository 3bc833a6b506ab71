//! The child process that runs the command: its start, its signals and its end.

mod children;
mod limit;
mod signals;

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use signal_hook::consts::{SIGALRM, SIGCHLD};

use self::children::Children;
use self::limit::Countdown;
use crate::exit::{Exit, say};
use crate::sys;

pub(crate) use self::limit::Limit;
pub(crate) use self::signals::{PASSED_ON, Signals};

/// Commands that end within this time need no sentinel. A signal to the whole group within it may
/// reach the command twice, which is better than not at all.
const SHORT: Duration = Duration::from_millis(10);

/// Runs the command until it ends or its time limit expires. With `dies_with_parent` the kernel kills it
/// when this process ends.
///
/// # Errors
///
/// If the command cannot be started.
pub(crate) fn run(
    command: &mut Command,
    signals: &mut Signals,
    limit: Option<&Limit>,
    dies_with_parent: bool,
) -> io::Result<Exit> {
    if limit.is_some_and(Limit::is_of_group) {
        sys::lead_group()?;
    }
    let mask = sys::let_through(limit.is_some())?;
    let command = signals.start(mask, dies_with_parent).spawn(command)?;
    let mut child = Running {
        children: Children::new(command),
        countdown: limit.map(Countdown::start),
    };
    // A signal that arrived before the command existed did not reach it, not even one from the
    // keyboard. One that arrived in the moment since may reach it twice.
    for signal in signals.of_others() {
        if signal != SIGALRM {
            child.pass_on(signal);
        }
    }
    let ended = child.until_end(signals);
    child.children.end();
    Ok(match ended {
        Ok(status) => match &child.countdown {
            Some(countdown) => countdown.exit_of(status),
            None => exit_of(status),
        },
        Err(error) => {
            say(format_args!("cannot wait for the command: {error}"));
            Exit::SYSTEM
        }
    })
}

/// A command that was started.
#[derive(Debug)]
struct Running {
    children: Children,
    countdown: Option<Countdown>,
}

impl Running {
    fn until_end(&mut self, signals: &mut Signals) -> io::Result<ExitStatus> {
        let mut time = Some(SHORT);
        if let Some(countdown) = &mut self.countdown {
            // The sentinel is needed to kill the group.
            self.children.observe();
            time = None;
            countdown.next_ring()?;
        }
        loop {
            // Checked first: its SIGCHLD may be among the signals that were handled already.
            if let Some(status) = self.children.reap()? {
                return Ok(status);
            }
            let Some(caught) = signals.wait(time)? else {
                self.children.observe();
                time = None;
                continue;
            };
            for origin in caught {
                match origin.signal {
                    SIGCHLD => {}
                    SIGALRM => self.ring()?,
                    signal if !self.children.has_received(&origin)? => self.pass_on(signal),
                    _ => {}
                }
            }
        }
    }

    fn pass_on(&self, signal: i32) {
        let Some(command) = self.children.command() else {
            return;
        };
        if signal == SIGCHLD {
            return;
        }
        let signal = Signal::try_from(signal).expect("one of those that were asked for");
        // Fails if the command runs as another user (sudo): then it can't be signalled.
        match &self.countdown {
            Some(countdown) => countdown.send(command, signal),
            None => drop(signal::kill(command, signal)),
        }
    }

    /// Handles the alarm: the time limit, or the grace period after it, is over.
    fn ring(&mut self) -> io::Result<()> {
        match (&mut self.countdown, self.children.command()) {
            (Some(countdown), Some(command)) => countdown.ring(command, self.children.sentinel()),
            _ => Ok(()),
        }
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    let code = status.code().map(u8::try_from);
    let signal = status.signal().map(u8::try_from);
    match (code, signal) {
        (Some(Ok(code)), _) => Exit::code(code),
        (_, Some(Ok(signal))) => Exit::Signal(signal),
        _ => Exit::SYSTEM,
    }
}
