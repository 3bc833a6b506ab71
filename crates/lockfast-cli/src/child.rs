//! The child process that runs the command: its start, its signals and its end.

mod limit;

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::{self, Pid};
use signal_hook::consts::{SIGALRM, SIGCHLD};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::origin::WithOrigin;
use signal_hook::low_level::siginfo::Origin;

use self::limit::Countdown;
use crate::exit::{Exit, say};
use crate::sys::{self, Sentinel};

pub(crate) use self::limit::Limit;

/// Signals that are passed on to the command.
pub(crate) const PASSED_ON: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// Signals that are caught on behalf of the command.
#[derive(Debug)]
pub(crate) struct Signals {
    caught: SignalsInfo<WithOrigin>,
    /// Signals that were ignored before. The command must start with them ignored.
    ignored: Vec<Signal>,
}

impl Signals {
    /// Catches the signals to pass on, and those that a time limit needs.
    pub(crate) fn catch(limit: Option<&Limit>) -> io::Result<Self> {
        let alarm = limit.map(|_| Signal::SIGALRM);
        let wanted = PASSED_ON.into_iter().chain([Signal::SIGCHLD]).chain(alarm);
        let ignored = wanted
            .clone()
            .filter(|&signal| sys::is_ignored(signal))
            .collect();
        let caught = sys::begin_to_catch(wanted, SignalsInfo::new)?;
        Ok(Self { caught, ignored })
    }

    /// Has the command start with the signal's default action, even if it was ignored.
    pub(crate) fn start_with_default(&mut self, signal: Signal) {
        self.ignored.retain(|&ignored| ignored != signal);
    }
}

/// Runs the command until it ends or its time limit expires.
///
/// # Errors
///
/// If the command cannot be started.
pub(crate) fn run(
    command: &mut Command,
    signals: &mut Signals,
    limit: Option<&Limit>,
) -> io::Result<Exit> {
    if limit.is_some_and(Limit::is_of_group) {
        sys::lead_group()?;
    }
    sys::let_through_for(command, limit.is_some())?;
    sys::start_with_ignored(command, signals.ignored.clone());
    let started = command.spawn()?;
    let mut child = Running {
        pid: Pid::from_raw(started.id().try_into().expect("pids are positive")),
        status: None,
        // After the command, so that it does not delay its start.
        sentinel: Sentinel::start().ok(),
        last_heard: None,
        countdown: limit.map(Countdown::start),
    };
    // A signal that arrived before the command existed did not reach it, not even one from the
    // keyboard. One that arrived in the moment since may reach it twice, which is better than not
    // at all.
    for origin in signals.caught.pending() {
        if origin.signal != SIGALRM {
            child.pass_on(origin.signal);
        }
    }
    let ended = child.until_end(&mut signals.caught);
    if let Some(sentinel) = child.sentinel.take() {
        sentinel.end();
    }
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
    pid: Pid,
    /// The status of the command, once it was reaped. Its pid may belong to another process then.
    status: Option<ExitStatus>,
    /// `None` on systems without a sentinel, or if it could not be started.
    sentinel: Option<Sentinel>,
    /// The last signal that the sentinel got too, and the time when that was noticed.
    last_heard: Option<(Signal, Instant)>,
    countdown: Option<Countdown>,
}

impl Running {
    fn until_end(&mut self, caught: &mut SignalsInfo<WithOrigin>) -> io::Result<ExitStatus> {
        if let Some(countdown) = &mut self.countdown {
            countdown.next_ring()?;
        }
        loop {
            // Checked first: its SIGCHLD may be among the signals that were handled already.
            if let Some(status) = self.reap()? {
                return Ok(status);
            }
            for origin in caught.wait() {
                match origin.signal {
                    SIGCHLD => {}
                    SIGALRM => self.ring()?,
                    signal if !self.has_reached(&origin)? => self.pass_on(signal),
                    _ => {}
                }
            }
        }
    }

    /// Reaps all children that have ended. Returns the status of the command once it has ended.
    fn reap(&mut self) -> io::Result<Option<ExitStatus>> {
        while self.status.is_none() {
            match sys::reap()? {
                None => break,
                Some((pid, status)) if pid == self.pid => self.status = Some(status),
                Some((pid, _)) => {
                    self.sentinel.take_if(|sentinel| sentinel.pid() == pid);
                }
            }
        }
        Ok(self.status)
    }

    /// Whether the command has received this signal too.
    ///
    /// The keyboard signals the whole foreground process group. A terminal that hangs up signals
    /// only the leader of its session. Processes signal either a process, a group (`kill %1`,
    /// timeout(1)) or each process of a unit (systemd); only the sentinel shows which.
    fn has_reached(&mut self, origin: &Origin) -> io::Result<bool> {
        // This process signals the whole group at the time limit.
        let own = unistd::getpid();
        if origin
            .process
            .is_some_and(|sender| sender.pid == own.as_raw())
        {
            return Ok(true);
        }
        if unistd::getpgid(Some(self.pid)) != Ok(unistd::getpgrp()) {
            return Ok(false);
        }
        if origin.process.is_none() {
            let to_leader =
                origin.signal == Signal::SIGHUP as i32 && unistd::getsid(None) == Ok(own);
            return Ok(!to_leader);
        }
        self.sentinel_hears(origin.signal)
    }

    /// Allows the sentinel some time: the processes of a unit are signalled one after the other.
    fn sentinel_hears(&mut self, signal: i32) -> io::Result<bool> {
        const LONGEST_PAUSE: Duration = Duration::from_millis(32);
        // Signals of one kind do not queue, so another one this soon may be the same. timeout(1)
        // signals its child and then the child's group.
        const SAME: Duration = Duration::from_millis(100);
        let Ok(signal) = Signal::try_from(signal) else {
            return Ok(false);
        };
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

    fn pass_on(&self, signal: i32) {
        if signal == SIGCHLD || self.status.is_some() {
            return;
        }
        let signal = Signal::try_from(signal).expect("one of those that were asked for");
        // Fails if the command runs as another user (sudo): then it can't be signalled.
        match &self.countdown {
            Some(countdown) => countdown.send(self.pid, signal),
            None => drop(signal::kill(self.pid, signal)),
        }
    }

    /// Handles the alarm: the time limit, or the grace period after it, is over.
    fn ring(&mut self) -> io::Result<()> {
        match &mut self.countdown {
            Some(countdown) if self.status.is_none() => {
                countdown.ring(self.pid, self.sentinel.as_ref())
            }
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
