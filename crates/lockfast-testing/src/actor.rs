//! The test's side: starts actors, gives them commands, and waits for their answers.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use crate::{Lines, own_program};

/// A process that follows commands, killed at the end of the test.
///
/// Each command is a line `ID COMMAND ARGUMENTS...`; [`serve`](crate::serve()) is the process's side.
pub struct Actor {
    pid: u32,
    /// None for a process that another actor has forked.
    process: Option<Child>,
    to: Box<dyn Write + Send>,
    lines: Lines,
    last_id: u32,
    answers: HashMap<u32, String>,
    events: VecDeque<String>,
}

/// An answer that is still to come.
#[derive(Clone, Copy, Debug)]
pub struct Pending(u32);

impl Actor {
    /// Starts this program as `actor`.
    pub fn start() -> Self {
        Self::start_by(own_program().arg("actor"))
    }

    /// Starts an actor by a command that ends in executing this program as `actor`, or another program
    /// with the same lines.
    ///
    /// # Panics
    ///
    /// Panics if it can't be started.
    pub fn start_by(command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let to = process.stdin.take().expect("piped");
        let from = process.stdout.take().expect("piped");
        let mut actor = Self::connected(process.id(), to, from);
        actor.process = Some(process);
        actor
    }

    /// An actor that this process has not started.
    pub fn connected(
        pid: u32,
        to: impl Write + Send + 'static,
        from: impl Read + Send + 'static,
    ) -> Self {
        Self {
            pid,
            process: None,
            to: Box::new(to),
            lines: Lines::of(from),
            last_id: 0,
            answers: HashMap::new(),
            events: VecDeque::new(),
        }
    }

    /// Its number as a process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Gives it a command that must succeed, and returns the answer.
    #[track_caller]
    pub fn ask(&mut self, command: &str) -> String {
        let pending = self.tell(command);
        self.succeeds(pending)
    }

    /// Gives it a command that must fail, and returns `KIND: TEXT`.
    #[track_caller]
    pub fn ask_in_vain(&mut self, command: &str) -> String {
        let pending = self.tell(command);
        self.fails(pending)
    }

    /// Gives it a command that may fail; returns whether it succeeds.
    #[track_caller]
    pub fn attempts(&mut self, command: &str) -> bool {
        let pending = self.tell(command);
        self.answers(pending).is_ok()
    }

    /// Gives it a command for a thread of its own.
    pub fn begin(&mut self, command: &str) -> Pending {
        self.tell(&format!("& {command}"))
    }

    /// Gives it a command.
    pub fn tell(&mut self, command: &str) -> Pending {
        self.last_id += 1;
        // If it is dead, the answer never comes.
        let _ = writeln!(self.to, "{} {command}", self.last_id).and_then(|()| self.to.flush());
        Pending(self.last_id)
    }

    /// Waits for the answer to a command that must succeed.
    ///
    /// # Panics
    ///
    /// Panics if it fails.
    #[track_caller]
    pub fn succeeds(&mut self, pending: Pending) -> String {
        self.answers(pending)
            .unwrap_or_else(|error| panic!("actor {}: {error}", self.pid))
    }

    /// Waits for the failure of a command, and returns `KIND: TEXT`.
    ///
    /// # Panics
    ///
    /// Panics if it succeeds.
    #[track_caller]
    pub fn fails(&mut self, pending: Pending) -> String {
        match self.answers(pending) {
            Err(error) => error,
            Ok(answer) => panic!("actor {} succeeded: {answer}", self.pid),
        }
    }

    /// Waits for an answer: what the command returned, or `KIND: TEXT`.
    ///
    /// # Errors
    ///
    /// Returns the failure of the command.
    ///
    /// # Panics
    ///
    /// Panics if the actor ends before.
    #[track_caller]
    pub fn answers(&mut self, pending: Pending) -> Result<String, String> {
        loop {
            if let Some(answer) = self.take(pending) {
                return answer;
            }
            let line = self.lines.next_or_end();
            let line = line.unwrap_or_else(|| panic!("actor {} has ended", self.pid));
            self.sort(&line);
        }
    }

    fn take(&mut self, Pending(id): Pending) -> Option<Result<String, String>> {
        let answer = self.answers.remove(&id)?;
        let (word, text) = answer.split_once(' ').unwrap_or((&answer, ""));
        let text = text.to_owned();
        Some(match word {
            "ok" => Ok(text),
            "error" => Err(text),
            _ => panic!("no answer: {answer}"),
        })
    }

    /// Waits for its next report that is no answer.
    #[track_caller]
    pub fn event(&mut self) -> String {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let line = self.lines.next();
            self.sort(&line);
        }
    }

    /// Drops the reports that came so far.
    pub fn forget_events(&mut self) {
        while let Some(line) = self.lines.ready() {
            self.sort(&line);
        }
        self.events.clear();
    }

    /// Whether a report came before its last answer.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether it has answered. Never waits.
    pub fn has_answered(&mut self, Pending(id): Pending) -> bool {
        while let Some(line) = self.lines.ready() {
            self.sort(&line);
        }
        self.answers.contains_key(&id)
    }

    fn sort(&mut self, line: &str) {
        let (first, rest) = line.split_once(' ').expect("two words");
        match first.parse() {
            Ok(id) => drop(self.answers.insert(id, rest.to_owned())),
            Err(_) => self.events.push_back(rest.to_owned()),
        }
    }

    /// Gives it a command that may kill it; returns whether it answers.
    ///
    /// # Panics
    ///
    /// Panics if the command fails.
    pub fn survives(&mut self, command: &str) -> bool {
        let pending = self.tell(command);
        while let Some(line) = self.lines.next_or_end() {
            self.sort(&line);
            if let Some(answer) = self.take(pending) {
                answer.unwrap_or_else(|error| panic!("actor {}: {error}", self.pid));
                return true;
            }
        }
        self.wait();
        false
    }

    /// Gives it a command that makes it crash, and waits for its end.
    ///
    /// # Panics
    ///
    /// Panics if it ends with success.
    pub fn crashes(mut self, command: &str) {
        self.tell(command);
        let mut process = self.process.take().expect("a child of the test");
        assert!(!process.wait().expect("a child").success());
    }

    /// Kills it, and waits until it is gone.
    ///
    /// # Panics
    ///
    /// Panics if it is no child of the test.
    pub fn kill(&mut self) {
        let process = self.process.as_mut().expect("a child of the test");
        process.kill().expect("it lives");
        self.wait();
    }

    /// Whether it is a child of the test that was not waited for.
    pub fn is_child(&self) -> bool {
        self.process.is_some()
    }

    fn wait(&mut self) {
        let mut process = self.process.take().expect("a child of the test");
        process.wait().expect("a child");
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Actor")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}
