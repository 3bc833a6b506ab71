//! Byte ranges, and how they are locked.

/// Whether others may hold the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    /// Others may share.
    Shared,
    /// Only one holder.
    Exclusive,
}

/// A lock of bytes that is in the way of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocker {
    /// The first byte of its range.
    pub(crate) start: u64,
    /// The length of its range, 0 for "to the end of the file, wherever that will be".
    pub(crate) len: u64,
    /// The owner of a classic lock.
    pub(crate) pid: Option<u32>,
}

/// A range of offsets. A length of 0 reaches to the end of all offsets, as in the kernel's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) len: u64,
}

impl Range {
    /// The end of all offsets: the kernel has 63 bits for them.
    pub(crate) const LIMIT: u64 = 1 << 63;

    /// Every offset.
    pub(crate) const ALL: Self = Self::from_start(0);

    pub(crate) const fn new(start: u64, len: u64) -> Self {
        Self { start, len }
    }

    /// The offsets from `start` up to, and without, `end`, which is greater.
    pub(crate) const fn between(start: u64, end: u64) -> Self {
        Self::new(start, end - start)
    }

    /// All offsets from `start` on.
    pub(crate) const fn from_start(start: u64) -> Self {
        Self::new(start, 0)
    }

    /// The first offset behind the range.
    pub(crate) const fn end(self) -> u64 {
        match self.len {
            0 => Self::LIMIT,
            len => self.start.saturating_add(len),
        }
    }

    pub(crate) const fn overlaps(self, other: Self) -> bool {
        self.start < other.end() && other.start < self.end()
    }

    /// Whether all of the other range lies in this one.
    pub(crate) const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end() <= self.end()
    }
}

impl Blocker {
    pub(crate) const fn range(self) -> Range {
        Range::new(self.start, self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_zero_reaches_to_the_end() {
        let tail = Range::from_start(7);
        assert_eq!(tail.end(), 1 << 63);
        assert!(tail.overlaps(Range::new(1 << 62, 1)) && !tail.overlaps(Range::new(0, 7)));
        assert!(Range::ALL.contains(tail) && !tail.contains(Range::ALL));
        assert!(tail.contains(Range::between(7, 8)) && !tail.contains(Range::new(6, 2)));
    }
}
