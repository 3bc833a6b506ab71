//! Owner records: the holder of a lock, written into the lock file.
//!
//! The file has two records, a line each, below a header line. An acquire reads both and writes its own over
//! the older one, with a token that is greater by one; a release writes the same record again, as released.
//! So a write that is torn by a crash, at any instant, leaves the other record whole, and a checksum shows
//! which one is torn. The program gets a token after it was written, so a torn token was never used.

mod author;
mod record;
mod time;

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::sys;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::holder::Holder;

pub(crate) use author::Author;
pub(crate) use record::MAX_LABEL;
use record::{HEADER, LENGTH, Record};

/// A process that held a lock, by the owner record in the lock file.
///
/// # Examples
///
/// See [`LockGuard::abandoned`](crate::LockGuard::abandoned).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    record: Record,
}

/// The record of one hold.
#[derive(Debug)]
pub(crate) struct Entry {
    record: Record,
    slot: u64,
    /// The holder before, if it did not release the lock.
    abandoned: Option<Owner>,
}

impl Owner {
    /// The fencing token of that hold.
    pub fn token(&self) -> u64 {
        self.record.token
    }

    /// The process, in its own pid namespace.
    pub fn pid(&self) -> u32 {
        self.record.author.pid
    }

    /// The name of the machine, or of the container.
    pub fn host(&self) -> &str {
        &self.record.author.host
    }

    /// The [label](crate::Options::label) of that hold.
    pub fn label(&self) -> Option<&str> {
        let label = &self.record.author.label;
        (!label.is_empty()).then_some(label)
    }

    /// The instant from which on it held the lock.
    pub fn since(&self) -> SystemTime {
        self.record.since
    }

    /// The holder of a lock with this record. It has a pid only if that means this process here.
    pub(crate) fn as_holder(&self) -> Holder {
        let pid = (!self.is_elsewhere()).then(|| self.pid());
        Holder::with_record(pid, self.label(), self.since())
    }

    /// Whether its pid means another process here: it ran in another boot, in another pid namespace, or
    /// on another machine.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.record.author.is_elsewhere()
    }

    /// Whether that process still runs here. Compares its start time as well, because pids are reused.
    /// `None` if it ran in another boot of the machine, in another pid namespace, or on another machine.
    pub fn is_running(&self) -> Option<bool> {
        self.record.author.is_running()
    }
}

#[cfg(feature = "inspect")]
impl Owner {
    /// Whether it is the process that has this pid here, and the other one in its own pid namespace.
    pub(crate) fn is(&self, pid: u32, own_pid: u32) -> bool {
        self.record.author.is(pid, own_pid)
    }

    /// Whether it ran since this machine was started.
    pub(crate) fn is_of_this_boot(&self) -> bool {
        self.record.author.is_of_this_boot()
    }
}

#[cfg(all(test, feature = "inspect"))]
impl Owner {
    /// As this process would write it, or one that had its pid in that boot of the machine.
    pub(crate) fn sample(boot: Option<&str>) -> Self {
        let mut author = Author::this("a label");
        if let Some(boot) = boot {
            boot.clone_into(&mut author.boot);
        }
        let record = Record {
            token: 1,
            is_held: true,
            since: SystemTime::now(),
            author,
        };
        Self { record }
    }
}

impl Entry {
    /// Writes that the author holds it from now on.
    ///
    /// # Errors
    ///
    /// When the file has other content ([`io::ErrorKind::InvalidData`]), when it has the last token that
    /// there is, or when it can't be read or written.
    pub(crate) fn begin(file: &File, author: &Author) -> io::Result<Self> {
        let slots = read(file)?;
        // Read under the exclusive lock: no other author writes meanwhile.
        let newest = slots.iter().flatten().max_by_key(|record| record.token);
        let last = newest.map_or(0, |record| record.token);
        // The record with the greater token is the newer one; a torn one does not count.
        let token = last
            .checked_add(1)
            .ok_or_else(|| io::Error::other(NO_TOKEN_LEFT))?;
        // Over the older one, or over one that is torn.
        // | record 0 | record 1 | this hold writes |
        // |---|---|---|
        // | none, or torn | none, or torn | 0 |
        // | the newest | older, torn or none | 1 |
        // | older, or torn | the newest | 0 |
        let slot = u64::from(newest.is_some() && slots[0].as_ref() == newest);
        let record = Record {
            token,
            is_held: true,
            since: SystemTime::now(),
            author: author.clone(),
        };
        write(file, slot, &record)?;
        Ok(Self {
            // This process has the lock, so whoever is written as its holder did not release it.
            abandoned: newest.filter(|record| record.is_held).map(|record| Owner {
                record: record.clone(),
            }),
            record,
            slot,
        })
    }

    /// Writes that it is released.
    pub(crate) fn end(&mut self, file: &File) -> io::Result<()> {
        self.record.is_held = false;
        // Over its own record: the other one stays whole, should this write be torn.
        write(file, self.slot, &self.record)
    }

    /// Writes that it is held after all: nobody else could lock it since the end.
    pub(crate) fn resume(&mut self, file: &File) -> io::Result<()> {
        self.record.is_held = true;
        write(file, self.slot, &self.record)
    }

    pub(crate) fn token(&self) -> u64 {
        self.record.token
    }

    pub(crate) fn abandoned(&self) -> Option<&Owner> {
        self.abandoned.as_ref()
    }
}

/// The holder of the lock by the records. The caller need not hold the lock.
pub(crate) fn holder(file: &File) -> Option<Owner> {
    // Without the lock, one record may be half written just now. The other one counts then.
    let slots = read(file).ok()?;
    let newest = slots
        .into_iter()
        .flatten()
        .max_by_key(|record| record.token)?;
    let owner = newest.is_held.then_some(Owner { record: newest })?;
    // A dead process left it, and the holder of today, if any, writes no records.
    (owner.is_running() != Some(false)).then_some(owner)
}

/// Whether a file of that length can have records.
#[cfg_attr(
    not(feature = "inspect"),
    allow(dead_code, reason = "only that feature looks for records")
)]
pub(crate) fn is_length(length: u64) -> bool {
    let one = (HEADER.len() + LENGTH) as u64;
    length == one || length == one + LENGTH as u64
}

/// This process, as the author of records in that file.
///
/// # Errors
///
/// When the file has content of somebody else.
pub(crate) fn author(file: &File, path: &Path, label: &str) -> Result<Author> {
    read(file).map_err(|error| failed(path, error))?;
    Ok(Author::this(label))
}

/// Whether the text can be a label.
pub(crate) fn is_label(text: &str) -> bool {
    text.len() <= MAX_LABEL && text.trim() == text && !text.contains(char::is_control)
}

/// An error of reading or writing a record.
pub(crate) fn failed(path: &Path, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::InvalidData {
        return Error::new(path, Operation::Record, Cause::InvalidPath(FOREIGN));
    }
    Error::system(path, Operation::Record, error)
}

const FOREIGN: &str =
    "the file has other content, and a record goes only into one that is empty or has records";

/// A token that began again would be lower than earlier ones.
const NO_TOKEN_LEFT: &str = "the file has the token 2^64-1 already, and a greater one does not exist: \
     take another lock file, or delete this one and whatever was stored with its tokens";

/// The two records, where they are whole.
fn read(file: &File) -> io::Result<[Option<Record>; 2]> {
    // One byte more than the file may have, to see that it has no more.
    let mut content = vec![0; HEADER.len() + 2 * LENGTH + 1];
    let length = match sys::file::read_at(file, &mut content, 0) {
        // The byte that can't be read while somebody holds the lock was checked by the holder.
        Err(error) if sys::file::is_first_hidden(&error) => {
            content[..1].copy_from_slice(&HEADER.as_bytes()[..1]);
            1 + sys::file::read_at(file, &mut content[1..], 1)?
        }
        read => read?,
    };
    let content = &content[..length];
    let head = &content[..length.min(HEADER.len())];
    if !HEADER.as_bytes().starts_with(head) || length > HEADER.len() + 2 * LENGTH {
        return Err(io::Error::new(io::ErrorKind::InvalidData, FOREIGN));
    }
    let lines = content.get(HEADER.len()..).unwrap_or_default();
    let mut slots = lines.chunks(LENGTH).map(Record::parse);
    Ok([slots.next().flatten(), slots.next().flatten()])
}

fn write(file: &File, slot: u64, record: &Record) -> io::Result<()> {
    let line = record.to_line();
    if slot == 0 {
        // With the line above it, which may not be there yet.
        return sys::file::write_at(file, &[HEADER.as_bytes(), &line].concat(), 0);
    }
    let start = (HEADER.len() + LENGTH) as u64;
    sys::file::write_at(file, &line, start)
}

#[cfg(test)]
mod tests;
