//! `lockfast run --on`: takes locks of a space, runs the command, and ends it if a lock is lost.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lockfast::{CancelToken, ErrorKind, Member, MemberGuard, Protocol, Result};
use lockfast_space::{Any, RwLock, Semaphore, Space};

use super::failed;
use crate::args::{self, OnLost};
use crate::child::{self, Limit, Loss, Signals};
use crate::exit::{Exit, say};
use crate::run::start::{not_started, with_shell};
use crate::sys;

type Guards = Vec<MemberGuard<Any>>;

/// An opened lock of the command line.
enum Opened {
    Alone(RwLock),
    Shared(RwLock),
    Permits(Semaphore),
}

impl Opened {
    fn member(&self) -> Member<'_, Any> {
        match self {
            Self::Alone(lock) => Member::Write(lock),
            Self::Shared(lock) => Member::Read(lock),
            Self::Permits(semaphore) => Member::Permit(semaphore),
        }
    }
}

pub(crate) fn run(arguments: &args::Run, url: &str) -> Exit {
    if let Some(option) = of_files(arguments) {
        say(format_args!(
            "{option} is for lock files, and not for a space of names (--on, LOCKFAST_SPACE)"
        ));
        return Exit::USAGE;
    }
    let limit = match Limit::of(arguments) {
        Ok(limit) => limit,
        Err(why) => {
            say(why);
            return Exit::USAGE;
        }
    };
    let names: Option<Vec<_>> = arguments.locks.iter().map(|name| name.to_str()).collect();
    let Some(names) = names else {
        say("the name of a lock must be UTF-8");
        return Exit::USAGE;
    };
    // Before the locks are taken: a signal that ended this process would leave its place in the line.
    let mut signals = match Signals::catch(true) {
        Ok(signals) => signals,
        Err(error) => {
            say(format_args!("cannot handle signals: {error}"));
            return Exit::SYSTEM;
        }
    };
    match take(arguments, url, &names, &mut signals) {
        Ok(guards) => under_locks(arguments, limit.as_ref(), names[0], guards, signals),
        Err(exit) => exit,
    }
}

/// Takes the locks. An error has been printed already.
fn take(
    arguments: &args::Run,
    url: &str,
    names: &[&str],
    signals: &mut Signals,
) -> std::result::Result<Guards, Exit> {
    let (cancel, seconds) = (CancelToken::new(), Arc::new(AtomicU64::new(0)));
    let work = || -> std::result::Result<Guards, Exit> {
        let space = Space::connect(url).map_err(failed)?;
        let opened = open_all(&space, names, arguments).map_err(failed)?;
        let members = opened.iter().map(Opened::member);
        let taken = cancel.run(|| match arguments.timeout {
            _ if arguments.no_wait => lockfast::try_lock_all(members),
            Some(timeout) => lockfast::try_lock_all_for(members, timeout),
            None => lockfast::lock_all(members),
        });
        taken
            .map(lockfast::Guards::into_guards)
            .map_err(|error| match error.kind() {
                ErrorKind::Contended | ErrorKind::TimedOut => {
                    if !arguments.quiet {
                        say(&error);
                    }
                    Exit::code(arguments.conflict_exit_code)
                }
                // By a signal, which decides about the end.
                ErrorKind::Cancelled => Exit::SYSTEM,
                _ => failed(error),
            })
    };
    let tell = || {
        let waited = seconds.fetch_add(1, Ordering::Relaxed) + 1;
        // The first second, and then each half minute.
        if !arguments.quiet && waited % 30 == 1 {
            say(format_args!("waiting for {} ({waited}s)", names.join(", ")));
        }
    };
    let done = signals.until_done(work, || cancel.cancel(), tell);
    match done {
        Ok((_, Some(signal))) => Err(Exit::Signal(signal)),
        Ok((taken, None)) => taken,
        Err(error) => {
            say(format_args!("cannot handle signals: {error}"));
            Err(Exit::SYSTEM)
        }
    }
}

fn open_all(space: &Space, names: &[&str], arguments: &args::Run) -> Result<Vec<Opened>> {
    let names: BTreeSet<_> = names.iter().copied().collect();
    let open = |name| {
        Ok(match arguments.permits {
            Some(permits) => Opened::Permits(space.semaphore(name, permits)?),
            None if arguments.shared => Opened::Shared(space.rwlock(name)?),
            None => Opened::Alone(space.rwlock(name)?),
        })
    };
    names.into_iter().map(open).collect()
}

fn under_locks(
    arguments: &args::Run,
    limit: Option<&Limit>,
    first: &str,
    guards: Guards,
    mut signals: Signals,
) -> Exit {
    let of_first = guards.iter().find(|guard| is_named(guard, first));
    let variables = of_first.map(|guard| (guard.token(), guard.epoch()));
    let (token, epoch) = variables.unwrap_or_default();
    let start = |words: &[&OsStr]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command.env("LOCKFAST_NAME", first);
        // Those of an enclosing command belong to another lock.
        match token {
            Some(token) => command
                .env("LOCKFAST_TOKEN", token.to_string())
                .env("LOCKFAST_EPOCH", epoch.to_string()),
            None => command
                .env_remove("LOCKFAST_TOKEN")
                .env_remove("LOCKFAST_EPOCH"),
        };
        let loss = Loss::of(arguments.on_lost, &guards);
        let with_parent = sys::CAN_KILL_WITH_PARENT && arguments.kill_with_parent.unwrap_or(true);
        child::run(&mut command, &mut signals, limit, Some(loss), with_parent)
    };
    let words = &arguments.command;
    let exit = with_shell(words, start).unwrap_or_else(|error| not_started(&words[0], &error, &[]));
    let was_lost = release(guards, exit == Exit::LOST);
    if was_lost && arguments.on_lost != OnLost::Warn {
        Exit::LOST
    } else {
        exit
    }
}

/// Whether the guard is of that name, in whichever form its engine has it.
fn is_named(guard: &MemberGuard<Any>, name: &str) -> bool {
    let resource = guard.resource();
    match (resource.name(), resource.path()) {
        (Some(its), _) => its == name,
        (None, Some(path)) => {
            let file = path.file_name().and_then(OsStr::to_str);
            file.and_then(lockfast::engine::name_of).as_deref() == Some(name)
        }
        (None, None) => false,
    }
}

/// Releases the locks, in reverse order. Returns whether one was lost, which the user may know already.
fn release(guards: Guards, is_known: bool) -> bool {
    let mut was_lost = false;
    for guard in guards.into_iter().rev() {
        if let Err(error) = guard.release() {
            let is_loss = error.kind() == ErrorKind::NotHeld;
            was_lost |= is_loss;
            if !(is_loss && is_known) {
                say(error);
            }
        }
    }
    was_lost
}

/// The first option that only lock files have.
fn of_files(arguments: &args::Run) -> Option<&'static str> {
    let options = [
        (arguments.named.is_some(), "--named"),
        (
            arguments.fifo,
            "--fifo (a directory has the option `?fifo=yes` of its URL; servers keep the order)",
        ),
        (
            !matches!(arguments.protocol.0, Protocol::Fcntl),
            "--protocol",
        ),
        (arguments.mode.is_some(), "--mode"),
        (arguments.any_owner, "--any-owner"),
        (arguments.follow_symlinks, "--follow-symlinks"),
        (arguments.remove, "--remove"),
        (arguments.close, "--close"),
        (arguments.inherit, "--inherit"),
        (arguments.exec, "--exec"),
        (arguments.record, "--record"),
        (arguments.trace.is_some(), "--trace"),
    ];
    options
        .into_iter()
        .find_map(|(is_given, option)| is_given.then_some(option))
}
