//! The test's side: starts actors, tells them what to do, and waits for what they say.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before the test has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A fresh directory with the path of a lock in it.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of the lock that most tests use.
    pub(crate) fn lock(&self) -> PathBuf {
        self.path().join("a.lock")
    }
}

/// Does Wine run this? (`cargo xtask platforms windows` says so.)
pub(crate) fn is_wine() -> bool {
    std::env::var_os("LOCKFAST_TEST_WINE").is_some()
}

/// Puts another file in the place of one that others have open. Wine refuses that, so there the old one
/// is renamed before.
pub(crate) fn replace(path: &Path) {
    let new = path.with_extension("new");
    fs::write(&new, "").expect("created");
    if is_wine() {
        delete(path);
    }
    fs::rename(&new, path).expect("others may replace it");
}

/// Takes the name of a file that others have open. Wine deletes it only when all have closed it, so
/// there it is renamed.
pub(crate) fn delete(path: &Path) {
    let gone = if is_wine() {
        let at_a_new_name = tempfile::tempdir_in(path.parent().expect("a directory"));
        let directory = at_a_new_name.expect("a directory").keep();
        fs::rename(path, directory.join("gone"))
    } else {
        fs::remove_file(path)
    };
    gone.expect("others may delete it");
}

/// A process that does as it is told, killed at the end of the test.
pub(crate) struct Actor {
    process: Child,
    to: ChildStdin,
    lines: Receiver<String>,
    last_id: u32,
    answers: HashMap<u32, String>,
    events: u32,
}

/// An answer that is still to come.
#[derive(Clone, Copy)]
pub(crate) struct Pending(u32);

impl Actor {
    pub(crate) fn start() -> Self {
        Self::start_in([])
    }

    /// Starts an actor that has these variables in its environment.
    pub(crate) fn start_in<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let own = std::env::current_exe().expect("this program");
        let mut process = Command::new(own)
            .arg("actor")
            .envs(variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("an actor");
        let to = process.stdin.take().expect("piped");
        let from = process.stdout.take().expect("piped");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            process,
            to,
            lines,
            last_id: 0,
            answers: HashMap::new(),
            events: 0,
        }
    }

    /// Starts an actor that has opened the lock of that kind as `a`.
    pub(crate) fn with(kind: &str, place: &Place, options: &str) -> Self {
        let mut actor = Self::start();
        let open = format!("{kind} a {} {options}", place.lock().display());
        actor.ask(open.trim_end());
        actor
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
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

    /// Tells it to do something in a thread of its own.
    pub(crate) fn begin(&mut self, command: &str) -> Pending {
        self.tell(&format!("& {command}"))
    }

    /// Tells it to wait for something, and waits until it says that it is about to wait.
    #[track_caller]
    pub(crate) fn begin_waiting(&mut self, command: &str) -> Pending {
        let before = self.events;
        let pending = self.begin(command);
        let deadline = Instant::now() + PATIENCE;
        while self.events == before {
            self.hear(deadline);
        }
        pending
    }

    /// Tells it to do something that may fail; does it succeed?
    #[track_caller]
    pub(crate) fn attempts(&mut self, command: &str) -> bool {
        let pending = self.tell(command);
        self.has_got(pending)
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
            None => panic!("{answer}"),
        }
    }

    #[track_caller]
    pub(crate) fn fails(&mut self, pending: Pending) -> String {
        let answer = self.answer(pending);
        match answer.strip_prefix("error ") {
            Some(text) => text.to_owned(),
            None => panic!("it succeeded: {answer}"),
        }
    }

    /// Waits for the answer; did it succeed?
    #[track_caller]
    pub(crate) fn has_got(&mut self, pending: Pending) -> bool {
        self.answer(pending).starts_with("ok")
    }

    /// Did it answer already? Never waits.
    pub(crate) fn has_answered(&mut self, Pending(id): Pending) -> bool {
        while let Ok(line) = self.lines.try_recv() {
            self.sort(&line);
        }
        self.answers.contains_key(&id)
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

    #[track_caller]
    fn hear(&mut self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => self.sort(&line),
            Err(error) => panic!("the actor says nothing: {error}"),
        }
    }

    fn sort(&mut self, line: &str) {
        let (first, rest) = line.split_once(' ').expect("two words");
        match first.parse() {
            Ok(id) => drop(self.answers.insert(id, rest.to_owned())),
            Err(_) => self.events += 1,
        }
    }

    /// Kills it by `TerminateProcess`, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it lives");
        self.process.wait().expect("a child");
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
