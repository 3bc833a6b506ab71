//! The author of a record.

use crate::sys::process;

/// A process, distinct from every other one that had or will have its pid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    pub(super) pid: u32,
    /// When it started, by the clock of its boot; 0 where that is not known.
    pub(super) started: u64,
    /// The boot of the machine, and the pid namespace behind a slash; empty where that is not known.
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
            boot: boot(),
            host: host(),
            label: label.to_owned(),
        }
    }

    /// See [`Owner::is_running`](super::Owner::is_running).
    pub(super) fn is_running(&self) -> Option<bool> {
        let is_here = !self.boot.is_empty() && !self.is_elsewhere();
        // The pid may be another process's by now, which started at another time.
        (is_here && self.started != 0).then(|| process::started(self.pid) == Some(self.started))
    }

    /// See [`Owner::is_elsewhere`](super::Owner::is_elsewhere).
    pub(super) fn is_elsewhere(&self) -> bool {
        boot() != self.boot || host() != self.host
    }

    /// Whether it is the process that has this pid here, and the other one in its own pid namespace.
    #[cfg_attr(
        not(feature = "inspect"),
        allow(dead_code, reason = "only that feature looks at other processes")
    )]
    pub(super) fn is(&self, pid: u32, own_pid: u32) -> bool {
        self.is_of_this_boot()
            && self.pid == own_pid
            && self.started != 0
            && process::started(pid) == Some(self.started)
    }

    /// Whether it ran since this machine was started.
    pub(super) fn is_of_this_boot(&self) -> bool {
        let machine = |boot: &str| boot.split('/').next().map(str::to_owned);
        !self.boot.is_empty() && machine(&self.boot) == machine(&boot())
    }
}

/// A pid means a process in its namespace alone.
fn boot() -> String {
    match (process::boot(), process::pid_namespace()) {
        (Some(boot), Some(namespace)) => format!("{boot}/{namespace}"),
        (boot, _) => boot.unwrap_or_default(),
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
