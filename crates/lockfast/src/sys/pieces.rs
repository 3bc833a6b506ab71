//! Ranges cut into pieces that Windows can lock.
//!
//! The plans are written for record locks. Locks on Windows differ by three rules:
//!
//! 1. A lock can be released only as the range that was locked. So a range is cut wherever a plan may
//!    release or convert a part of it: after byte 0, and around the gate, the upgrade byte and each waiting
//!    room. The cuts are [`CUTS`].
//! 2. Nobody else can read or write locked bytes. So of the bytes where data can be, only byte 0 is locked,
//!    as other programs do. All offsets behind it lie `2^60` higher in the file.
//! 3. A range is not locked at once but piece by piece, so the order matters.
//!
//! # The order
//!
//! A waiter takes the pieces in the order in which the plans wait: upgrade byte, waiting rooms, gate, main
//! bytes. A reader on its way in thus holds the gate, and no main byte, while it waits for the main bytes of
//! the writer inside. Nobody waits for the gate while holding a main byte.
//!
//! A single attempt begins with the main bytes. If it fails there, somebody is inside or tries in the same
//! instant, and of those who try in the same instant the first one goes on. The gate and the upgrade byte
//! may still be held by somebody on the way in, or by an attempt that is about to fail. So an attempt that
//! fails at one of these is repeated a few times (`lock`).
//!
//! An attempt that converts a shared lock takes the pieces in the order of a waiter. It has to release what
//! it shares for an instant. A writer that waits for just that would be granted it, and would then wait for
//! byte 0. So the attempt begins with the pieces that such a writer holds: upgrade byte and gate.
//!
//! Byte 0 is the last of the main bytes, as the others are lockfast's own. An upgrade waits for lockfast's
//! readers on those while it shares byte 0 with them, and converts byte 0 when they have left.
//!
//! A release begins with the main bytes and ends with the upgrade byte, on which writers wait: a writer that
//! wakes there finds the rest free.

use super::Range;

/// Bytes that are locked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The range in the file.
    pub(crate) at: Range,
    pub(crate) kind: PieceKind,
}

/// The kinds of pieces, in the order in which they are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PieceKind {
    Upgrade,
    Room,
    Gate,
    /// The main bytes without byte 0, or some of them.
    Inner,
    /// Byte 0, which other programs lock.
    First,
    /// The bytes behind the waiting rooms.
    Other,
}

/// The end of each field of bytes, and the kind of its pieces. The fields are side by side, from offset 0.
///
/// The holder's tag has no kind: it is never locked, as nobody could ask for it. A test of `protocol` checks
/// that the cuts are where its parts begin and end.
const CUTS: [(u64, Option<PieceKind>); 8] = [
    (1, Some(PieceKind::First)),
    (GATE, Some(PieceKind::Inner)),
    (UPGRADE, Some(PieceKind::Gate)),
    (UPGRADE + 1, Some(PieceKind::Upgrade)),
    (ROOMS, None),
    (ROOMS + 1, Some(PieceKind::Room)),
    (ROOMS + 2, Some(PieceKind::Room)),
    (Range::LIMIT, Some(PieceKind::Other)),
];

// Numbers of the protocol, which this room can't import. A test of `protocol` compares them with the layout.
const UPGRADE: u64 = (1 << 62) - 1;
const GATE: u64 = UPGRADE - 1;
const ROOMS: u64 = (1 << 62) + (1 << 61);

/// The distance by which the offsets behind byte 0 are moved up, away from data.
const UP: u64 = 1 << 60;

/// Cuts a range into pieces, in the order in which they are waited for.
pub(crate) fn of(range: Range) -> Vec<Piece> {
    let (start, end) = (range.start, range.end());
    let mut from = 0;
    let mut pieces = Vec::new();
    for (to, kind) in CUTS {
        let (first, behind) = (from.max(start), to.min(end));
        from = to;
        if let Some(kind) = kind.filter(|_| first < behind) {
            let at = Range::between(place(first), place(behind - 1) + 1);
            pieces.push(Piece { at, kind });
        }
    }
    pieces.sort_by_key(|piece| piece.kind);
    pieces
}

/// Returns the start and the end in the file of a range, with everything in between.
pub(crate) fn span(range: Range) -> (u64, u64) {
    (place(range.start), place(range.end() - 1) + 1)
}

/// Returns the offset of the range that lies at this offset of the file.
pub(crate) fn origin(offset: u64) -> u64 {
    match offset {
        offset if (UP..2 * UP).contains(&offset) => offset - UP,
        offset => offset,
    }
}

impl Piece {
    /// The place in the order of a single attempt: main bytes first.
    pub(crate) fn attempt_rank(&self) -> u32 {
        match self.kind {
            PieceKind::Inner => 0,
            PieceKind::First => 1,
            PieceKind::Gate => 2,
            PieceKind::Upgrade => 3,
            PieceKind::Room | PieceKind::Other => 4,
        }
    }

    /// Whether somebody who does not get in may hold it for an instant.
    pub(crate) fn is_passed(&self) -> bool {
        matches!(self.kind, PieceKind::Gate | PieceKind::Upgrade)
    }
}

/// The place in the order of a release: main bytes first, upgrade byte last.
pub(crate) fn release_rank(at: Range) -> u32 {
    match at.start {
        UPGRADE => 3,
        GATE => 2,
        0 => 1,
        _ => 0,
    }
}

fn place(offset: u64) -> u64 {
    // Otherwise two offsets would share a place, and a lock of one would keep out others from the other.
    debug_assert!(!(UP..2 * UP).contains(&offset), "no part lies there");
    match offset {
        0 => 0,
        offset if offset < UP => offset + UP,
        offset => offset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PieceKind::{First, Gate, Inner, Other, Room, Upgrade};

    fn kinds(mut pieces: Vec<Piece>, rank: impl FnMut(&Piece) -> u32) -> Vec<PieceKind> {
        pieces.sort_by_key(rank);
        pieces.iter().map(|piece| piece.kind).collect()
    }

    #[test]
    fn waits_attempts_and_releases_have_their_orders() {
        let all = || of(Range::ALL);
        let waits = [Upgrade, Room, Room, Gate, Inner, First, Other];
        assert_eq!(kinds(all(), |_| 0), waits);
        let attempts = [Inner, First, Gate, Upgrade, Room, Room, Other];
        assert_eq!(kinds(all(), Piece::attempt_rank), attempts);
        let releases = kinds(all(), |piece| release_rank(piece.at));
        assert_eq!(releases[releases.len() - 3..], [First, Gate, Upgrade]);
        let passed = all().into_iter().filter(Piece::is_passed).collect();
        assert_eq!(kinds(passed, |_| 0), [Upgrade, Gate]);
    }
}
