//! Completions and man pages, generated from the definition of the command line.

use std::io::{self, Write};
use std::path::PathBuf;

use clap_complete::Shell;

use crate::args;
use crate::exit::{self, Exit, say};

/// Arguments of `lockfast completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// Shell to generate completions for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Arguments of `lockfast man`.
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Directory to write to
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Prints the completions for a shell.
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
