//! The deeds of a client, line by line in a file that survives it.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lockfast::{ErrorKind, HoldState, Result};
use lockfast_servers::checkers::Moment;

use crate::client::Mutant;
use crate::fence::Fence;
use crate::place::Held;

/// The locks that the clients of a run share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Resource {
    /// A lock with a fence behind it.
    Sole,
    /// A readers-writer lock, with a fence for its writers.
    Many,
    /// A semaphore.
    Pool,
}

/// The permits of the semaphore.
pub(crate) const PERMITS: u32 = 3;

impl Resource {
    pub(crate) const ALL: [Self; 3] = [Self::Sole, Self::Many, Self::Pool];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sole => "sole",
            Self::Many => "many",
            Self::Pool => "pool",
        }
    }
}

/// The diary of one process, which its threads and tasks share.
#[derive(Debug)]
pub(crate) struct Diary {
    file: File,
    mutant: Mutant,
    attempts: AtomicU64,
}

/// An attempt to take a lock.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    diary: &'a Diary,
    name: String,
    resource: Resource,
}

impl Diary {
    pub(crate) fn create(path: &Path, mutant: Mutant) -> io::Result<Self> {
        Ok(Self {
            // Each line is one call, so that lines of threads do not mix, and a kill leaves whole lines.
            file: File::options().create(true).append(true).open(path)?,
            mutant,
            attempts: AtomicU64::new(0),
        })
    }

    /// Notes that the lock is asked for. `share` is `x` for a writer, `s` for a reader, or the number of permits.
    pub(crate) fn attempt(&self, resource: Resource, share: &str) -> Attempt<'_> {
        let number = self.attempts.fetch_add(1, Ordering::Relaxed);
        let attempt = Attempt {
            diary: self,
            name: format!("{}.{number}", process::id()),
            resource,
        };
        attempt.note("called", format_args!("{} {share}", resource.name()));
        attempt
    }
}

impl Attempt<'_> {
    fn token(&self, guard: &impl Held) -> Option<u64> {
        self.diary.mutant.token(guard.token())
    }

    fn note(&self, event: &str, details: impl Display) {
        let line = format!("{} {event} {} {details}\n", self.name, Moment::now());
        (&self.diary.file)
            .write_all(line.as_bytes())
            .expect("the diary can be written");
    }

    /// Notes the answer, and returns the guard.
    pub(crate) fn answered<G: Held>(&self, answer: Result<G>) -> Option<G> {
        match answer {
            Ok(guard) => {
                let token = self
                    .token(&guard)
                    .map_or("-".to_owned(), |it| it.to_string());
                self.note("granted", token);
                Some(guard)
            }
            Err(error) => {
                self.note("failed", format_args!("{:?} {error}", error.kind()));
                None
            }
        }
    }

    /// Notes whether the guard is valid, and writes behind the fence if so.
    pub(crate) fn uses(&self, guard: &impl Held, fence: Option<&Fence>) -> HoldState {
        let before = Moment::now();
        let state = self.diary.mutant.state(guard.state());
        if state != HoldState::Valid {
            self.note("doubted", format_args!("{state:?}"));
            return state;
        }
        self.note("valid", before);
        if let (Some(fence), Some(token)) = (fence, self.token(guard)) {
            let accepted = fence.write(self.resource.name(), token);
            self.note("wrote", if accepted { "ok" } else { "refused" });
        }
        state
    }

    /// Releases the lock and notes the answer.
    pub(crate) fn releases(&self, guard: impl Held) {
        self.note("releases", "");
        let answer = match guard.release() {
            Ok(()) => "released".to_owned(),
            Err(error) if error.kind() == ErrorKind::NotHeld => "lost".to_owned(),
            Err(error) => format!("unknown {error}"),
        };
        self.note("ended", answer);
    }
}

/// The time between two uses of a lock.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// The most uses in one hold.
pub(crate) const USES: u64 = 6;
