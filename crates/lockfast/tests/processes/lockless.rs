//! A file system with one file, that answers every lock call with an error of the test's choice, or
//! grants it to everybody.

use std::io;
use std::path::Path;

use fuser::BackgroundSession;

use crate::one_file::{self, Call, Locks, Present};

struct Lockless {
    errno: i32,
}

/// Mounts it there until the session is dropped. The error 0 grants.
pub(crate) fn mount(directory: &Path, errno: i32) -> io::Result<BackgroundSession> {
    one_file::mount(directory, Present::default(), Lockless { errno })
}

impl Locks for Lockless {
    fn set(&self, _: &Call) -> Result<(), i32> {
        match self.errno {
            0 => Ok(()),
            errno => Err(errno),
        }
    }
}
