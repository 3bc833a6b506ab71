//! The test's side: starts actors, tells them what to do, and waits for what they say.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::program::own_program;
use crate::table;

/// How long anything may take before the test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// A process that does as it is told, killed at the end of the test.
pub(crate) struct Actor {
    pid: u32,
    process: Option<Child>,
    to: Box<dyn Write + Send>,
    lines: Receiver<String>,
    last_id: u32,
    answers: HashMap<u32, String>,
    events: VecDeque<String>,
}

/// An answer that is still to come.
#[derive(Clone, Copy)]
pub(crate) struct Pending(u32);

/// A fresh directory with the path of a lock in it.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The path of the lock that most tests use.
    pub(crate) fn lock(&self) -> PathBuf {
        self.path().join("a.lock")
    }
}

impl Actor {
    pub(crate) fn start() -> Self {
        Self::start_by(own_program().arg("actor"))
    }

    /// Starts an actor that has opened the lock as `a`.
    pub(crate) fn with_lock(place: &Place, options: &str) -> Self {
        let mut actor = Self::start();
        let open = format!("open a {} {options}", place.lock().display());
        actor.ask(open.trim_end());
        actor
    }

    /// Starts an actor by a command that ends in executing this program as `actor`, or another that
    /// speaks alike.
    pub(crate) fn start_by(command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let to = process.stdin.take().expect("piped");
        let from = process.stdout.take().expect("piped");
        Self::new(process.id(), Some(process), to, from)
    }

    fn new(
        pid: u32,
        process: Option<Child>,
        to: impl Write + Send + 'static,
        from: impl Read + Send + 'static,
    ) -> Self {
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            pid,
            process,
            to: Box::new(to),
            lines,
            last_id: 0,
            answers: HashMap::new(),
            events: VecDeque::new(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Tells it to do something that must succeed, and waits for the answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, command: &str) -> String {
        let pending = self.tell(command);
        self.succeeds(pending)
    }

    /// Tells it to do something that must fail, and waits for `KIND: TEXT`.
    #[track_caller]
    pub(crate) fn ask_in_vain(&mut self, command: &str) -> String {
        let pending = self.tell(command);
        self.fails(pending)
    }

    /// Tells it to do something that may fail; does it succeed?
    #[track_caller]
    pub(crate) fn attempts(&mut self, command: &str) -> bool {
        let pending = self.tell(command);
        self.answer(pending).starts_with("ok")
    }

    /// Tells it to do something in a thread of its own.
    pub(crate) fn begin(&mut self, command: &str) -> Pending {
        self.tell(&format!("& {command}"))
    }

    /// Tells it to take lock `a` as guard `g`, and waits until it is in the kernel's queue.
    pub(crate) fn begin_waiting(&mut self, command: &str, place: &Place) -> Pending {
        let before = waiters(&place.lock());
        let pending = self.begin(command);
        until("a waiter in the kernel's queue", || {
            waiters(&place.lock()) > before
        });
        pending
    }

    fn tell(&mut self, command: &str) -> Pending {
        self.last_id += 1;
        // If it is dead, the answer that never comes tells.
        let _ = writeln!(self.to, "{} {command}", self.last_id).and_then(|()| self.to.flush());
        Pending(self.last_id)
    }

    #[track_caller]
    pub(crate) fn succeeds(&mut self, pending: Pending) -> String {
        let answer = self.answer(pending);
        match answer.strip_prefix("ok") {
            Some(text) => text.trim_start().to_owned(),
            None => panic!("actor {}: {answer}", self.pid),
        }
    }

    /// Did it succeed, or what went wrong?
    #[track_caller]
    pub(crate) fn answers(&mut self, pending: Pending) -> Result<(), String> {
        let answer = self.answer(pending);
        match answer.strip_prefix("error ") {
            Some(text) => Err(text.to_owned()),
            None => Ok(()),
        }
    }

    #[track_caller]
    pub(crate) fn fails(&mut self, pending: Pending) -> String {
        let answer = self.answer(pending);
        match answer.strip_prefix("error ") {
            Some(text) => text.to_owned(),
            None => panic!("actor {} succeeded: {answer}", self.pid),
        }
    }

    #[track_caller]
    fn answer(&mut self, Pending(id): Pending) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return answer;
            }
            self.hear(deadline);
        }
    }

    /// Waits for the next thing that it tells unasked.
    #[track_caller]
    pub(crate) fn event(&mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.hear(deadline);
        }
    }

    /// Has it told something unasked, before its last answer?
    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Did it answer already? Never waits.
    pub(crate) fn has_answered(&mut self, Pending(id): Pending) -> bool {
        while let Ok(line) = self.lines.try_recv() {
            self.sort(&line);
        }
        self.answers.contains_key(&id)
    }

    #[track_caller]
    fn hear(&mut self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => self.sort(&line),
            Err(error) => panic!("actor {} says nothing: {error}", self.pid),
        }
    }

    fn sort(&mut self, line: &str) {
        let (first, rest) = line.split_once(' ').expect("two words");
        match first.parse() {
            Ok(id) => drop(self.answers.insert(id, rest.to_owned())),
            Err(_) => self.events.push_back(rest.to_owned()),
        }
    }

    /// Tells it to do something that may kill it; did it get through?
    pub(crate) fn survives(&mut self, command: &str) -> bool {
        let Pending(id) = self.tell(command);
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.sort(&line);
            if let Some(answer) = self.answers.remove(&id) {
                assert!(answer.starts_with("ok"), "actor {}: {answer}", self.pid);
                return true;
            }
        }
        let mut process = self.process.take().expect("a child of the test");
        process.wait().expect("a child");
        false
    }

    /// Forks it; the child is an actor too, with copies of the locks and guards.
    #[track_caller]
    pub(crate) fn fork(&mut self, kind: &str) -> Self {
        let meeting = Place::new();
        let path = meeting.path().join("child");
        let listener = UnixListener::bind(&path).expect("a socket");
        let pid = self.ask(&format!("fork {kind} {}", path.display()));
        let (stream, _) = listener.accept().expect("the child connects");
        let from = stream.try_clone().expect("a copy");
        Self::new(pid.parse().expect("a pid"), None, stream, from)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid).expect("a pid"));
        signal::kill(pid, signal).expect("it lives");
    }

    /// Kills it, and waits until it is gone if it is a child of the test.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        if let Some(mut process) = self.process.take() {
            process.wait().expect("a child");
        }
    }

    /// Waits until it ends by itself, by a crash.
    pub(crate) fn crashes(mut self, command: &str) {
        self.tell(command);
        let mut process = self.process.take().expect("a child of the test");
        assert!(!process.wait().expect("a child").success());
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        } else if Path::new(&format!("/proc/{}", self.pid)).exists() {
            // A forked child; it ends when the connection closes.
            self.to = Box::new(std::io::sink());
        }
    }
}

/// Waits for a state of the system that nobody announces.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never saw {what}");
        thread::sleep(Duration::from_millis(1));
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

/// Is that tool installed?
pub(crate) fn installed(tool: &str) -> Result<(), String> {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&directories).any(|directory| directory.join(tool).is_file()) {
        Ok(())
    } else {
        Err(format!(
            "{tool} is not installed; `cargo xtask setup` installs it"
        ))
    }
}
