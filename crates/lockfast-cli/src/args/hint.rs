//! Hints for mistakes that clap's messages do not explain.

use std::ffi::OsString;
use std::fmt::Write;

use clap::error::ErrorKind;
use clap::{Arg, Command};

/// Returns a hint for a rejected `lockfast run`, if the mistake is a known one.
pub(crate) fn of_mistake(words: &[OsString], error: &clap::Error) -> Option<String> {
    let words = words.get(1..)?;
    let known = matches!(
        error.kind(),
        ErrorKind::MissingRequiredArgument | ErrorKind::UnknownArgument
    );
    if !known || words.first()? != "run" || words.iter().any(|word| word == "--") {
        return None;
    }
    let words: Vec<_> = words[1..]
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    if let Some(at) = words.iter().position(|word| word == "-c") {
        let script = words
            .get(at + 1)
            .map_or("'COMMAND'".into(), |word| quoted(word));
        return Some(format!(
            "to run a shell command line, write: lockfast run LOCK -- sh -c {script}"
        ));
    }
    let definition = super::command();
    let run = definition.find_subcommand("run")?;
    let mut operands = words.iter();
    let lock = loop {
        let word = operands.next()?;
        if !word.starts_with('-') {
            break word;
        }
        if takes_next(run, word) {
            operands.next();
        }
    };
    let mut hint =
        "put `--` between the locks and the command, for example: lockfast run ".to_owned();
    let _ = write!(hint, "{} --", quoted(lock));
    let mut command = operands.peekable();
    if command.peek().is_none() {
        hint.push_str(" COMMAND");
    }
    for word in command {
        let _ = write!(hint, " {}", quoted(word));
    }
    Some(hint)
}

/// Whether the word after this option is its value.
fn takes_next(run: &Command, option: &str) -> bool {
    let is_meant = |argument: &&Arg| match option.strip_prefix("--") {
        Some(long) => {
            let names = argument.get_long_and_visible_aliases().unwrap_or_default();
            names.contains(&long)
        }
        None => argument.get_short() == option.chars().last(),
    };
    let argument = run.get_arguments().find(is_meant);
    argument
        .is_some_and(|known| known.get_action().takes_values() && !known.is_require_equals_set())
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(line: &str) -> Option<String> {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        let error = super::super::parse(words.clone()).expect_err("it is refused");
        of_mistake(&words, &error)
    }

    #[test]
    fn a_missing_double_dash_gets_a_hint() {
        let told = hint("lockfast run a.lock echo hi").expect("a hint");
        assert!(told.ends_with("lockfast run a.lock -- echo hi"), "{told}");
        let told = hint("lockfast run -n a.lock ls -l").expect("a hint");
        assert!(told.ends_with("lockfast run a.lock -- ls -l"), "{told}");
        let told = hint("lockfast run -sw 10 --mode 600 a.lock ls -l").expect("a hint");
        assert!(told.ends_with("lockfast run a.lock -- ls -l"), "{told}");
        let told = hint("lockfast run a.lock").expect("a hint");
        assert!(told.ends_with("lockfast run a.lock -- COMMAND"), "{told}");
        let told = hint("lockfast run a.lock -c make").expect("a hint");
        assert!(told.ends_with("-- sh -c make"), "{told}");
    }

    #[test]
    fn other_mistakes_get_no_hint() {
        assert_eq!(hint("lockfast run -w soon a.lock -- true"), None);
        assert_eq!(hint("lockfast status"), None);
    }
}
