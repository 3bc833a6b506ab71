//! The directory that is examined, and the processes that play in it.

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

/// Who has not answered by then does not answer any more.
const DEADLINE: Duration = Duration::from_secs(10);

/// The files are removed at the end, also when the program is interrupted.
#[derive(Debug)]
pub(super) struct Stage {
    directory: PathBuf,
    traces: Arc<Mutex<Traces>>,
}

/// What must be gone at the end.
#[derive(Debug, Default)]
struct Traces {
    files: Vec<PathBuf>,
    /// Those that were not waited for yet, by their pids.
    processes: HashMap<u32, Child>,
}

impl Stage {
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        let stage = Self {
            directory: directory.to_path_buf(),
            traces: Arc::default(),
        };
        let path = stage.new_path();
        // Before there is anything to remove.
        stage.clean_when_interrupted()?;
        OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(stage)
    }

    /// The path of a file that is not there yet.
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
            // Locked to the end: no process is started any more.
            std::mem::forget(traces);
        })
    }
}

impl Traces {
    /// Nobody makes a file again who is gone.
    fn remove(&mut self) {
        for (_, mut process) in self.processes.drain() {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
        for file in self.files.drain(..) {
            // Some were renamed or removed already.
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
    pid: u32,
    traces: Arc<Mutex<Traces>>,
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
            pid,
            traces: Arc::clone(&stage.traces),
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
            "failed" => Answer::Failed(rest.to_owned()),
            _ => Answer::Failed(format!("it was not expected: {line}")),
        }
    }

    /// As the system kills; returns at once.
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
