//! The directory under test, and the child processes that use it.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::actor;
use crate::sys;

/// Time limit for an answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// A test directory. Its files are removed on drop, and when a signal ends the program.
#[derive(Debug)]
pub(super) struct Stage {
    directory: PathBuf,
    traces: Arc<Mutex<Traces>>,
}

/// Files and processes to clean up.
#[derive(Debug, Default)]
struct Traces {
    files: Vec<PathBuf>,
    /// Children that were not reaped yet, by pid.
    processes: HashMap<u32, Child>,
}

impl Stage {
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        let stage = Self {
            directory: directory.to_path_buf(),
            traces: Arc::default(),
        };
        let path = stage.new_path();
        // Installed before there is anything to remove.
        stage.clean_when_interrupted()?;
        OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(stage)
    }

    /// Returns the path of a new file.
    pub(super) fn new_path(&self) -> PathBuf {
        let mut traces = lock(&self.traces);
        let (pid, number) = (std::process::id(), traces.files.len());
        let path = self
            .directory
            .join(format!(".lockfast-doctor-{pid}-{number}"));
        traces.files.push(path.clone());
        path
    }

    fn clean_when_interrupted(&self) -> io::Result<()> {
        let traces = Arc::clone(&self.traces);
        sys::before_being_ended(move || {
            let mut traces = lock(&traces);
            traces.remove();
            // Stays locked, so that no process is started any more.
            std::mem::forget(traces);
        })
    }
}

impl Traces {
    /// Ends the processes first, so that none of them can create a file again.
    fn remove(&mut self) {
        for (_, mut process) in self.processes.drain() {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
        for file in self.files.drain(..) {
            // Some files were renamed or removed by a check.
            let _ = fs::remove_file(file);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        lock(&self.traces).remove();
    }
}

fn lock(traces: &Mutex<Traces>) -> MutexGuard<'_, Traces> {
    traces.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer of an actor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Open,
    /// Time of completion, by a clock that all processes share.
    Done(Duration),
    Held,
    /// Timed out after this long.
    Late(Duration),
    Waiting,
    Unsupported(String),
    Failed(String),
    /// No answer within the deadline.
    Silent,
}

/// A child process, which is killed on drop.
#[derive(Debug)]
pub(super) struct Actor {
    pid: u32,
    traces: Arc<Mutex<Traces>>,
    input: ChildStdin,
    answers: Receiver<String>,
}

/// Lock options of an actor.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Fcntl,
    Flock,
    /// `fcntl` with a look-up of the path at each acquire.
    Careful,
}

impl Actor {
    pub(super) fn start(stage: &Stage, path: &Path, kind: Kind) -> io::Result<Self> {
        let (protocol, verify) = match kind {
            Kind::Fcntl => ("fcntl", "links"),
            Kind::Flock => ("flock", "links"),
            Kind::Careful => ("fcntl", "path"),
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(actor::NAME).arg(path).args([protocol, verify]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut traces = lock(&stage.traces);
        let mut child = command.spawn()?;
        let input = child.stdin.take().expect("it was asked for");
        let output = child.stdout.take().expect("it was asked for");
        let pid = child.id();
        traces.processes.insert(pid, child);
        drop(traces);
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { break };
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            pid,
            traces: Arc::clone(&stage.traces),
            input,
            answers,
        })
    }

    /// Sends a command and waits for the result.
    pub(super) fn ask(&mut self, line: &str) -> Answer {
        self.tell(line);
        match self.hear() {
            Answer::Waiting => self.hear(),
            answer => answer,
        }
    }

    pub(super) fn tell(&mut self, line: &str) {
        // A dead actor is noticed by its silence.
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
            "failed" => Answer::Failed(rest.to_owned()),
            _ => Answer::Failed(format!("unexpected answer: {line}")),
        }
    }

    /// Kills the process without waiting for its end.
    pub(super) fn kill(&self) {
        if let Some(process) = lock(&self.traces).processes.get_mut(&self.pid) {
            // It may have ended already.
            let _ = process.kill();
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.kill();
        if let Some(mut process) = lock(&self.traces).processes.remove(&self.pid) {
            let _ = process.wait();
        }
    }
}
