//! Means of all measurements: who takes part, and where the lock files are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::contenders::Contender;
use crate::crew::Crew;
use crate::machine::Machine;
use crate::report::Report;

#[derive(Debug)]
pub(crate) struct Bench {
    python: Option<PathBuf>,
    lockfast: Option<PathBuf>,
    inspect: Option<PathBuf>,
    before: Option<PathBuf>,
    quick: bool,
    machine: Option<Machine>,
    directory: TempDir,
}

impl Bench {
    /// Looks who is there, and reports who is left out.
    pub(crate) fn new(arguments: &Arguments, report: &mut Report) -> Outcome<Self> {
        let mut python = None;
        match &arguments.python {
            None => report.leave_out("the peers in Python, as there is no --python"),
            Some(given) => match versions(given) {
                Ok(versions) => {
                    report.mention(&versions);
                    python = Some(given.clone());
                }
                Err(reason) => report.leave_out(&format!("the peers in Python: {reason}")),
            },
        }
        Ok(Self {
            python,
            lockfast: arguments.lockfast.clone(),
            inspect: arguments.inspect.clone(),
            before: arguments.before.clone(),
            quick: arguments.quick,
            machine: None,
            directory: tempfile::tempdir()?,
        })
    }

    /// Keeps the figures of the machine for all measurements that follow.
    pub(crate) fn set_machine(&mut self, machine: Machine) {
        self.machine = Some(machine);
    }

    /// Figures of the machine alone, from the beginning of the run.
    pub(crate) fn machine(&self) -> Machine {
        self.machine.expect("measured before all others")
    }

    /// The interpreter that has the peers in Python.
    pub(crate) fn python(&self) -> Option<&Path> {
        self.python.as_deref()
    }

    /// The release build of the command.
    pub(crate) fn lockfast(&self) -> Option<&Path> {
        self.lockfast.as_deref()
    }

    /// The benchmark of `inspect`.
    pub(crate) fn inspect(&self) -> Option<&Path> {
        self.inspect.as_deref()
    }

    /// A build of this benchmark with the code before a change.
    pub(crate) fn before(&self) -> Option<&Path> {
        self.before.as_deref()
    }

    /// How much to do: a lot, or a little for trying.
    pub(crate) fn extent<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Returns the contenders that can be measured here.
    pub(crate) fn available(&self, contenders: &[Contender]) -> Vec<Contender> {
        let is_there = |contender: &&Contender| !contender.is_python() || self.python.is_some();
        contenders.iter().filter(is_there).copied().collect()
    }

    /// The path of a lock file, which may be there already.
    pub(crate) fn lock(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.lock"))
    }

    /// Starts so many processes with one lock. The crews of a contender all have the same one.
    pub(crate) fn crew(&self, count: usize, contender: Contender) -> Outcome<Crew> {
        self.crew_beside(count, contender, contender)
    }

    /// Starts so many processes with the lock of another contender.
    pub(crate) fn crew_beside(
        &self,
        count: usize,
        contender: Contender,
        other: Contender,
    ) -> Outcome<Crew> {
        Crew::start(
            count,
            contender,
            &self.lock_of(other),
            self.python.as_deref(),
        )
    }

    /// Starts so many processes of the code before, with the lock of today's.
    pub(crate) fn crew_before(&self, count: usize, contender: Contender) -> Outcome<Crew> {
        let program = self.before.as_deref().ok_or("there is no --before")?;
        Crew::start_by(program, count, contender, &self.lock_of(contender))
    }

    /// The path of a contender's lock.
    pub(crate) fn lock_of(&self, contender: Contender) -> PathBuf {
        let name = contender.name();
        self.lock(&name.replace(|c: char| !c.is_alphanumeric(), "-"))
    }
}

/// The versions of the interpreter and of the peers that it has.
fn versions(python: &Path) -> Outcome<String> {
    let script = "
import platform
from importlib.metadata import version
peers = ', '.join(f'{peer} {version(peer)}' for peer in ('fasteners', 'filelock', 'portalocker'))
print(f'Python {platform.python_version()} with {peers}')
";
    let output = Command::new(python)
        .args(["-c", script])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("the interpreter does not run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?.trim_end().to_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = complaint.lines().last().unwrap_or("it says nothing");
    Err(format!("the interpreter lacks one of them: {last}").into())
}
