//! Lines that another process prints.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use crate::DEADLINE;

/// The lines of a pipe, read by a thread, so that each wait for one has a limit.
#[derive(Debug)]
pub struct Lines(Receiver<String>);

impl Lines {
    /// Reads until the pipe is closed. What is not UTF-8 is replaced.
    pub fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let mut line = String::from_utf8_lossy(&line).into_owned();
                if line.ends_with('\r') {
                    line.pop();
                }
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self(lines)
    }

    /// Returns the next line, or nothing at the end.
    ///
    /// # Panics
    ///
    /// Panics if neither comes before the [`DEADLINE`].
    #[track_caller]
    pub fn next_or_end(&self) -> Option<String> {
        match self.0.recv_timeout(DEADLINE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("neither a line nor an end"),
        }
    }

    /// Returns the next line.
    ///
    /// # Panics
    ///
    /// Panics at the end, and if no line comes before the [`DEADLINE`].
    #[track_caller]
    pub fn next(&self) -> String {
        self.next_or_end().expect("a line")
    }

    /// Returns a line that has come already. Never waits.
    pub fn ready(&self) -> Option<String> {
        self.0.try_recv().ok()
    }

    /// Returns all lines up to the end.
    ///
    /// # Panics
    ///
    /// Panics if the end does not come before the [`DEADLINE`].
    #[track_caller]
    pub fn rest(&self) -> Vec<String> {
        let deadline = Instant::now() + DEADLINE;
        let mut all = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.0.recv_timeout(left) {
                Ok(line) => all.push(line),
                Err(RecvTimeoutError::Disconnected) => return all,
                Err(RecvTimeoutError::Timeout) => panic!("no end after {all:?}"),
            }
        }
    }
}
