//! The directory that is examined, and the processes that play in it.

use std::cell::{Cell, RefCell};
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use super::actor;

/// Who has not answered by then does not answer any more.
const DEADLINE: Duration = Duration::from_secs(10);

/// The files are removed at the end.
#[derive(Debug)]
pub(super) struct Stage {
    directory: PathBuf,
    files: RefCell<Vec<PathBuf>>,
    next: Cell<u32>,
}

impl Stage {
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        let stage = Self {
            directory: directory.to_path_buf(),
            files: RefCell::default(),
            next: Cell::new(0),
        };
        let path = stage.new_path();
        OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(stage)
    }

    /// The path of a file that is not there yet.
    pub(super) fn new_path(&self) -> PathBuf {
        let number = self.next.replace(self.next.get() + 1);
        let pid = std::process::id();
        let path = self
            .directory
            .join(format!(".lockfast-doctor-{pid}-{number}"));
        self.files.borrow_mut().push(path.clone());
        path
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for file in self.files.take() {
            // Some were renamed or removed already.
            let _ = fs::remove_file(file);
        }
    }
}

/// What an actor answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Open,
    /// When it was done, by a clock that all processes share.
    Done(Duration),
    Held,
    /// It gave up after so long.
    Late(Duration),
    Waiting,
    Unsupported(String),
    Failed(String),
    /// Nothing, in ten seconds.
    Silent,
}

/// A process; it is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Actor {
    child: Child,
    input: ChildStdin,
    answers: Receiver<String>,
}

/// What an actor uses beside the path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Fcntl,
    Flock,
    /// `fcntl`, and looks the path up at each acquire.
    Careful,
}

impl Actor {
    pub(super) fn start(path: &Path, kind: Kind) -> io::Result<Self> {
        let (protocol, verify) = match kind {
            Kind::Fcntl => ("fcntl", "links"),
            Kind::Flock => ("flock", "links"),
            Kind::Careful => ("fcntl", "path"),
        };
        let mut child = Command::new(std::env::current_exe()?)
            .arg(actor::NAME)
            .arg(path)
            .args([protocol, verify])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().expect("it was asked for");
        let output = child.stdout.take().expect("it was asked for");
        let (tell, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { break };
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            input,
            answers,
        })
    }

    /// Tells it something and hears what came of it.
    pub(super) fn ask(&mut self, line: &str) -> Answer {
        self.tell(line);
        match self.hear() {
            Answer::Waiting => self.hear(),
            answer => answer,
        }
    }

    pub(super) fn tell(&mut self, line: &str) {
        // When it is gone it says nothing any more, which is noticed.
        let _ = writeln!(self.input, "{line}");
    }

    pub(super) fn hear(&self) -> Answer {
        let Ok(line) = self.answers.recv_timeout(DEADLINE) else {
            return Answer::Silent;
        };
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let time = || Duration::from_nanos(rest.parse().unwrap_or(u64::MAX));
        match word {
            "open" => Answer::Open,
            "done" => Answer::Done(time()),
            "held" => Answer::Held,
            "late" => Answer::Late(time()),
            "waiting" => Answer::Waiting,
            "unsupported" => Answer::Unsupported(rest.to_owned()),
            _ => Answer::Failed(line),
        }
    }

    /// By SIGKILL; returns at once.
    pub(super) fn kill(&mut self) {
        // It can't have been waited for before.
        let _ = self.child.kill();
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}
