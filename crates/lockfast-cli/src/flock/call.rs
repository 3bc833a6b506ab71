//! The parsed command line of `lockfast flock`.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use lockfast::command_support::KernelLock;

use super::numbers::{self, NoNumber};
use super::options::Key;
use super::output::reason;
use super::words::{Words, Wrong};

/// A valid call.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct Call {
    pub(super) operation: Operation,
    pub(super) lock: KernelLock,
    pub(super) no_wait: bool,
    pub(super) limit: Limit,
    pub(super) conflict_exit_code: u8,
    pub(super) close: bool,
    pub(super) no_fork: bool,
    pub(super) verbose: bool,
    pub(super) subject: Subject,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Exclusive,
    Shared,
    Unlock,
}

/// The limit of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    None,
    After(Duration),
    /// A time that can't be set as a timer.
    Impossible,
}

/// The file to lock.
#[derive(Debug)]
pub(super) enum Subject {
    /// A path, and the command to run.
    Path(OsString, Vec<OsString>),
    /// A descriptor of the caller.
    Descriptor(i32),
}

/// The meaning of a command line.
#[derive(Debug)]
pub(super) enum Parsed {
    Call(Call),
    Help,
    Version,
}

/// The reason why a command line is invalid.
#[derive(Debug)]
pub(super) enum Refusal {
    /// An invalid option; `--help` helps.
    Options(Option<String>),
    /// An invalid value.
    Meaning(String),
}

impl Subject {
    pub(super) fn command(&self) -> Option<&[OsString]> {
        match self {
            Self::Path(_, command) => Some(command),
            Self::Descriptor(_) => None,
        }
    }
}

impl Call {
    /// Parses the arguments after the program's name.
    pub(super) fn parse(words: Vec<OsString>) -> Result<Parsed, Refusal> {
        if words.is_empty() {
            return Err(Refusal::Options(Some("not enough arguments".to_owned())));
        }
        let mut call = Self {
            operation: Operation::Exclusive,
            lock: KernelLock::File,
            no_wait: false,
            limit: Limit::None,
            conflict_exit_code: 1,
            close: false,
            no_fork: false,
            verbose: false,
            subject: Subject::Descriptor(-1),
        };
        let mut words = Words::new(words);
        loop {
            let option = words.option().map_err(|wrong| match wrong {
                Wrong::Question => Refusal::Options(None),
                wrong => Refusal::Options(Some(wrong.to_string())),
            })?;
            match option {
                Some((Key::Help, _)) => return Ok(Parsed::Help),
                Some((Key::Version, _)) => return Ok(Parsed::Version),
                Some((key, value)) => call.set(key, &value)?,
                None => break,
            }
        }
        if call.no_fork && call.close {
            return Err(Refusal::Meaning(
                "the --no-fork and --close options are incompatible".to_owned(),
            ));
        }
        call.subject = subject(words.operands())?;
        Ok(Parsed::Call(call))
    }

    fn set(&mut self, key: Key, value: &OsStr) -> Result<(), Refusal> {
        match key {
            Key::Shared => self.operation = Operation::Shared,
            Key::Exclusive => self.operation = Operation::Exclusive,
            Key::Unlock => self.operation = Operation::Unlock,
            Key::NoWait => self.no_wait = true,
            Key::Close => self.close = true,
            Key::NoFork => self.no_fork = true,
            Key::Verbose => self.verbose = true,
            Key::Timeout => {
                let seconds = numbers::seconds(value)
                    .map_err(|why| no_number("invalid timeout value", value, why))?;
                self.limit = seconds.map_or(Limit::Impossible, Limit::After);
            }
            Key::ConflictExitCode => {
                let code = numbers::integer(value)
                    .map_err(|why| no_number("invalid exit code", value, why))?;
                self.conflict_exit_code = u8::try_from(code).map_err(|_| {
                    Refusal::Meaning("exit code out of range (expected 0 to 255)".to_owned())
                })?;
            }
            Key::Fcntl => self.lock_bytes(None, None),
            Key::Start => {
                let start = size("invalid as start offset", value)?;
                self.lock_bytes(Some(start), None);
            }
            Key::Length => {
                let length = size("invalid as length of lock range", value)?;
                self.lock_bytes(None, Some(length));
            }
            Key::Help | Key::Version | Key::Command => {}
        }
        Ok(())
    }

    fn lock_bytes(&mut self, new_start: Option<i64>, new_len: Option<i64>) {
        let (start, len) = match self.lock {
            KernelLock::File => (0, 0),
            KernelLock::Bytes { start, len } => (start, len),
        };
        self.lock = KernelLock::Bytes {
            start: new_start.unwrap_or(start),
            len: new_len.unwrap_or(len),
        };
    }
}

fn subject(operands: Vec<OsString>) -> Result<Subject, Refusal> {
    let mut operands = operands.into_iter();
    let Some(first) = operands.next() else {
        return Err(Refusal::Meaning(
            "requires file descriptor, file or directory".to_owned(),
        ));
    };
    let mut command: Vec<_> = operands.collect();
    let Some(program) = command.first() else {
        return match numbers::integer(&first) {
            Ok(number) => Ok(Subject::Descriptor(number)),
            Err(why) => Err(no_number("bad file descriptor", &first, why)),
        };
    };
    if program == "-c" || program == "--command" {
        if command.len() != 2 {
            let option = program.to_string_lossy();
            return Err(Refusal::Meaning(format!(
                "{option} requires exactly one command argument"
            )));
        }
        let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
        command[0] = "-c".into();
        command.insert(0, shell.unwrap_or_else(|| "/bin/sh".into()));
    }
    Ok(Subject::Path(first, command))
}

fn no_number(what: &str, text: &OsStr, why: NoNumber) -> Refusal {
    let text = Path::new(text).display();
    let mut message = format!("{what}: '{text}'");
    if why == NoNumber::Range {
        message.push_str(": ");
        let error = std::io::Error::from_raw_os_error(libc::ERANGE);
        message.push_str(&reason(&error));
    }
    Refusal::Meaning(message)
}

/// Parses an offset. -1, which the kernel rejects, stands for one that is too large.
fn size(what: &str, text: &OsStr) -> Result<i64, Refusal> {
    numbers::size(text)
        .map(|size| i64::try_from(size).unwrap_or(-1))
        .map_err(|error| {
            let (text, why) = (Path::new(text).display(), reason(&error));
            Refusal::Meaning(format!("{what}: '{text}': {why}"))
        })
}
