//! The programs of others, and how each of them is started.

use std::path::Path;
use std::process::Command;

use lockfast_testing::own_program;

use crate::stage::{Actor, Pending, Stage, installed};

/// A program that locks a file in its own way, and speaks like an actor.
///
/// It knows `try MODE`, which fails with `held`, `lock MODE`, which waits, and `release`.
#[derive(Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) family: Family,
    pub(crate) modes: &'static [&'static str],
    program: Program,
    /// The way to lock, for a program that has several.
    variant: Option<&'static str>,
    polls: bool,
}

/// The kernel's locks that it takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Record locks that belong to the process.
    Record,
    Flock,
}

/// The program that runs it, and its file in `peers/`.
#[derive(Clone, Copy)]
enum Program {
    Python(&'static str),
    /// Needs a Python that has the packages of others.
    PythonPackage(&'static str),
    Java(&'static str),
    Perl(&'static str),
    /// A shell script around flock(1).
    FlockUtility(&'static str),
    /// This program, started again.
    Rust,
}

pub(crate) const LOCKF: Peer = Peer::record("lockf", Program::Python("lockf.py"));
pub(crate) const FASTENERS: Peer =
    Peer::record("fasteners", Program::PythonPackage("fasteners_.py"))
        .variant("exclusive")
        .exclusive_only()
        .polls();
pub(crate) const FASTENERS_READER_WRITER: Peer = Peer::record(
    "fasteners_reader_writer",
    Program::PythonPackage("fasteners_.py"),
)
.variant("reader-writer")
.polls();
pub(crate) const JAVA: Peer = Peer::record("java", Program::Java("FileChannelLock.java"));
pub(crate) const CLASSIC: Peer = Peer::record("classic", Program::Rust).variant("classic");
pub(crate) const CLASSIC_FIRST_BYTE: Peer =
    Peer::record("classic_first_byte", Program::Rust).variant("classic-first-byte");

pub(crate) const FLOCK_UTILITY: Peer =
    Peer::flock("flock_utility", Program::FlockUtility("flock.sh"));
pub(crate) const PERL: Peer = Peer::flock("perl", Program::Perl("flock.pl"));
pub(crate) const FILELOCK: Peer = Peer::flock("filelock", Program::PythonPackage("filelock_.py"))
    .exclusive_only()
    .polls();
pub(crate) const PORTALOCKER: Peer =
    Peer::flock("portalocker", Program::PythonPackage("portalocker_.py"));
pub(crate) const STD: Peer = Peer::flock("std", Program::Rust).variant("std");
pub(crate) const FS4: Peer = Peer::flock("fs4", Program::Rust).variant("fs4");
pub(crate) const FD_LOCK: Peer = Peer::flock("fd_lock", Program::Rust).variant("fd-lock");

impl Peer {
    const fn record(name: &'static str, program: Program) -> Self {
        Self::new(name, Family::Record, program)
    }

    const fn flock(name: &'static str, program: Program) -> Self {
        Self::new(name, Family::Flock, program)
    }

    const fn new(name: &'static str, family: Family, program: Program) -> Self {
        Self {
            name,
            family,
            modes: &["exclusive", "shared"],
            program,
            variant: None,
            polls: false,
        }
    }

    const fn variant(mut self, variant: &'static str) -> Self {
        self.variant = Some(variant);
        self
    }

    const fn exclusive_only(mut self) -> Self {
        self.modes = &["exclusive"];
        self
    }

    /// It does not wait in the kernel's queue, and tells `waiting` before it sleeps instead.
    const fn polls(mut self) -> Self {
        self.polls = true;
        self
    }

    /// Succeeds if it can run here; fails with the reason otherwise.
    pub(crate) fn available(&self) -> Result<(), String> {
        self.program.command().map(drop)
    }

    pub(crate) fn start(&self, stage: &Stage) -> Actor {
        let mut command = self.program.command().expect("the test is left out");
        command.arg(stage.lock()).args(self.variant);
        Actor::start_by(&mut command)
    }

    /// Tells it to lock, and returns when it waits.
    pub(crate) fn begin_waiting(&self, actor: &mut Actor, mode: &str, stage: &Stage) -> Pending {
        let lock = format!("lock {mode}");
        if !self.polls {
            return actor.begin_waiting(&lock, stage);
        }
        // It told `waiting` at each attempt of an earlier wait.
        while actor.has_events() {
            actor.event();
        }
        let pending = actor.begin(&lock);
        assert_eq!(actor.event(), "waiting");
        pending
    }
}

impl Family {
    /// How the kernel lists such a lock.
    pub(crate) fn listed(self, mode: &str) -> String {
        let family = match self {
            Self::Record => "POSIX",
            Self::Flock => "FLOCK",
        };
        let access = match mode {
            "exclusive" => "WRITE",
            _ => "READ",
        };
        format!("{family} {access}")
    }
}

impl Program {
    /// The command that starts it, but for its arguments; or why there is none.
    fn command(self) -> Result<Command, String> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processes/interop/peers");
        let given = std::env::var_os("LOCKFAST_TEST_PYTHON");
        let mut command;
        let file = match self {
            Self::Python(file) => {
                command = match given {
                    Some(python) => Command::new(python),
                    None => tool("python3")?,
                };
                command.arg("-B");
                file
            }
            Self::PythonPackage(file) => {
                let missing = "LOCKFAST_TEST_PYTHON names no Python; `cargo xtask test` sets it";
                command = Command::new(given.ok_or(missing)?);
                command.arg("-B");
                file
            }
            Self::Java(file) => {
                // Running a source file takes the compiler.
                installed("javac")?;
                command = tool("java")?;
                command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
                file
            }
            Self::Perl(file) => {
                command = tool("perl")?;
                file
            }
            Self::FlockUtility(file) => {
                installed("flock")?;
                command = tool("sh")?;
                file
            }
            Self::Rust => {
                command = own_program();
                command.arg("peer");
                return Ok(command);
            }
        };
        command.arg(peers.join(file));
        Ok(command)
    }
}

fn tool(name: &str) -> Result<Command, String> {
    installed(name).map(|()| Command::new(name))
}
