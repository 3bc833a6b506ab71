//! The start of the command.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use lockfast::{MemberGuard, command_support};

use super::setup::Setup;
use crate::args;
use crate::child::{self, Limit, Signals};
use crate::exit::{Exit, say};
use crate::held::Held;
use crate::refused;
use crate::sys;

/// Runs the command and waits for its end.
pub(super) fn run_command(
    arguments: &args::Run,
    limit: Option<&Limit>,
    held: Held,
    guards: &[MemberGuard],
    mut signals: Signals,
) -> Exit {
    let setup = match Setup::of(arguments, held, guards) {
        Ok(setup) => setup,
        Err(exit) => return exit,
    };
    let start = |words: &[&OsStr]| {
        let with_parent = sys::CAN_KILL_WITH_PARENT && arguments.kill_with_parent.unwrap_or(true);
        child::run(
            &mut setup.command(words),
            &mut signals,
            limit,
            None,
            with_parent,
        )
    };
    let words = &arguments.command;
    with_shell(words, start).unwrap_or_else(|error| not_started(&words[0], &error, guards))
}

/// Replaces this process with the command; returns only on failure.
pub(super) fn become_command(arguments: &args::Run, held: Held, guards: &[MemberGuard]) -> Exit {
    let setup = match Setup::of(arguments, held, guards) {
        Ok(setup) => setup,
        Err(exit) => return exit,
    };
    let start = |words: &[&OsStr]| Err(sys::become_command(&mut setup.command(words)));
    let words = &arguments.command;
    with_shell(words, start).unwrap_or_else(|error| not_started(&words[0], &error, guards))
}

/// Starts the command, through the shell if it is a script without an interpreter line. `execvp`
/// does that, but other ways to start a program do not.
pub(crate) fn with_shell(
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

pub(crate) fn not_started(program: &OsStr, error: &io::Error, guards: &[MemberGuard]) -> Exit {
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
