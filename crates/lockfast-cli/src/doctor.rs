//! `lockfast doctor`: tests the lock guarantees of a directory with real processes.

pub(crate) mod actor;
mod checks;
mod file_system;
mod report;
mod stage;
mod verdict;
mod warning;

use std::path::PathBuf;

use crate::exit::{self, Exit, say};
use crate::inspect::has_colours;
use crate::sys;
use file_system::FileSystem;
use report::Report;
use stage::Stage;

/// Arguments of `lockfast doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Test this space of names instead: its server, or the directory of a `file:///dir`
    #[arg(long, value_name = "URL", conflicts_with = "directory")]
    pub(crate) on: Option<String>,

    /// Directory to test. Small files are created there and removed again
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,

    /// Print the findings as JSON (docs/doctor.schema.json)
    #[arg(long)]
    json: bool,
}

/// Help text of `lockfast doctor`, after the options.
pub(crate) const DETAILS: &str = "\
Exit code: 0 if every promise is kept; 1 if one is not; 73 if no file can be created in the directory.
Warnings name limits that cannot be tested from one machine; they do not change the exit code.";

pub(crate) fn run(arguments: &Doctor) -> Exit {
    if let Some(url) = &arguments.on {
        return crate::on::diagnose(url, arguments.json);
    }
    let directory = match sys::real_path(&arguments.directory) {
        Ok(directory) => directory,
        Err(error) => {
            let directory = arguments.directory.display();
            say(format_args!("cannot examine {directory}: {error}"));
            return Exit::CANNOT_CREATE;
        }
    };
    let stage = match Stage::new(&directory) {
        Ok(stage) => stage,
        Err(error) => {
            let directory = directory.display();
            say(format_args!("cannot create files in {directory}: {error}"));
            return Exit::CANNOT_CREATE;
        }
    };
    let file_system = FileSystem::of(&directory);
    let checks = checks::all(&stage);
    drop(stage);
    let report = Report::new(directory, file_system, checks);
    let printed = if arguments.json {
        report.print_json()
    } else {
        report.print(has_colours())
    };
    exit::note(printed);
    if report.is_well() {
        Exit::SUCCESS
    } else {
        Exit::code(1)
    }
}
