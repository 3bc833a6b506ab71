//! The options of `lockfast flock`: one table for the parser, the help and clap.

use std::ffi::OsString;
use std::fmt::Write;

use clap::{Arg, ArgAction, ArgGroup, Command, ValueHint, value_parser};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
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
    /// `-c`, which follows the file and is no option for `getopt_long`.
    Command,
}

/// An option and its names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition {
    pub(super) key: Key,
    /// Letters with the same meaning.
    pub(super) short: &'static str,
    pub(super) long: &'static str,
    /// Another long name.
    pub(super) alias: Option<&'static str>,
    /// Name of the value, for an option that has one.
    pub(super) value: Option<&'static str>,
    help: &'static str,
}

/// All options, in the order of util-linux, which shows in messages about ambiguous abbreviations.
pub(super) const OPTIONS: [Definition; 14] = [
    flag(Key::Shared, "s", "shared", "take a shared lock"),
    flag(
        Key::Exclusive,
        "xe",
        "exclusive",
        "take an exclusive lock, the default",
    ),
    flag(
        Key::Unlock,
        "u",
        "unlock",
        "release the lock of an open file",
    ),
    flag(Key::NoWait, "n", "nonblocking", "do not wait").alias("nb"),
    flag(
        Key::Timeout,
        "w",
        "timeout",
        "wait at most this long; fractions are allowed",
    )
    .alias("wait")
    .value("secs"),
    flag(
        Key::ConflictExitCode,
        "E",
        "conflict-exit-code",
        "exit code if the lock is not obtained (default 1)",
    )
    .value("number"),
    flag(
        Key::Close,
        "o",
        "close",
        "do not let the command inherit the lock",
    ),
    flag(
        Key::NoFork,
        "F",
        "no-fork",
        "replace this process with the command",
    ),
    flag(
        Key::Verbose,
        "",
        "verbose",
        "print how long it took, or why it failed",
    ),
    flag(
        Key::Fcntl,
        "",
        "fcntl",
        "use a byte lock (F_OFD_SETLK) instead of flock(2)",
    ),
    flag(
        Key::Start,
        "",
        "start",
        "first byte of the lock; implies --fcntl",
    )
    .value("offset"),
    flag(
        Key::Length,
        "",
        "length",
        "number of bytes, 0 for all; implies --fcntl",
    )
    .value("number"),
    flag(Key::Help, "h", "help", "print this help"),
    flag(Key::Version, "V", "version", "print the version"),
];

const COMMAND: Definition = flag(
    Key::Command,
    "c",
    "command",
    "after the file: a shell command line",
)
.value("command");

const fn flag(key: Key, short: &'static str, long: &'static str, help: &'static str) -> Definition {
    Definition {
        key,
        short,
        long,
        alias: None,
        value: None,
        help,
    }
}

impl Definition {
    const fn alias(self, alias: &'static str) -> Self {
        let alias = Some(alias);
        Self { alias, ..self }
    }

    const fn value(self, name: &'static str) -> Self {
        let value = Some(name);
        Self { value, ..self }
    }

    /// Returns the long name that flock(1) documents, which is an abbreviation for one option.
    fn documented(&self) -> &'static str {
        match self.long {
            "nonblocking" => "nonblock",
            long => long,
        }
    }

    /// Returns all names, for example `-w, --wait, --timeout <secs>`.
    fn usage(&self) -> String {
        let longs = self.alias.into_iter().chain([self.documented()]);
        let shorts = self.short.chars().map(|letter| format!("-{letter}"));
        let names: Vec<_> = shorts
            .chain(longs.map(|long| format!("--{long}")))
            .collect();
        let indent = if self.short.is_empty() { "    " } else { "" };
        let value = self.value.map(|name| format!(" <{name}>"));
        format!("{indent}{}{}", names.join(", "), value.unwrap_or_default())
    }

    fn for_clap(&self) -> Arg {
        let name = self.documented();
        let mut help = self.help.to_owned();
        help[..1].make_ascii_uppercase();
        let mut letters = self.short.chars();
        let mut argument = Arg::new(name).long(name).short(letters.next()).help(help);
        argument = match self.value {
            Some(value) => argument.value_name(value),
            None => argument.action(ArgAction::SetTrue),
        };
        if let Some(alias) = self.alias {
            argument = argument.visible_alias(alias);
        }
        letters.fold(argument, Arg::visible_short_alias)
    }
}

pub(super) fn help(name: &str) -> String {
    let mut text = format!(
        "\nUsage:\n \
         {name} [options] <file>|<directory> <command> [<argument>...]\n \
         {name} [options] <file>|<directory> -c <command>\n \
         {name} [options] <file descriptor number>\n\n\
         Locks for shell scripts, compatible with flock(1) of util-linux.\n\nOptions:\n"
    );
    for option in [COMMAND].iter().chain(&OPTIONS) {
        let (usage, help) = (option.usage(), option.help);
        writeln!(text, " {usage:<34} {help}").expect("a string takes it all");
    }
    text
}

/// Returns the definition for clap, which generates completions and man pages and never parses a call.
pub(crate) fn definition() -> Command {
    let options = OPTIONS.iter().filter(|option| option.key != Key::Help);
    Command::new("flock")
        .about("Replace flock(1): the same options, exit codes and messages")
        .long_about(
            "Replace flock(1) of util-linux: the same options, exit codes and messages, also when the \
             program is called by the name `flock`. By default it takes a flock(2) lock, which the \
             command inherits.\n\nUnlike flock(1), it cannot miss the alarm of --timeout, and it \
             passes the signals TERM, INT, HUP, QUIT, USR1 and USR2 on to the command.",
        )
        .disable_version_flag(true)
        .args(options.chain([&COMMAND]).map(Definition::for_clap))
        .args([
            Arg::new("FILE")
                .value_name("FILE|DIRECTORY|DESCRIPTOR")
                .required(true)
                .value_hint(ValueHint::AnyPath)
                .help("File to lock; a number without a command is an open file of the caller"),
            Arg::new("COMMAND")
                .num_args(0..)
                .trailing_var_arg(true)
                .value_parser(value_parser!(OsString))
                .value_hint(ValueHint::CommandWithArguments)
                .help("The command and its arguments"),
        ])
        .group(ArgGroup::new("operation").args(["shared", "exclusive", "unlock"]))
        .after_help(
            "Exit code: that of the command; 128+N if signal N kills it; 1 (or -E) if the lock is not \
             obtained; 64 usage; 65 the lock is refused; 66 the file cannot be opened; 69 the command \
             cannot be executed; 71 system error; 73 the file cannot be created.",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_has_every_name() {
        let help = help("flock");
        for line in [
            " -s, --shared                       take a shared lock",
            " -x, -e, --exclusive                take an exclusive lock, the default",
            " -n, --nb, --nonblock               do not wait",
            " -w, --wait, --timeout <secs>       wait at most this long; fractions are allowed",
            " -c, --command <command>            after the file: a shell command line",
            "     --fcntl                        use a byte lock (F_OFD_SETLK) instead of flock(2)",
        ] {
            assert!(help.lines().any(|shown| shown == line), "{line}\n{help}");
        }
    }

    #[test]
    fn clap_has_every_name() {
        let definition = definition();
        let names = |argument: &Arg| -> Vec<String> {
            let longs = argument.get_long_and_visible_aliases().unwrap_or_default();
            let shorts = argument.get_short_and_visible_aliases().unwrap_or_default();
            let longs = longs.into_iter().map(str::to_owned);
            longs.chain(shorts.into_iter().map(String::from)).collect()
        };
        let defined: Vec<_> = definition.get_arguments().flat_map(names).collect();
        for name in [
            "exclusive",
            "x",
            "e",
            "nonblock",
            "nb",
            "wait",
            "w",
            "command",
            "V",
            "length",
        ] {
            assert!(
                defined.iter().any(|known| known == name),
                "{name}: {defined:?}"
            );
        }
    }
}
