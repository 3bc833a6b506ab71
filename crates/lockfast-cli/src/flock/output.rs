//! Messages of `lockfast flock`.

use std::fmt::Display;
use std::io::{self, Write};

use crate::exit::Exit;

/// Output under the name of the program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) name: &'static str,
}

impl Output {
    pub(super) fn error(self, message: impl Display) {
        // Nobody is left to read it if standard error is closed.
        let _ = writeln!(io::stderr(), "{}: {message}", self.name);
    }

    pub(super) fn try_help(self) {
        let name = self.name;
        let _ = writeln!(io::stderr(), "Try '{name} --help' for more information.");
    }

    pub(super) fn out(self, text: impl Display) -> Exit {
        match write!(io::stdout(), "{text}").and_then(|()| io::stdout().flush()) {
            Ok(()) => Exit::SUCCESS,
            Err(error) => {
                self.error(format_args!("write error: {}", reason(&error)));
                Exit::code(1)
            }
        }
    }
}

/// Returns the system's message for an error, without the number that the standard library adds.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
