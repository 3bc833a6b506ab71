//! The actor's side: reads a command a line, answers with a line.

use std::error::Error;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;

/// The result of a command: a text for the test.
pub type Answer = Result<String, Box<dyn Error>>;

/// The connection to the test.
#[derive(Clone)]
pub struct Speaker(Arc<Mutex<dyn Write + Send>>);

impl Speaker {
    /// Speaks through that pipe.
    pub fn through(pipe: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(pipe)))
    }

    /// Reports something that is no answer.
    pub fn report(&self, event: impl fmt::Display) {
        self.say(&format!("event {event}"));
    }

    fn say(&self, text: &str) {
        let mut pipe = self.0.lock().expect("no panic while speaking");
        // When the test is gone, nobody listens any more.
        let _ = writeln!(pipe, "{}", text.trim_end()).and_then(|()| pipe.flush());
    }
}

impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Speaker").finish_non_exhaustive()
    }
}

/// Performs each command that comes, until the test closes the connection or goes away.
///
/// A line is `ID COMMAND ARGUMENTS...`; the answer is `ID ok ...` or `ID error KIND: TEXT`. A command
/// after `&` runs in a thread of its own. `kind_of` names the kind of an error that it knows.
///
/// # Panics
///
/// Panics if a line has no command.
pub fn serve(
    from: impl Read,
    to: &Speaker,
    kind_of: fn(&(dyn Error + 'static)) -> Option<String>,
    perform: impl Fn(&[&str]) -> Answer + Clone + Send + 'static,
) {
    for line in BufReader::new(from).lines() {
        let Ok(line) = line else { return };
        let (id, command) = line.split_once(' ').expect("an id and a command");
        let (id, perform, to) = (id.to_owned(), perform.clone(), to.clone());
        let answer = move |command: &str| {
            let words: Vec<_> = command.split(' ').collect();
            to.say(&match perform(&words) {
                Ok(text) => format!("{id} ok {text}"),
                Err(error) => {
                    let kind = kind_of(&*error).map_or("other".into(), |kind| words_of(&kind));
                    format!("{id} error {kind}: {error}")
                }
            });
        };
        match command.strip_prefix("& ") {
            None => answer(command),
            Some(command) => {
                let command = command.to_owned();
                thread::spawn(move || answer(&command));
            }
        }
    }
}

/// Returns `timed-out` for `TimedOut`.
fn words_of(kind: &str) -> String {
    let mut words = String::new();
    for letter in kind.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push('-');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
