//! Byte ranges, and how they are locked.

/// Whether others may hold the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    /// Others may share.
    Shared,
    /// Only one holder.
    Exclusive,
}

/// A range of offsets. A length of 0 reaches to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) len: u64,
}
