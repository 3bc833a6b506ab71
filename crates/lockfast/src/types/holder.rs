//! The holder of a lock, as far as one call finds it out.

use std::fmt;
use std::process;
use std::time::SystemTime;

use crate::protocol::Blocker;
use crate::protocol::tag::Tag;
use crate::sys;
use crate::types::text::Shown;

/// The process that holds a lock, as far as one call to the kernel or the engine finds it out.
///
/// A holder that uses lockfast names itself (see [`Protocol::Fcntl`](crate::Protocol::Fcntl)), and the kernel
/// names one that uses classic `fcntl` locks. Other holders of a file can't be found this way: then there is
/// no `Holder`.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("demo.lock");
/// let here = lockfast::Lock::open(&path)?;
/// let guard = here.lock()?;
///
/// let there = lockfast::Lock::open(&path)?;
/// let error = there.try_lock().unwrap_err();
/// # #[cfg(target_os = "linux")]
/// assert_eq!(error.holder().unwrap().pid(), Some(std::process::id()));
/// # drop(guard);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pid: Option<u32>,
    /// The machine of the process, if an engine reported it.
    host: Option<String>,
    label: Option<String>,
    since: Option<SystemTime>,
    /// Whether the pid is from the tag of its lock, and so of this pid namespace.
    named_itself: bool,
}

impl Holder {
    pub(crate) fn with_pid(pid: u32) -> Self {
        Self {
            pid: Some(pid),
            host: None,
            label: None,
            since: None,
            named_itself: false,
        }
    }

    /// A process of this pid namespace, by the tag of its lock.
    pub(crate) fn with_tag(pid: u32) -> Self {
        Self {
            named_itself: true,
            ..Self::with_pid(pid)
        }
    }

    /// A process whose pid means nothing here: in another pid namespace, or on another machine.
    pub(crate) fn elsewhere() -> Self {
        Self {
            pid: None,
            host: None,
            label: None,
            since: None,
            named_itself: false,
        }
    }

    /// The process that has the lock in the way, seen from the pid namespace with this fingerprint.
    pub(crate) fn of(blocker: Blocker, namespace: u64) -> Option<Self> {
        if let Some(pid) = blocker.pid {
            return Some(Self::with_pid(pid));
        }
        let tag = Tag::of(blocker)?;
        Some(if tag.is_of(namespace) {
            Self::with_tag(tag.pid)
        } else {
            Self::elsewhere()
        })
    }

    /// A process with an owner record.
    pub(crate) fn with_record(pid: Option<u32>, label: Option<&str>, since: SystemTime) -> Self {
        Self {
            pid,
            host: None,
            label: label.map(str::to_owned),
            since: Some(since),
            named_itself: false,
        }
    }

    pub(crate) fn this_process() -> Self {
        Self::with_pid(process::id())
    }

    /// Returns the process with that id on that machine; for engines.
    #[doc(hidden)]
    #[must_use]
    pub fn on_host(
        host: impl Into<String>,
        pid: u32,
        label: Option<String>,
        since: Option<SystemTime>,
    ) -> Self {
        Self {
            host: Some(host.into()),
            label,
            since,
            ..Self::with_pid(pid)
        }
    }

    /// The process id; `None` for a process in another pid namespace or on another machine.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// The machine on which the process runs, if an engine reported it; `None` for this machine's kernel.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The [label](crate::Options::label) that it gave, if it keeps an
    /// [owner record](crate::Options::owner_record) and those who ask do so too.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// The time at which it took the lock, if there is an owner record.
    pub fn since(&self) -> Option<SystemTime> {
        self.since
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, &self.host) {
            (Some(pid), Some(host)) => write!(f, "pid {pid} on {}", Shown::word(host))?,
            (Some(pid), None) if pid == process::id() => write!(f, "this process (pid {pid})")?,
            // Others inherited the lock of the process that took it, and the tag does not name them.
            (Some(pid), None) if self.named_itself && sys::process::has_ended(pid) => {
                write!(f, "processes that pid {pid} started, which has ended")?;
            }
            (Some(pid), None) => write!(f, "pid {pid}")?,
            (None, _) => f.write_str("a process in another pid namespace or on another machine")?,
        }
        if let Some(label) = &self.label {
            write!(f, " ({})", Shown::word(label))?;
        }
        match self.since.and_then(|since| since.elapsed().ok()) {
            Some(held) => write!(f, ", for {held:.1?}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::tag::exclusive_len;

    fn blocker(len: u64, pid: Option<u32>) -> Blocker {
        Blocker { start: 0, len, pid }
    }

    #[test]
    fn a_tag_names_its_process_in_its_own_namespace_only() {
        let seen = blocker(exclusive_len(4711, 0xdead_beef_0123_4567), None);
        let own = Holder::of(seen, 0xdead_beef_0123_4567);
        assert_eq!(own, Some(Holder::with_tag(4711)));
        assert_eq!(Holder::of(seen, 1), Some(Holder::elsewhere()));
    }

    #[test]
    fn locks_of_other_programs_have_no_tag() {
        for len in [0, 1, 1 << 62] {
            assert_eq!(Holder::of(blocker(len, None), 7), None);
        }
        let classic = Holder::of(blocker(0, Some(12)), 7);
        assert_eq!(classic, Some(Holder::with_pid(12)));
    }

    #[test]
    fn names_itself_others_and_the_unknown() {
        let own = process::id();
        assert_eq!(
            Holder::this_process().to_string(),
            format!("this process (pid {own})")
        );
        assert_eq!(
            Holder::with_pid(own + 1).to_string(),
            format!("pid {}", own + 1)
        );
        let remote = Holder::on_host("web-1", own, Some("backup".to_owned()), None);
        assert_eq!(remote.to_string(), format!("pid {own} on web-1 (backup)"));
        assert!(Holder::elsewhere().to_string().contains("another machine"));
        assert_eq!(Holder::with_tag(1).to_string(), "pid 1");
    }
}
