//! The names in a space, with those who hold them and those who wait.

use std::time::SystemTime;

use lockfast::Holder;
use lockfast::engine::Mode;

/// A name in a space, with its holders and waiters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The name, as the program gave it.
    pub name: String,
    /// The primitive that the name is used for.
    pub kind: Kind,
    /// The holders, in the order of their tokens.
    pub holders: Vec<Party>,
    /// The waiters, in the order in which they will get in.
    pub waiters: Vec<Party>,
}

/// The primitive that a name is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A lock, exclusive or shared.
    Lock,
    /// A semaphore with that number of permits.
    Semaphore(u32),
}

/// A holder or a waiter, as it describes itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Party {
    /// The mode; `None` for permits.
    pub mode: Option<Mode>,
    /// The number of permits; 0 for a lock.
    pub permits: u32,
    /// The place in the line, from 1; 0 for a holder.
    pub place: u32,
    /// The fencing token of a holder, or the number by which the engine orders a waiter. `break_token` takes it.
    pub token: u64,
    /// The epoch of the token: tokens of different epochs can't be compared.
    pub epoch: u64,
    /// The wall-clock time at which it arrived, by its own clock.
    pub since: Option<SystemTime>,
    /// The machine that it runs on.
    pub host: Option<String>,
    /// The process id on that machine.
    pub pid: Option<u32>,
    /// The user that it runs as.
    pub user: Option<String>,
    /// The program that it runs.
    pub command: Option<String>,
    /// The label that it gave.
    pub label: Option<String>,
}

impl Entry {
    /// Returns a name that nobody holds or waits for.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            holders: Vec::new(),
            waiters: Vec::new(),
        }
    }
}

impl Party {
    /// The process, as errors name it.
    pub fn holder(&self) -> Option<Holder> {
        let (host, pid) = (self.host.as_deref()?, self.pid?);
        let label = self.label.clone().or_else(|| self.command.clone());
        Some(Holder::on_host(host, pid, label, self.since))
    }
}
