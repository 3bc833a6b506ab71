//! `lockfast run`: takes the locks, runs the command, releases.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Command;

use lockfast::{Guards, MemberGuard};

use crate::args;
use crate::child::{self, Signals};
use crate::exit::{Exit, say};
use crate::locks;
use crate::progress::Progress;
use crate::replaced;
use crate::sys;
use crate::trace::Trace;

pub(crate) fn run(arguments: &args::Run) -> Exit {
    if arguments.kill_with_parent == Some(true) && !sys::CAN_KILL_WITH_PARENT {
        say("--kill-with-parent is not available on this system");
        return Exit::USAGE;
    }
    let trace = match Trace::begin(arguments) {
        Ok(trace) => trace,
        Err(error) => {
            say(error);
            return Exit::CANNOT_CREATE;
        }
    };
    let exit = wait_and_run(arguments);
    if let Err(error) = trace.end() {
        say(error);
    }
    exit
}

fn wait_and_run(arguments: &args::Run) -> Exit {
    let progress = Progress::new(arguments.quiet);
    let taken = locks::open(arguments, &progress)
        .map_err(|error| (Exit::CANNOT_CREATE, error))
        .and_then(|locks| {
            locks::take(&locks, arguments).map_err(|error| {
                let conflict = error.is_contended() || error.is_timed_out();
                let code = if conflict {
                    Exit::code(arguments.conflict_exit_code)
                } else {
                    Exit::SYSTEM
                };
                (code, error)
            })
        });
    progress.clear();
    match taken {
        Ok(guards) => under_locks(arguments, guards),
        Err((code, error)) => {
            let conflict = error.is_contended() || error.is_timed_out();
            if !(conflict && arguments.quiet) {
                say(error.explain());
            }
            code
        }
    }
}

fn under_locks(arguments: &args::Run, guards: Guards) -> Exit {
    let guards = guards.into_guards();
    guards.iter().for_each(tell_of_abandoned);
    let exit = match Signals::catch() {
        Ok(signals) => run_command(arguments, &guards, signals),
        Err(error) => {
            say(format_args!("cannot handle signals: {error}"));
            Exit::SYSTEM
        }
    };
    replaced::tell(&guards);
    if arguments.inherit {
        // An unlock would take the lock from the processes that inherited it.
        guards.into_iter().for_each(std::mem::forget);
    } else {
        for error in guards
            .into_iter()
            .rev()
            .filter_map(|guard| guard.release().err())
        {
            say(error);
        }
    }
    exit
}

/// The command may have to repair what the last one left.
fn tell_of_abandoned(guard: &MemberGuard) {
    let MemberGuard::Write(guard) = guard else {
        return;
    };
    if let Some(owner) = guard.abandoned() {
        let (path, pid) = (guard.path().display(), owner.pid());
        let label = owner.label().map(|label| format!(" ({label})"));
        let label = label.unwrap_or_default();
        say(format_args!(
            "the last holder of lock {path}, pid {pid}{label}, died while it held it"
        ));
    }
}

fn run_command(arguments: &args::Run, guards: &[MemberGuard], signals: Signals) -> Exit {
    let (program, rest) = arguments
        .command
        .split_first()
        .expect("clap requires a command");
    let mut command = Command::new(program);
    command.args(rest);
    if arguments.inherit {
        for (file, path) in guards.iter().filter_map(locks::held) {
            if let Err(error) = sys::let_inherit(file) {
                let path = path.display();
                say(format_args!(
                    "cannot hand lock {path} to the command: {error}"
                ));
                return Exit::SYSTEM;
            }
        }
    }
    if let Some(MemberGuard::Write(guard)) = guards.first()
        && let Some(token) = guard.token()
    {
        command.env("LOCKFAST_TOKEN", token.to_string());
    }
    if sys::CAN_KILL_WITH_PARENT
        && arguments.kill_with_parent.unwrap_or(true)
        && let Err(error) = sys::kill_with_parent(&mut command)
    {
        say(format_args!(
            "cannot have the command killed with this process: {error}"
        ));
        return Exit::SYSTEM;
    }
    child::run(command, signals).unwrap_or_else(|error| not_started(program, &error))
}

fn not_started(program: &OsStr, error: &io::Error) -> Exit {
    let program = Path::new(program).display();
    say(format_args!("cannot run {program}: {error}"));
    match error.kind() {
        io::ErrorKind::NotFound => Exit::NOT_FOUND,
        // No process could be made for it.
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => Exit::SYSTEM,
        _ => Exit::NOT_EXECUTABLE,
    }
}
