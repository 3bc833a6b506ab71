//! The parsed command line of `lockfast flock`, and its help.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgGroup, Command, ValueHint, value_parser};
use lockfast::command_support::KernelLock;

use super::numbers::{self, NoNumber};
use super::words::{Grammar, Name, Words};

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Shared,
    Exclusive,
    Unlock,
    NoWait,
    Timeout,
    ConflictExitCode,
    Close,
    NoFork,
    Verbose,
    Fcntl,
    Start,
    Length,
    Help,
    Version,
    Question,
}

const fn name(long: &'static str, key: Key, has_value: bool) -> Name<Key> {
    Name {
        long,
        key,
        has_value,
    }
}

const GRAMMAR: Grammar<Key> = Grammar {
    long: &[
        name("shared", Key::Shared, false),
        name("exclusive", Key::Exclusive, false),
        name("unlock", Key::Unlock, false),
        name("nonblocking", Key::NoWait, false),
        name("nb", Key::NoWait, false),
        name("timeout", Key::Timeout, true),
        name("wait", Key::Timeout, true),
        name("conflict-exit-code", Key::ConflictExitCode, true),
        name("close", Key::Close, false),
        name("no-fork", Key::NoFork, false),
        name("verbose", Key::Verbose, false),
        name("fcntl", Key::Fcntl, false),
        name("start", Key::Start, true),
        name("length", Key::Length, true),
        name("help", Key::Help, false),
        name("version", Key::Version, false),
    ],
    short: &[
        (b's', Key::Shared, false),
        (b'e', Key::Exclusive, false),
        (b'x', Key::Exclusive, false),
        (b'n', Key::NoWait, false),
        (b'o', Key::Close, false),
        (b'F', Key::NoFork, false),
        (b'u', Key::Unlock, false),
        (b'w', Key::Timeout, true),
        (b'E', Key::ConflictExitCode, true),
        (b'h', Key::Help, false),
        (b'V', Key::Version, false),
        (b'?', Key::Question, false),
    ],
};

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
        let mut words = Words::new(GRAMMAR, words);
        loop {
            let option = words.option();
            let option = option.map_err(|wrong| Refusal::Options(Some(wrong.to_string())))?;
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
            Key::Help | Key::Version => {}
            Key::Question => return Err(Refusal::Options(None)),
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
        message.push_str(&super::reason(&error));
    }
    Refusal::Meaning(message)
}

/// Parses an offset. -1, which the kernel rejects, stands for one that is too large.
fn size(what: &str, text: &OsStr) -> Result<i64, Refusal> {
    numbers::size(text)
        .map(|size| i64::try_from(size).unwrap_or(-1))
        .map_err(|error| {
            let (text, why) = (Path::new(text).display(), super::reason(&error));
            Refusal::Meaning(format!("{what}: '{text}': {why}"))
        })
}

/// Each option of the help: how it is written, and what it does.
const HELP: [(&str, &str); 15] = [
    ("-s, --shared", "take a shared lock"),
    ("-x, -e, --exclusive", "take an exclusive lock, the default"),
    ("-u, --unlock", "release the lock of an open file"),
    ("-n, --nb, --nonblock", "do not wait"),
    ("-w, --wait, --timeout <secs>", "wait at most this long"),
    (
        "-E, --conflict-exit-code <number>",
        "exit code if the lock is not obtained (default 1)",
    ),
    ("-o, --close", "do not let the command inherit the lock"),
    (
        "-c, --command <command>",
        "after the file: a shell command line",
    ),
    ("-F, --no-fork", "replace this process with the command"),
    (
        "    --fcntl",
        "use a byte lock (F_OFD_SETLK) instead of flock(2)",
    ),
    (
        "    --start <offset>",
        "first byte of the lock; implies --fcntl",
    ),
    (
        "    --length <number>",
        "number of bytes, 0 for all; implies --fcntl",
    ),
    ("    --verbose", "print how long it took, or why it failed"),
    ("-h, --help", "print this help"),
    ("-V, --version", "print the version"),
];

pub(super) fn help(name: &str) -> String {
    let mut text = format!(
        "\nUsage:\n \
         {name} [options] <file>|<directory> <command> [<argument>...]\n \
         {name} [options] <file>|<directory> -c <command>\n \
         {name} [options] <file descriptor number>\n\n\
         Locks for shell scripts, compatible with flock(1) of util-linux.\n\nOptions:\n"
    );
    for (option, what) in HELP {
        writeln!(text, " {option:<34} {what}").expect("a string takes it all");
    }
    text
}

/// The same for clap, which makes completions and man pages of it and never reads a call.
pub(crate) fn definition() -> Command {
    let flag = |id: &'static str, short: char, what: &'static str| {
        Arg::new(id)
            .short(short)
            .long(id)
            .action(ArgAction::SetTrue)
            .help(what)
    };
    let value = |id: &'static str, name: &'static str, what: &'static str| {
        Arg::new(id).long(id).value_name(name).help(what)
    };
    Command::new("flock")
        .about("Replace flock(1): the same options, exit codes and messages")
        .long_about(
            "Replace flock(1) of util-linux: the same options, exit codes and messages, also when the \
             program is called by the name `flock`. By default it takes a flock(2) lock, which the \
             command inherits.\n\nUnlike flock(1), it cannot miss the alarm of --timeout, and it \
             passes the signals TERM, INT, HUP, QUIT, USR1 and USR2 on to the command.",
        )
        .disable_version_flag(true)
        .args([
            flag("shared", 's', "Take a shared lock"),
            flag("exclusive", 'x', "Take an exclusive lock, the default; also as -e").short_alias('e'),
            flag("unlock", 'u', "Release the lock of an open file"),
            flag("nonblock", 'n', "Do not wait; also as --nb").visible_alias("nb"),
            value("timeout", "SECONDS", "Wait for that long at most, which may have a fraction; also as --wait")
                .short('w')
                .visible_alias("wait"),
            value("conflict-exit-code", "NUMBER", "Exit code if the lock is not obtained (default 1)")
                .short('E'),
            flag("close", 'o', "Do not let the command inherit the lock"),
            value("command", "COMMAND", "After the file: a shell command line").short('c'),
            flag("no-fork", 'F', "Replace this process with the command"),
            Arg::new("fcntl")
                .long("fcntl")
                .action(ArgAction::SetTrue)
                .help("Use a byte lock (F_OFD_SETLK) instead of flock(2)"),
            value("start", "OFFSET", "First byte of the lock; implies --fcntl"),
            value("length", "NUMBER", "Number of bytes, 0 for all; implies --fcntl"),
            Arg::new("verbose")
                .long("verbose")
                .action(ArgAction::SetTrue)
                .help("Print how long it took, or why it failed"),
            Arg::new("version")
                .short('V')
                .long("version")
                .action(ArgAction::SetTrue)
                .help("Print the version"),
            Arg::new("FILE")
                .value_name("FILE|DIRECTORY|DESCRIPTOR")
                .required(true)
                .value_hint(ValueHint::AnyPath)
                .help("What to lock; a number without a command is an open file of the caller"),
            Arg::new("COMMAND")
                .num_args(0..)
                .trailing_var_arg(true)
                .value_parser(value_parser!(OsString))
                .value_hint(ValueHint::CommandWithArguments)
                .help("The command and its arguments"),
        ])
        .group(ArgGroup::new("operation").args(["shared", "exclusive", "unlock"]))
        .after_help(
            "Exit code: the command's; 128+N when signal N killed it; 1 (or -E) when the lock was not \
             obtained; 64 usage, 65 the lock is refused, 66 the file cannot be opened, 69 the \
             command cannot be executed, 71 system error, 73 the file cannot be created.",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of an option in the definition for clap.
    fn names(argument: &Arg) -> Vec<String> {
        let longs = argument.get_long_and_visible_aliases().unwrap_or_default();
        longs.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn help_and_definition_have_every_option() {
        let definition = definition();
        let defined: Vec<_> = definition.get_arguments().flat_map(names).collect();
        let help = help("flock");
        for known in GRAMMAR.long {
            let option = known.long;
            // flock(1) documents an abbreviation.
            let documented = if option == "nonblocking" {
                "nonblock"
            } else {
                option
            };
            assert!(help.contains(&format!("--{documented}")), "{option}");
            let is_help = documented == "help";
            assert!(
                is_help || defined.contains(&documented.to_owned()),
                "{option}"
            );
        }
        for (letter, key, _) in GRAMMAR.short {
            let option = format!("-{}", char::from(*letter));
            assert!(*key == Key::Question || help.contains(&option), "{option}");
        }
    }
}
