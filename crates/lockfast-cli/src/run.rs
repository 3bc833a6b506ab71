//! `lockfast run`: takes the locks, runs the command, releases the locks.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockfast::{Guards, MemberGuard, command_support};

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
    guards.iter().for_each(tell_of_abandoned);
    if !arguments.quiet {
        neighbours::warn(arguments, &guards);
    }
    if arguments.exec {
        drop(mortality);
        let exit = become_command(arguments, held, &guards);
        release(guards);
        return exit;
    }
    let exit = match Signals::catch(limit) {
        Ok(signals) => {
            drop(mortality);
            run_command(arguments, limit, held, &guards, signals)
        }
        Err(error) => no_signals(&error),
    };
    replaced::tell(&guards);
    if arguments.inherits() {
        leave_to_heirs(arguments, guards);
    } else {
        release(guards);
    }
    exit
}

fn release(guards: Vec<MemberGuard>) {
    for error in guards
        .into_iter()
        .rev()
        .filter_map(|guard| guard.release().err())
    {
        say(error);
    }
}

/// Leaves the locks to the processes that inherited them, if any. An unlock would release the lock
/// for them too, so the files are only closed, most of them by the end of this process.
fn leave_to_heirs(arguments: &args::Run, guards: Vec<MemberGuard>) {
    for mut guard in guards.into_iter().rev() {
        if let Err(error) = command_support::end_record(&mut guard) {
            say(error);
        }
        if arguments.remove
            && let Err(error) = remove(arguments, &guard)
        {
            say(error);
        }
        std::mem::forget(guard);
    }
}

fn remove(arguments: &args::Run, guard: &MemberGuard) -> lockfast::Result<()> {
    let path = command_support::path(guard);
    if let Err(error) = sys::let_go(command_support::file(guard)) {
        let path = path.display();
        say(format_args!("cannot remove lock file {path}: {error}"));
        return Ok(());
    }
    locks::remove_unless_held(path, arguments)
}

/// Reports that the last holder died: the command may have to repair what it left.
fn tell_of_abandoned(guard: &MemberGuard) {
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

fn run_command(
    arguments: &args::Run,
    limit: Option<&Limit>,
    held: Held,
    guards: &[MemberGuard],
    mut signals: Signals,
) -> Exit {
    let equipment = match Equipment::of(arguments, held, guards) {
        Ok(equipment) => equipment,
        Err(exit) => return exit,
    };
    let start = |words: &[&OsStr]| {
        let mut command = equipment.command(words);
        if sys::CAN_KILL_WITH_PARENT && arguments.kill_with_parent.unwrap_or(true) {
            sys::kill_with_parent(&mut command)?;
        }
        child::run(&mut command, &mut signals, limit)
    };
    let words = &arguments.command;
    with_shell(words, start).unwrap_or_else(|error| not_started(&words[0], &error, guards))
}

/// Replaces this process with the command; returns only on failure.
fn become_command(arguments: &args::Run, held: Held, guards: &[MemberGuard]) -> Exit {
    let equipment = match Equipment::of(arguments, held, guards) {
        Ok(equipment) => equipment,
        Err(exit) => return exit,
    };
    let start = |words: &[&OsStr]| Err(sys::become_command(&mut equipment.command(words)));
    let words = &arguments.command;
    with_shell(words, start).unwrap_or_else(|error| not_started(&words[0], &error, guards))
}

/// Starts the command, through the shell if it is a script without an interpreter line. `execvp`
/// does that, but other ways to start a program do not.
fn with_shell(
    words: &[std::ffi::OsString],
    mut start: impl FnMut(&[&OsStr]) -> io::Result<Exit>,
) -> io::Result<Exit> {
    let words: Vec<&OsStr> = words.iter().map(AsRef::as_ref).collect();
    match start(&words) {
        Err(error) if sys::is_for_shell(&error) => {
            let script = found(words[0]).ok_or(error)?;
            let shell = [OsStr::new("/bin/sh"), script.as_os_str()];
            start(&[&shell, &words[1..]].concat())
        }
        started => started,
    }
}

/// Finds a program by its name.
fn found(program: &OsStr) -> Option<PathBuf> {
    let program = Path::new(program);
    if program.components().count() > 1 || program.is_absolute() {
        return Some(program.to_owned());
    }
    let directories = std::env::var_os("PATH")?;
    std::env::split_paths(&directories)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// Descriptors and environment of the command.
struct Equipment {
    held: Held,
    inherited: sys::Inherited,
    token: Option<u64>,
}

impl Equipment {
    /// Prepares them. An error has been printed already.
    fn of(arguments: &args::Run, mut held: Held, guards: &[MemberGuard]) -> Result<Self, Exit> {
        let mut inherited = sys::Inherited::default();
        for guard in guards {
            let path = command_support::path(guard);
            let number = if arguments.inherits() {
                let number = inherited.add(command_support::file(guard));
                Some(number.map_err(|error| {
                    let path = path.display();
                    say(format_args!(
                        "cannot pass lock {path} to the command: {error}"
                    ));
                    Exit::SYSTEM
                })?)
            } else {
                None
            };
            held.add(path, number);
        }
        let token = match guards.first() {
            Some(MemberGuard::Write(guard)) => guard.token(),
            _ => None,
        };
        Ok(Self {
            held,
            inherited,
            token,
        })
    }

    fn command(&self, words: &[&OsStr]) -> Command {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        self.inherited.give(&mut command);
        self.held.tell(&mut command);
        // The token of an enclosing command belongs to another lock.
        match self.token {
            Some(token) => command.env("LOCKFAST_TOKEN", token.to_string()),
            None => command.env_remove("LOCKFAST_TOKEN"),
        };
        command
    }
}

fn not_started(program: &OsStr, error: &io::Error, guards: &[MemberGuard]) -> Exit {
    let name = Path::new(program).display();
    if error.kind() == io::ErrorKind::ExecutableFileBusy && is_locked(program, guards) {
        say(format_args!(
            "cannot run {name}: it is the lock file and is open for writing; use --protocol flock or \
             --shared, which open it for reading, or another lock file"
        ));
        return Exit::NOT_EXECUTABLE;
    }
    say(format_args!("cannot run {name}: {error}"));
    match error.kind() {
        io::ErrorKind::NotFound => Exit::NOT_FOUND,
        _ if refused::is_exhausted(error) => Exit::SYSTEM,
        _ => Exit::NOT_EXECUTABLE,
    }
}

/// Whether the program is one of the lock files.
fn is_locked(program: &OsStr, guards: &[MemberGuard]) -> bool {
    let Some(Ok(program)) = found(program).map(|path| sys::file_key(&path)) else {
        return false;
    };
    let mut paths = guards.iter().map(command_support::path);
    paths.any(|path| sys::file_key(path).is_ok_and(|key| key == program))
}
