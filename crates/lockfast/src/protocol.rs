//! Which bytes of a lock file mean what.
//!
//! The content of a lock file is irrelevant. Record locks cover ranges of offsets, and the offsets
//! are a name space of 2^63 bytes that need not exist in the file:
//!
//! | bytes | name | meaning |
//! |---|---|---|
//! | `[0, 2^62 - 2)` | main | the lock itself: shared by readers, exclusive for a writer |
//! | `2^62 - 2` | gate | readers pass it on their way in; a writer that waits for readers keeps it shut |
//! | `2^62 - 1` | upgrade | held by the one who is, or may become, the next writer |
//! | `[2^62, 2^62 + tag)` | tag | covered by an exclusive holder, and by the writer that has the upgrade byte; its length names them |
//! | `2^62 + 2^61`, and the next | rooms | readers who found the gate shut wait in one of the two |
//! | `2^62 + 2^61 + 2` | trial | locked for an instant, where it is doubtful whether locks exclude |
//!
//! Semaphores have bytes of their own among these, see [`permits`], so have those who are to be served in the
//! order in which they came, see [`tickets`], and those who keep a lock that they do not use, and
//! those who want it, see [`linger`].
//!
//! On Windows nobody else can read or write what is locked, so there none of the data is locked but byte
//! 0: the bytes behind it lie `2^60` higher, and there is no tag (`sys/windows/pieces.rs`).
//!
//! Programs that lock the whole file, or byte 0, conflict with every holder of the main bytes. In
//! which order the bytes are taken, and why that is right, is in [`plan`].
//!
//! # The holder's tag
//!
//! The kernel does not tell who owns an open-file-description lock (`F_OFD_GETLK` reports pid -1),
//! but it does tell the range of the lock that stands in the way. An exclusive holder therefore
//! locks `[0, 2^62 + tag)`, where the tag holds its pid and a fingerprint of the pid namespace that
//! makes the pid meaningful. Asking who holds the lock is then one system call that costs the
//! holder nothing, works for the processes of other users and needs no `/proc`. The release covers
//! the whole file, as the kernel is 10 % slower at an odd end there. The tag is information, never
//! part of the decision.

pub(crate) mod linger;
#[cfg(test)]
pub(crate) mod model;
pub(crate) mod permits;
pub(crate) mod plan;
pub(crate) mod tickets;

use crate::Holder;

use crate::sys::Range;

/// The kind of kernel lock to take, and so the other programs that lockfast works together with.
///
/// Programs work together if each waits for the other. On Linux the two kinds do not see each other,
/// except on network file systems: all programs that lock one file have to take the same kind, or
/// [`Protocol::Both`]. A crontab with `flock` in one line and `lockfast run` in another has no exclusion
/// between the two lines, and neither program fails: while programs are moved from one kind to the
/// other, lockfast's side must use `Both` (`lockfast run --protocol both`). A table of programs is in
/// docs/works-with.md.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("demo.lock");
/// use lockfast::{Lock, Protocol};
///
/// // Works together with flock(1) and std::fs::File::lock.
/// let lock = Lock::options().protocol(Protocol::Flock).open(&path)?;
/// let guard = lock.lock()?;
/// # drop(guard);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// Record locks: works together with `fcntl`, `lockf`, fasteners and Java's `FileChannel.lock`.
    ///
    /// The lock belongs to the open file description (`F_OFD_SETLK`), not to the process. Its range
    /// starts at byte 0 and its length names the holder, so that those who wait can say who it is.
    ///
    /// # Platform-specific behaviour
    ///
    /// On systems without such locks (the BSDs) it is a `flock`, which works together with the same
    /// programs there.
    ///
    /// On Windows there is one kind of lock, and each protocol works together with programs that lock
    /// byte 0 by `LockFileEx`: fasteners, Python's filelock and portalocker, `std::fs::File::lock`. Nobody but the
    /// holder can read or write byte 0 meanwhile. Who holds it is not known.
    #[default]
    Fcntl,
    /// `flock` locks: works together with flock(1), `std::fs::File::lock`, cargo, Python's filelock and
    /// portalocker. The holder is not known.
    Flock,
    /// Both kinds: record locks first, then `flock`, at twice the cost. For files that programs of both
    /// kinds lock: it works together with all of them.
    Both,
}

/// Where the bytes end that every exclusive holder locks.
const TAG_START: u64 = 1 << 62;

/// What is locked to find out whether locks exclude.
pub(crate) const TRIAL: Range = Range {
    start: TAG_START + (1 << 61) + 2,
    len: 1,
};

/// Linux never gives a pid of more bits (`PID_MAX_LIMIT`).
const PID_BITS: u32 = 22;

/// The bits that are left for the fingerprint of the pid namespace, below the rooms.
const NAMESPACE_BITS: u32 = 61 - PID_BITS;

/// What the kernel says of the lock that stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocker {
    /// The first byte of its range.
    pub(crate) start: u64,
    /// The length of its range, 0 for "to the end of the file, wherever that will be".
    pub(crate) len: u64,
    /// The owner of a classic lock.
    pub(crate) pid: Option<u32>,
}

/// The length of the exclusive range of the process `pid` in the namespace with this fingerprint.
pub(crate) fn exclusive_len(pid: u32, namespace: u64) -> u64 {
    if pid >> PID_BITS != 0 {
        return TAG_START;
    }
    TAG_START | (fold(namespace) << PID_BITS) | u64::from(pid)
}

/// Who the blocker is, seen from the namespace with this fingerprint.
pub(crate) fn holder(blocker: Blocker, namespace: u64) -> Option<Holder> {
    if let Some(pid) = blocker.pid {
        return Some(Holder::with_pid(pid));
    }
    let pid = tagged_pid(blocker)?;
    let tag = blocker.len - TAG_START;
    if tag >> PID_BITS == fold(namespace) {
        Some(Holder::with_tag(pid))
    } else {
        Some(Holder::elsewhere())
    }
}

/// The pid of the holder in its own pid namespace, if the blocker has a tag.
pub(crate) fn tagged_pid(blocker: Blocker) -> Option<u32> {
    if blocker.pid.is_some() || blocker.start != 0 || blocker.len <= TAG_START {
        return None;
    }
    let tag = blocker.len - TAG_START;
    let pid = u32::try_from(tag & ((1 << PID_BITS) - 1)).expect("masked to 22 bits");
    (pid != 0).then_some(pid)
}

fn fold(namespace: u64) -> u64 {
    (namespace ^ (namespace >> NAMESPACE_BITS)) & ((1 << NAMESPACE_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(len: u64) -> Blocker {
        Blocker {
            start: 0,
            len,
            pid: None,
        }
    }

    #[test]
    fn a_tag_names_its_process_in_its_own_namespace_only() {
        let len = exclusive_len(4711, 0xdead_beef_0123_4567);
        assert_eq!(
            holder(seen(len), 0xdead_beef_0123_4567),
            Some(Holder::with_tag(4711))
        );
        assert_eq!(holder(seen(len), 1), Some(Holder::elsewhere()));
    }

    #[test]
    fn every_exclusive_range_is_positive_and_covers_the_main_bytes() {
        for pid in [0, 1, (1 << PID_BITS) - 1, 1 << PID_BITS, u32::MAX] {
            for namespace in [0, 1, u64::MAX] {
                let len = exclusive_len(pid, namespace);
                assert!(
                    len >= TAG_START && i64::try_from(len).is_ok(),
                    "{pid} {len}"
                );
            }
        }
    }

    #[test]
    fn foreign_lockers_have_no_tag() {
        assert_eq!(holder(seen(0), 7), None);
        assert_eq!(holder(seen(1), 7), None);
        assert_eq!(holder(seen(TAG_START), 7), None);
        let classic = Blocker {
            start: 0,
            len: 0,
            pid: Some(12),
        };
        assert_eq!(holder(classic, 7), Some(Holder::with_pid(12)));
    }
}
