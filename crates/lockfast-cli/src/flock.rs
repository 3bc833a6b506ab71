//! `lockfast flock`, also as `flock`: a replacement for flock(1) of util-linux.
//!
//! It has the same options, exit codes and messages. Unlike flock(1), its timeout can't miss the
//! alarm, and it passes signals on to the command.

mod call;
mod numbers;
mod options;
mod output;
mod words;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use lockfast::command_support::{KernelLock, Until};
use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{self, AccessFlags};

pub(crate) use self::options::definition;
use self::output::{Output, reason};
use call::{Call, Limit, Operation, Parsed, Refusal, Subject};

use crate::child::{self, Signals};
use crate::exit::Exit;
use crate::sys::{self, Mortality};

/// Exit codes of sysexits.h, as flock(1) uses them.
const USAGE: Exit = Exit::USAGE;
const DATA: Exit = Exit::code(65);
const NO_INPUT: Exit = Exit::code(66);
const UNAVAILABLE: Exit = Exit::code(69);
const SYSTEM: Exit = Exit::SYSTEM;
const CANNOT_CREATE: Exit = Exit::CANNOT_CREATE;

/// Returns the arguments of `flock`, and the name it was called by, if the program was called by
/// that name or with it as its first argument.
pub(crate) fn is_called(words: &[OsString]) -> Option<(&'static str, Vec<OsString>)> {
    let (program, arguments) = words.split_first()?;
    if Path::new(program).file_name() == Some(OsStr::new("flock")) {
        return Some(("flock", arguments.to_vec()));
    }
    match arguments.split_first() {
        Some((first, rest)) if first == "flock" => Some(("lockfast flock", rest.to_vec())),
        _ => None,
    }
}

/// Runs flock with these arguments.
pub(crate) fn run(name: &'static str, words: Vec<OsString>) -> Exit {
    let output = Output { name };
    match Call::parse(words) {
        Ok(Parsed::Call(call)) => Flock { output, call }.run(),
        Ok(Parsed::Help) => output.out(format_args!("{}", options::help(name))),
        Ok(Parsed::Version) => {
            let version = env!("CARGO_PKG_VERSION");
            output.out(format_args!("{name} from lockfast {version}\n"))
        }
        Err(refusal) => {
            match refusal {
                Refusal::Options(None) => output.try_help(),
                Refusal::Options(Some(why)) => {
                    output.error(why);
                    output.try_help();
                }
                Refusal::Meaning(why) => output.error(why),
            }
            USAGE
        }
    }
}

/// A call of flock.
#[derive(Debug)]
struct Flock {
    output: Output,
    call: Call,
}

impl Flock {
    fn run(&self) -> Exit {
        let mortality = match Mortality::begin(&child::PASSED_ON) {
            Ok(mortality) => mortality,
            Err(error) => return self.no_signals(&error),
        };
        match self.lock() {
            Ok(file) => match self.call.subject.command() {
                Some(command) => self.execute(command, file, mortality),
                None => Exit::SUCCESS,
            },
            Err(exit) => exit,
        }
    }

    /// Opens and locks the file. Errors have been printed.
    fn lock(&self) -> Result<File, Exit> {
        let mut access = match (self.call.lock, self.call.operation) {
            // The kernel requires it for an exclusive byte lock.
            (KernelLock::Bytes { .. }, Operation::Exclusive) => OFlag::O_WRONLY,
            _ => OFlag::O_RDONLY,
        };
        let mut file = match &self.call.subject {
            Subject::Path(path, _) => self.open(path, &mut access)?,
            Subject::Descriptor(number) => {
                sys::duplicate(*number).map_err(|error| self.refused(&error))?
            }
        };
        let until = self.until()?;
        let since = Instant::now();
        let locked = loop {
            match (self.attempt(&file, until), &self.call.subject) {
                (Err(error), Subject::Path(path, _))
                    if self.may_need_both(&error, access) && is_accessible(path) =>
                {
                    // Closed first, so that the new file gets the same descriptor.
                    drop(file);
                    access = OFlag::O_RDWR;
                    file = self.open(path, &mut access)?;
                    if access != OFlag::O_RDWR {
                        return Err(self.refused(&Errno::EISDIR.into()));
                    }
                }
                (locked, _) => break locked,
            }
        };
        match locked {
            Ok(true) => self.obtained(since),
            Err(error) if !means_held(&error) => return Err(self.refused(&error)),
            Ok(false) | Err(_) => return Err(self.conflict(until)),
        }
        Ok(file)
    }

    fn obtained(&self, since: Instant) {
        if self.call.verbose {
            let (name, took) = (self.output.name, since.elapsed());
            let (seconds, micros) = (took.as_secs(), took.subsec_micros());
            self.output.out(format_args!(
                "{name}: getting lock took {seconds}.{micros:06} seconds\n"
            ));
        }
    }

    fn conflict(&self, until: Until) -> Exit {
        if self.call.verbose {
            self.output.error(match until {
                Until::Instant(_) => "timeout while waiting to get lock",
                Until::Now | Until::Granted => "failed to get lock",
            });
        }
        Exit::code(self.call.conflict_exit_code)
    }

    fn attempt(&self, file: &File, until: Until) -> io::Result<bool> {
        let lock = self.call.lock;
        match self.call.operation {
            Operation::Exclusive => lock.acquire(file, false, until),
            Operation::Shared => lock.acquire(file, true, until),
            Operation::Unlock => lock.release(file).map(|()| true),
        }
    }

    fn until(&self) -> Result<Until, Exit> {
        match self.call.limit {
            Limit::None | Limit::After(_) if self.call.no_wait => Ok(Until::Now),
            Limit::None => Ok(Until::Granted),
            Limit::After(Duration::ZERO) => Ok(Until::Now),
            Limit::After(time) => Ok(Instant::now()
                .checked_add(time)
                .map_or(Until::Granted, Until::Instant)),
            Limit::Impossible => {
                let why = reason(&Errno::EINVAL.into());
                self.output
                    .error(format_args!("cannot set up timer: {why}"));
                Err(SYSTEM)
            }
        }
    }

    /// Whether the error comes from a network file system that emulates flock with record locks,
    /// which need a file that is open for writing.
    fn may_need_both(&self, error: &io::Error, access: OFlag) -> bool {
        let wants_both = matches!(error.raw_os_error(), Some(libc::EIO | libc::EBADF));
        wants_both && access != OFlag::O_RDWR && self.call.operation != Operation::Shared
    }

    /// Opens the file as flock(1) does: missing files are created, links are followed. For a
    /// directory `access` becomes read-only.
    fn open(&self, path: &OsStr, access: &mut OFlag) -> Result<File, Exit> {
        let mut flags = OFlag::O_NOCTTY;
        if self.call.close {
            flags |= OFlag::O_CLOEXEC;
        }
        let everybody = Mode::from_bits_truncate(0o666);
        let opened = match fcntl::open(path, *access | OFlag::O_CREAT | flags, everybody) {
            Err(Errno::EISDIR) => {
                *access = OFlag::O_RDONLY;
                fcntl::open(path, *access | flags, Mode::empty())
            }
            opened => opened,
        };
        opened.map(File::from).map_err(|errno| {
            let (path, why) = (Path::new(path).display(), reason(&errno.into()));
            self.output
                .error(format_args!("cannot open lock file {path}: {why}"));
            match errno {
                Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE => SYSTEM,
                Errno::EROFS | Errno::ENOSPC => CANNOT_CREATE,
                _ => NO_INPUT,
            }
        })
    }

    /// Reports that the kernel refused the lock.
    fn refused(&self, error: &io::Error) -> Exit {
        let why = reason(error);
        match &self.call.subject {
            Subject::Path(path, _) => {
                let path = Path::new(path).display();
                self.output.error(format_args!("{path}: {why}"));
            }
            Subject::Descriptor(number) => self.output.error(format_args!("{number}: {why}")),
        }
        match error.raw_os_error() {
            Some(libc::ENOLCK | libc::ENOMEM) => SYSTEM,
            _ => DATA,
        }
    }

    /// Runs the command, which inherits the lock unless `--close` is given.
    fn execute(&self, words: &[OsString], file: File, mortality: Mortality) -> Exit {
        let (program, arguments) = words.split_first().expect("a command has a word");
        if self.call.verbose {
            let (name, program) = (self.output.name, Path::new(program).display());
            self.output
                .out(format_args!("{name}: executing {program}\n"));
        }
        let mut command = Command::new(program);
        command.args(arguments);
        if self.call.no_fork {
            sys::start_with_default(&mut command, Signal::SIGCHLD);
            drop(mortality);
            let error = command.exec();
            return self.not_executed(program, &error);
        }
        let exit = match Signals::catch(false) {
            Ok(mut signals) => {
                drop(mortality);
                signals.start_with_default(Signal::SIGCHLD);
                child::run(&mut command, &mut signals, None, None, false)
            }
            Err(error) => return self.no_signals(&error),
        };
        // Closed without an unlock: the last user of the lock may be another process.
        drop(file);
        exit.unwrap_or_else(|error| self.not_executed(program, &error))
    }

    fn no_signals(&self, error: &io::Error) -> Exit {
        let why = reason(error);
        self.output
            .error(format_args!("cannot handle signals: {why}"));
        SYSTEM
    }

    fn not_executed(&self, program: &OsStr, error: &io::Error) -> Exit {
        let why = reason(error);
        if error.kind() == io::ErrorKind::WouldBlock {
            self.output.error(format_args!("fork failed: {why}"));
            return SYSTEM;
        }
        let program = Path::new(program).display();
        self.output
            .error(format_args!("failed to execute {program}: {why}"));
        match error.raw_os_error() {
            Some(libc::ENOMEM) => SYSTEM,
            _ => UNAVAILABLE,
        }
    }
}

fn is_accessible(path: &OsStr) -> bool {
    unistd::access(path, AccessFlags::R_OK | AccessFlags::W_OK).is_ok()
}

/// Whether the lock is held. SMB clients report EACCES for it.
fn means_held(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EACCES | libc::EAGAIN))
}
