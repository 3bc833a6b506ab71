//! The descriptors and the environment that the command gets.

use std::ffi::OsStr;
use std::process::Command;

use lockfast::{MemberGuard, command_support};

use crate::args;
use crate::exit::{Exit, say};
use crate::held::Held;
use crate::sys;

/// Descriptors and environment of the command.
pub(super) struct Setup {
    held: Held,
    /// Open until the command has started.
    _inherited: sys::Inherited,
    token: Option<u64>,
}

impl Setup {
    /// Prepares them. An error has been printed already.
    pub(super) fn of(
        arguments: &args::Run,
        mut held: Held,
        guards: &[MemberGuard],
    ) -> Result<Self, Exit> {
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
            _inherited: inherited,
            token,
        })
    }

    pub(super) fn command(&self, words: &[&OsStr]) -> Command {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        self.held.export(&mut command);
        // The token of an enclosing command belongs to another lock.
        match self.token {
            Some(token) => command.env("LOCKFAST_TOKEN", token.to_string()),
            None => command.env_remove("LOCKFAST_TOKEN"),
        };
        command
    }
}
