//! `lockfast run`: takes the locks, runs the command, releases the locks.

mod release;
mod setup;
pub(crate) mod start;

use std::io;
use std::path::PathBuf;

use lockfast::{Guards, MemberGuard};

use self::release::{leave_to_inheritors, release};
use self::start::{become_command, run_command};
use crate::args;
use crate::child::{self, Limit, Signals};
use crate::exit::{Exit, say};
use crate::held::Held;
use crate::locks;
use crate::neighbours;
use crate::progress::Progress;
use crate::refused;
use crate::replaced;
use crate::sys::{self, Mortality};
use crate::trace::Trace;

pub(crate) fn run(arguments: &args::Run) -> Exit {
    if arguments.kill_with_parent == Some(true) && !sys::CAN_KILL_WITH_PARENT {
        say("--kill-with-parent is not available on this system");
        return Exit::USAGE;
    }
    if (arguments.inherit || arguments.exec) && !sys::CAN_INHERIT {
        say("--inherit and --exec are not available on this system");
        return Exit::USAGE;
    }
    let is_text = |lock: &PathBuf| lock.to_str().is_some();
    if arguments.named.is_some() && !arguments.locks.iter().all(is_text) {
        say("--named: the name of a lock must be UTF-8");
        return Exit::USAGE;
    }
    let limit = match Limit::of(arguments) {
        Ok(limit) => limit,
        Err(why) => {
            say(why);
            return Exit::USAGE;
        }
    };
    let trace = match Trace::begin(arguments) {
        Ok(trace) => trace,
        Err(error) => {
            say(&error);
            return error.code();
        }
    };
    let exit = wait_and_run(arguments, limit.as_ref());
    if let Err(error) = trace.end() {
        say(error);
    }
    exit
}

fn wait_and_run(arguments: &args::Run, limit: Option<&Limit>) -> Exit {
    let progress = Progress::new(arguments.quiet);
    let mortality = match Mortality::begin(&child::PASSED_ON) {
        Ok(mortality) => mortality,
        Err(error) => return no_signals(&error),
    };
    let locks = match locks::open(arguments, &progress) {
        Ok(locks) => locks,
        Err(error) => return not_locked(&error, refused::code(&error, Exit::CANNOT_CREATE)),
    };
    let held = Held::around();
    if !arguments.no_wait
        && let Err(error) = held.refuse_to_wait(&locks, arguments)
    {
        say(error);
        return Exit::SYSTEM;
    }
    let taken = locks::take(&locks, arguments);
    // An error names the processes that have the file open, which must not include this one.
    drop(locks);
    progress.clear();
    match taken {
        Ok(guards) => under_locks(arguments, limit, held, guards, mortality),
        Err(error) if error.is_contended() || error.is_timed_out() => {
            if !arguments.quiet {
                say(error.explain());
            }
            Exit::code(arguments.conflict_exit_code)
        }
        Err(error) => not_locked(&error, refused::code(&error, Exit::SYSTEM)),
    }
}

fn not_locked(error: &lockfast::Error, code: Exit) -> Exit {
    match refused::advice(error) {
        Some(advice) => say(format_args!("{}; {advice}", error.explain())),
        None => say(error.explain()),
    }
    code
}

fn no_signals(error: &io::Error) -> Exit {
    say(format_args!("cannot handle signals: {error}"));
    Exit::SYSTEM
}

fn under_locks(
    arguments: &args::Run,
    limit: Option<&Limit>,
    held: Held,
    guards: Guards,
    mortality: Mortality,
) -> Exit {
    let guards = guards.into_guards();
    guards.iter().for_each(warn_of_abandoned);
    if !arguments.quiet {
        neighbours::warn(arguments, &guards);
    }
    if arguments.exec {
        drop(mortality);
        let exit = become_command(arguments, held, &guards);
        release(guards);
        return exit;
    }
    let exit = match Signals::catch(limit.is_some()) {
        Ok(signals) => {
            drop(mortality);
            run_command(arguments, limit, held, &guards, signals)
        }
        Err(error) => no_signals(&error),
    };
    replaced::warn(&guards);
    if arguments.inherits() {
        leave_to_inheritors(arguments, guards);
    } else {
        release(guards);
    }
    exit
}

/// Reports that the last holder died: the command may have to repair what it left.
fn warn_of_abandoned(guard: &MemberGuard) {
    let MemberGuard::Write(guard) = guard else {
        return;
    };
    if let Some(owner) = guard.abandoned() {
        let (path, pid) = (guard.path().display(), owner.pid());
        let label = owner.label().map(|label| format!(" ({label})"));
        let label = label.unwrap_or_default();
        say(format_args!(
            "the last holder of lock {path}, pid {pid}{label}, died while holding it"
        ));
    }
}
