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

/// A range of offsets. A length of 0 reaches to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) len: u64,
}
