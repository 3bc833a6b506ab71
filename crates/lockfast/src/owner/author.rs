//! Who writes a record.

use crate::sys::process;

/// A process, told apart from every other one that had or will have its pid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    pub(super) pid: u32,
    /// When it started, by the clock of its boot; 0 where that is not known.
    pub(super) started: u64,
    /// Of the machine; empty where that is not known.
    pub(super) boot: String,
    pub(super) host: String,
    pub(super) label: String,
}

impl Author {
    /// This process.
    pub(crate) fn this(label: &str) -> Self {
        let pid = std::process::id();
        Self {
            pid,
            started: process::started(pid).unwrap_or(0),
            boot: process::boot().unwrap_or_default(),
            host: host(),
            label: label.to_owned(),
        }
    }

    /// See [`Owner::is_running`](super::Owner::is_running).
    pub(super) fn is_running(&self) -> Option<bool> {
        let is_here = !self.boot.is_empty()
            && process::boot().as_deref() == Some(&*self.boot)
            && host() == self.host;
        (is_here && self.started != 0).then(|| process::started(self.pid) == Some(self.started))
    }
}

/// As it fits into a record.
fn host() -> String {
    let name = process::host();
    let plain = name.chars().filter(char::is_ascii_graphic);
    plain.take(MAX_HOST).collect()
}

/// The longest name of a host, in bytes.
const MAX_HOST: usize = 64;
