//! The holder's tag: how an exclusive holder names itself.
//!
//! The kernel does not report the owner of an open-file-description lock (`F_OFD_GETLK` answers pid -1),
//! but it does report the range of the lock in the way. An exclusive holder therefore locks
//! `[0, 2^62 + tag)`, where the tag has its pid and a fingerprint of the pid namespace that makes the pid
//! meaningful. To ask who holds the lock is then one system call that costs the holder nothing, works for
//! the processes of other users and needs no `/proc`. The release covers the whole file, as the kernel is
//! 10 % slower at an odd end there. The tag is information, never part of the decision.

use super::Blocker;
use super::layout::{TAG, TAG_BITS};

/// Linux never gives a pid of more bits (`PID_MAX_LIMIT`).
const PID_BITS: u32 = 22;

/// The bits that are left for the fingerprint of the pid namespace.
const NAMESPACE_BITS: u32 = TAG_BITS - PID_BITS;

/// The process that an exclusive range names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// The pid in its own pid namespace.
    pub(crate) pid: u32,
    namespace: u64,
}

/// The length of the exclusive range of the process `pid` in the namespace with this fingerprint.
pub(crate) fn exclusive_len(pid: u32, namespace: u64) -> u64 {
    if pid >> PID_BITS != 0 {
        // No tag rather than a wrong one. The range still covers all that an exclusive holder needs.
        return TAG.start;
    }
    TAG.start | (fold(namespace) << PID_BITS) | u64::from(pid)
}

impl Tag {
    /// The tag of a lock in the way, if it has one.
    pub(crate) fn of(blocker: Blocker) -> Option<Self> {
        if blocker.pid.is_some() || blocker.start != 0 || blocker.len <= TAG.start {
            return None;
        }
        let tag = blocker.len - TAG.start;
        let pid = u32::try_from(tag & ((1 << PID_BITS) - 1)).expect("masked to 22 bits");
        let namespace = tag >> PID_BITS;
        // No process has the pid 0.
        (pid != 0).then_some(Self { pid, namespace })
    }

    /// Whether the pid is one of the namespace with this fingerprint.
    pub(crate) fn is_of(self, namespace: u64) -> bool {
        self.namespace == fold(namespace)
    }
}

fn fold(namespace: u64) -> u64 {
    (namespace ^ (namespace >> NAMESPACE_BITS)) & ((1 << NAMESPACE_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exclusive_range_covers_main_to_upgrade_and_ends_in_the_tag() {
        for pid in [0, 1, (1 << PID_BITS) - 1, 1 << PID_BITS, u32::MAX] {
            for namespace in [0, 1, u64::MAX] {
                let len = exclusive_len(pid, namespace);
                assert!((TAG.start..=TAG.end()).contains(&len), "{pid} {len}");
            }
        }
    }
}
