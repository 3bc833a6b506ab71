//! The actors of this program, and what the kernel shows of locks.

use std::fs;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use lockfast_testing::table;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

pub(crate) use lockfast_testing::{Pending, Stage, installed, own_words, until};

/// A process that follows commands, killed at the end of the test.
pub(crate) struct Actor(lockfast_testing::Actor);

impl Actor {
    pub(crate) fn start() -> Self {
        Self(lockfast_testing::Actor::start())
    }

    /// Starts an actor that has opened the lock as `a`.
    pub(crate) fn with_lock(stage: &Stage, options: &str) -> Self {
        let mut actor = Self::start();
        let open = format!("open a {} {options}", stage.lock().display());
        actor.ask(open.trim_end());
        actor
    }

    /// Starts an actor by a command that ends in executing this program as `actor`, or another program
    /// with the same lines.
    pub(crate) fn start_by(command: &mut Command) -> Self {
        Self(lockfast_testing::Actor::start_by(command))
    }

    /// Has it wait for the lock, and waits until it is in the kernel's queue.
    pub(crate) fn begin_waiting(&mut self, command: &str, stage: &Stage) -> Pending {
        let before = waiters(&stage.lock());
        let pending = self.begin(command);
        until("a waiter in the kernel's queue", || {
            waiters(&stage.lock()) > before
        });
        pending
    }

    /// Forks it. The child is an actor too, with copies of the locks and guards; it ends with the test.
    #[track_caller]
    pub(crate) fn fork(&mut self, kind: &str) -> Self {
        let meeting = Stage::new();
        let path = meeting.path("child");
        let listener = UnixListener::bind(&path).expect("a socket");
        let pid = self.ask(&format!("fork {kind} {}", path.display()));
        let (stream, _) = listener.accept().expect("the child connects");
        let from = stream.try_clone().expect("a copy");
        let pid = pid.parse().expect("a pid");
        Self(lockfast_testing::Actor::connected(pid, stream, from))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).expect("a pid"));
        signal::kill(pid, signal).expect("it lives");
    }

    /// Kills it, and waits until it is gone if it is a child of the test.
    pub(crate) fn kill(&mut self) {
        if self.is_child() {
            self.0.kill();
        } else {
            self.signal(Signal::SIGKILL);
        }
    }

    /// Gives it a command that makes it crash, and waits for its end.
    pub(crate) fn crashes(self, command: &str) {
        self.0.crashes(command);
    }
}

impl Deref for Actor {
    type Target = lockfast_testing::Actor;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Actor {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// Waits until a signal has stopped it.
#[track_caller]
pub(crate) fn until_stopped(actor: &Actor) {
    let tasks = format!("/proc/{}/task", actor.pid());
    let is_stopped = |task: io::Result<fs::DirEntry>| {
        let state = task.expect("a thread").path().join("stat");
        fs::read_to_string(state)
            .expect("its state")
            .contains(") T ")
    };
    until("a stopped process", || {
        // One thread may stop later than another.
        fs::read_dir(&tasks).expect("its threads").all(is_stopped)
    });
}

/// How many wait in the kernel's queue for a lock on that file.
pub(crate) fn waiters(path: &Path) -> usize {
    let Ok(metadata) = fs::metadata(path) else {
        return 0;
    };
    table::waiters(|inode| inode == metadata.ino())
}

/// How many locks of that file are held.
pub(crate) fn holders(path: &Path) -> usize {
    held(path, |_, _| true)
}

/// How many locks of that file are held that begin there.
pub(crate) fn held_from(path: &Path, byte: u64) -> usize {
    held(path, |first, _| first == byte.to_string())
}

/// How many have a lock of exactly that byte of that file.
pub(crate) fn held_at(path: &Path, byte: u64) -> usize {
    let byte = byte.to_string();
    held(path, |first, last| first == byte && last == byte)
}

fn held(path: &Path, is_meant: impl Fn(&str, &str) -> bool) -> usize {
    let is_held = |line: &&String| {
        let mut words = line.split(' ').rev();
        let (last, first) = (words.next(), words.next());
        !line.starts_with("->") && is_meant(first.expect("a byte"), last.expect("a byte"))
    };
    lines_of(path).iter().filter(is_held).count()
}

fn lines_of(path: &Path) -> Vec<String> {
    match fs::metadata(path) {
        Ok(metadata) => table::lines(|inode| inode == metadata.ino()),
        Err(_) => Vec::new(),
    }
}
