//! Completions and man pages, made from the definition of the command line.

use std::io::{self, Write};
use std::path::PathBuf;

use clap_complete::Shell;

use crate::args;
use crate::exit::{self, Exit, say};

/// What can be said after `lockfast completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell that they are for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// What can be said after `lockfast man`.
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// The directory that they are written to
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Prints the completions of a shell.
pub(crate) fn completions(arguments: &Completions) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut args::command(), "lockfast", &mut text);
    exit::note(io::stdout().write_all(&text));
    Exit::SUCCESS
}

/// Writes the man pages, one for each subcommand.
pub(crate) fn man(arguments: &Man) -> Exit {
    let directory = &arguments.directory;
    match clap_mangen::generate_to(args::command(), directory) {
        Ok(()) => Exit::SUCCESS,
        Err(error) => {
            let directory = directory.display();
            say(format_args!(
                "cannot write man pages to {directory}: {error}"
            ));
            Exit::CANNOT_CREATE
        }
    }
}
