//! The process of a server.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process that ends when this is dropped, or when the test program dies.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    /// Ends the process in order.
    stop: Signal,
}

impl Process {
    /// Starts the command, which `stop` ends. What it prints goes to the end of the log.
    pub(crate) fn start(mut command: Command, log: &Path, stop: Signal) -> io::Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        Ok(Self {
            child: spawn(command)?,
            log: log.to_path_buf(),
            stop,
        })
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process, which may be paused, and waits for its end.
    ///
    /// # Panics
    ///
    /// Panics if it can't be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("its end");
    }

    /// Stops the process in order and waits for its end; kills it after ten seconds.
    ///
    /// # Panics
    ///
    /// Panics if it can't be killed.
    pub fn stop(&mut self) {
        if self.has_ended().is_some() {
            return;
        }
        self.send(self.stop);
        self.send(Signal::SIGCONT);
        let ended = within(Duration::from_secs(10), || self.has_ended().is_some());
        if !ended {
            self.kill();
        }
    }

    /// Pauses the process, with all its threads.
    pub fn pause(&self) {
        self.send(Signal::SIGSTOP);
    }

    /// Continues the process after a pause.
    pub fn resume(&self) {
        self.send(Signal::SIGCONT);
    }

    /// Returns how the process ended, if it did.
    ///
    /// # Panics
    ///
    /// Panics if the kernel does not say.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// The end of the log.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn send(&self, signal: Signal) {
        // The process is a child that nobody has waited for: its id is still its own.
        let id = i32::try_from(self.child.id()).expect("an id of a process");
        let _ = kill(Pid::from_raw(id), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the end of {}:\n{}", self.log.display(), self.last_words());
        }
        self.stop();
    }
}

/// Waits until the condition holds; `false` if it doesn't in time.
pub fn within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if begin.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Starts a process from a thread that ends with the program.
///
/// The kernel sends the death signal when the thread that forked ends: a server that several tests share must not
/// die with the first of them.
fn spawn(command: Command) -> io::Result<Child> {
    type Request = (Command, Sender<io::Result<Child>>);
    static STARTER: OnceLock<Sender<Request>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (starter, requests) = mpsc::channel::<Request>();
        thread::spawn(move || {
            for (mut command, answer) in requests {
                let _ = answer.send(command.spawn());
            }
        });
        starter
    });
    let (answer, child) = mpsc::channel();
    starter.send((command, answer)).expect("the thread lives");
    child.recv().expect("the thread answers")
}
