//! The command: its start, the signals that are passed on to it, and its end.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};

use nix::sys::signal::{self, Signal};
use nix::unistd::{self, Pid};
use signal_hook::consts::SIGCHLD;
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::origin::WithOrigin;
use signal_hook::low_level::siginfo::Origin;

use crate::exit::{Exit, say};
use crate::sys;

/// The signals that are passed on.
const PASSED_ON: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// The signals that are caught for the command from now on.
#[derive(Debug)]
pub(crate) struct Signals {
    caught: SignalsInfo<WithOrigin>,
    /// Those that were ignored before: the command must find them ignored.
    ignored: Vec<Signal>,
}

impl Signals {
    pub(crate) fn catch() -> io::Result<Self> {
        let wanted = PASSED_ON.into_iter().chain([Signal::SIGCHLD]);
        let ignored = wanted
            .clone()
            .filter(|&signal| sys::is_ignored(signal))
            .collect();
        let caught = sys::begin_to_catch(wanted, SignalsInfo::new)?;
        Ok(Self { caught, ignored })
    }

    /// The command does not find this signal ignored, though it was.
    pub(crate) fn start_with_default(&mut self, signal: Signal) {
        self.ignored.retain(|&ignored| ignored != signal);
    }
}

/// Runs the command until its end.
///
/// # Errors
///
/// When it can't be started.
pub(crate) fn run(mut command: Command, mut signals: Signals) -> io::Result<Exit> {
    sys::let_notice_children(&mut command);
    sys::start_with_ignored(&mut command, signals.ignored);
    let mut child = command.spawn()?;
    // What came before the command was there did not reach it, not even from the keyboard. What
    // came in the instant since may reach it twice, which is better than not at all.
    for origin in signals.caught.pending() {
        pass_on(&child, origin.signal);
    }
    Ok(match until_end(&mut child, &mut signals.caught) {
        Ok(status) => exit_of(status),
        Err(error) => {
            say(format_args!("cannot wait for the command: {error}"));
            Exit::SYSTEM
        }
    })
}

fn until_end(child: &mut Child, caught: &mut SignalsInfo<WithOrigin>) -> io::Result<ExitStatus> {
    loop {
        // Asked first: the news of its end may be among the signals that were looked at already.
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        for origin in caught.wait() {
            if !has_reached(child, &origin) {
                pass_on(child, origin.signal);
            }
        }
    }
}

/// Was the command sent this signal too, by the terminal?
///
/// The keyboard signals the whole process group in the foreground. A terminal that is hung up
/// signals the leader of its session alone.
fn has_reached(child: &Child, origin: &Origin) -> bool {
    let from_system = origin.process.is_none();
    let to_leader =
        origin.signal == Signal::SIGHUP as i32 && unistd::getsid(None) == Ok(unistd::getpid());
    let same_group = unistd::getpgid(Some(pid_of(child))) == Ok(unistd::getpgrp());
    from_system && !to_leader && same_group
}

/// The child was not waited for successfully yet, so its pid is its own.
fn pass_on(child: &Child, signal: i32) {
    if signal == SIGCHLD {
        return;
    }
    let signal = Signal::try_from(signal).expect("one of those that were asked for");
    // It fails when the command runs as another user (sudo): then it can't be signalled.
    let _ = signal::kill(pid_of(child), signal);
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().expect("pids are positive"))
}

fn exit_of(status: ExitStatus) -> Exit {
    let code = status.code().map(u8::try_from);
    let signal = status.signal().map(u8::try_from);
    match (code, signal) {
        (Some(Ok(code)), _) => Exit::code(code),
        (_, Some(Ok(signal))) => Exit::killed_by(signal),
        _ => Exit::SYSTEM,
    }
}
