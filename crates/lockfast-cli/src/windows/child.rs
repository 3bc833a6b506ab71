//! The command: its start, and its end.

use std::io;
use std::process::{Command, ExitStatus};

use crate::args;
use crate::exit::{Exit, say};
use crate::sys;

/// The events of the console, which do not end this process from now on.
///
/// Whatever is sent to this process is sent to the command too, as both are of one console and one
/// group: it decides, and its end is this one's.
#[derive(Debug)]
pub(crate) struct Signals(());

impl Signals {
    pub(crate) fn catch(_limit: Option<&Limit>) -> io::Result<Self> {
        sys::outlive_console_events().map(Self)
    }
}

/// The signals that are passed on: there are none.
pub(crate) const PASSED_ON: [u32; 0] = [];

/// How long the command may run: nobody can be asked to end here, so there is no limit.
#[derive(Debug)]
pub(crate) enum Limit {}

impl Limit {
    pub(crate) fn of(arguments: &args::Run) -> Result<Option<Self>, &'static str> {
        match arguments.time_limit {
            None => Ok(None),
            Some(_) => Err("--time-limit is not available on Windows"),
        }
    }
}

/// Runs the command until its end.
///
/// # Errors
///
/// When it can't be started.
pub(crate) fn run(
    command: &mut Command,
    _signals: &mut Signals,
    _limit: Option<&Limit>,
) -> io::Result<Exit> {
    let status = command.spawn()?.wait();
    // It has ended, and what it left running may go on.
    sys::let_live();
    Ok(match status {
        Ok(status) => exit_of(status),
        Err(error) => {
            say(format_args!("cannot wait for the command: {error}"));
            Exit::SYSTEM
        }
    })
}

/// Codes have 32 bits here, and ours have 8: what does not fit is the greatest.
fn exit_of(status: ExitStatus) -> Exit {
    let code = status.code().map(u8::try_from);
    match code {
        Some(Ok(code)) => Exit::code(code),
        _ => Exit::code(u8::MAX),
    }
}
