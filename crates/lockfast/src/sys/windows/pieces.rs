//! The bytes of the protocol, as Windows can lock them.
//!
//! Three rules differ from those of record locks, for which the [plans](crate::protocol::plan) are
//! written:
//!
//! 1. A lock is given back as it was taken. So what a plan gives back in part is taken in *pieces*: byte
//!    0, everything between it and the gate, gate, upgrade byte, each room.
//! 2. Nobody else can read or write the bytes that are locked. So none of the data is locked but byte 0,
//!    which other programs lock: what the protocol has in the bytes after it (permits) lies `2^60`
//!    higher.
//! 3. A range is not locked at once but piece by piece, so the order matters.
//!
//! # In which order
//!
//! One who waits takes them in the order in which the plans wait: upgrade, rooms, gate, and then what
//! stands for the main bytes. A reader that is on its way in thus holds the gate, and no main byte, while
//! it waits for the main bytes of a writer that is inside; nobody waits for a gate with a main byte.
//!
//! One who only tries begins with the main bytes: what fails there fails because of somebody who is
//! inside or in the same instant, and of those who try in the same instant the first one goes on. Then
//! gate and upgrade byte can still be taken by one who is on its way in, or whose attempt is about to
//! fail: so that is tried a few times (`lock`).
//!
//! One who tries to make more of what it shares takes them as one who waits does. It has to give up what
//! it shares for an instant, and a writer that waits for just that would get it, and then wait for byte 0
//! of the one who tries: so it begins with what such a writer has, upgrade byte and gate.
//!
//! Of the main bytes, byte 0 is the last. The others are lockfast's own. An upgrade waits for the readers
//! of lockfast by those, sharing byte 0 with them all the time, and changes byte 0 when they have left.
//!
//! What is given back begins with the main bytes and ends with the upgrade byte, on which writers wait:
//! who is woken there finds the rest free.

use crate::protocol::plan::Part;
use crate::sys::Range;

/// What is locked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it is in the file.
    pub(super) at: Range,
    kind: Kind,
}

/// In the order in which they are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Upgrade,
    Room,
    Gate,
    /// The main bytes but the first, or some of them.
    Inner,
    /// Byte 0, which other programs lock.
    First,
    /// Beyond all that.
    Other,
}

/// How far up those bytes are that would else lie among data.
const UP: u64 = 1 << 60;

/// Where the protocol's offsets end.
const END: u64 = 1 << 63;

/// The pieces of a range, in the order in which they are waited for. The holder's tag is left out, as
/// nobody could ask for it.
pub(super) fn of(range: Range) -> Vec<Piece> {
    let (gate, upgrade) = (Part::Gate.range(0), Part::Upgrade.range(0));
    let (one, other) = (Part::FirstRoom.range(0), Part::SecondRoom.range(0));
    let tag = upgrade.start + 1;
    let fields = [
        (0, 1, Some(Kind::First)),
        (1, gate.start, Some(Kind::Inner)),
        (gate.start, upgrade.start, Some(Kind::Gate)),
        (upgrade.start, tag, Some(Kind::Upgrade)),
        (tag, one.start, None),
        (one.start, other.start, Some(Kind::Room)),
        (other.start, other.start + 1, Some(Kind::Room)),
        (other.start + 1, END, Some(Kind::Other)),
    ];
    let (start, end) = (range.start, end(range));
    let mut pieces: Vec<_> = fields
        .into_iter()
        .filter_map(|(from, to, kind)| {
            let (from, to) = (from.max(start), to.min(end));
            let kind = kind.filter(|_| from < to)?;
            let at = between(place(from), place(to - 1) + 1);
            Some(Piece { at, kind })
        })
        .collect();
    pieces.sort_by_key(|piece| piece.kind);
    pieces
}

/// From where to where a range reaches in the file, with everything in between.
pub(super) fn span(range: Range) -> (u64, u64) {
    (place(range.start), place(end(range) - 1) + 1)
}

/// Where that offset of the file is in the protocol.
pub(super) fn origin(offset: u64) -> u64 {
    match offset {
        offset if (UP..2 * UP).contains(&offset) => offset - UP,
        offset => offset,
    }
}

impl Piece {
    /// When it is tried: main bytes first.
    pub(super) fn attempt_rank(&self) -> u32 {
        match self.kind {
            Kind::Inner => 0,
            Kind::First => 1,
            Kind::Gate => 2,
            Kind::Upgrade => 3,
            Kind::Room | Kind::Other => 4,
        }
    }

    /// Can it be taken for a moment by one who does not get in?
    pub(super) fn is_passed(&self) -> bool {
        matches!(self.kind, Kind::Gate | Kind::Upgrade)
    }
}

/// When a range is given back: main bytes first, upgrade byte last.
pub(super) fn release_rank(at: Range) -> u32 {
    let (gate, upgrade) = (Part::Gate.range(0), Part::Upgrade.range(0));
    match at.start {
        start if start == upgrade.start => 3,
        start if start == gate.start => 2,
        0 => 1,
        _ => 0,
    }
}

fn place(offset: u64) -> u64 {
    debug_assert!(!(UP..2 * UP).contains(&offset), "no part lies there");
    match offset {
        0 => 0,
        offset if offset < UP => offset + UP,
        offset => offset,
    }
}

fn end(range: Range) -> u64 {
    match range.len {
        0 => END,
        len => range.start + len,
    }
}

fn between(start: u64, end: u64) -> Range {
    Range {
        start,
        len: end - start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{exclusive_len, permits};

    fn kinds(range: Range) -> Vec<Kind> {
        of(range).iter().map(|piece| piece.kind).collect()
    }

    fn part(part: Part) -> Range {
        part.range(exclusive_len(4711, u64::MAX))
    }

    #[test]
    fn a_writer_has_all_but_the_rooms_and_a_reader_main_and_gate() {
        use Kind::{First, Gate, Inner, Upgrade};
        assert_eq!(kinds(part(Part::Whole)), [Upgrade, Gate, Inner, First]);
        assert_eq!(kinds(part(Part::Entrance)), [Gate, Inner, First]);
        assert_eq!(kinds(part(Part::Main)), [Inner, First]);
        assert_eq!(kinds(part(Part::Rooms)), [Kind::Room; 2]);
    }

    #[test]
    fn only_the_first_byte_lies_where_data_can_be() {
        for range in [
            part(Part::All),
            permits::all(permits::MAX),
            permits::permit(1),
        ] {
            for piece in of(range) {
                assert!(piece.at.start == 0 && piece.at.len == 1 || piece.at.start > UP);
                assert!(i64::try_from(piece.at.start + piece.at.len - 1).is_ok());
            }
        }
    }

    #[test]
    fn permits_and_head_lie_in_what_a_writer_locks() {
        let whole = of(part(Part::Whole));
        let head = Part::Head.range(0);
        for range in [permits::permit(0), permits::permit(permits::MAX - 1), head] {
            let [piece] = of(range)[..] else {
                panic!("one piece")
            };
            let at = piece.at;
            let holds = |whole: Range| {
                whole.start <= at.start && at.start + at.len <= whole.start + whole.len
            };
            assert!(whole.iter().any(|piece| holds(piece.at)), "{range:?}");
            assert_eq!(origin(at.start), range.start);
        }
    }

    #[test]
    fn a_span_has_all_its_pieces() {
        for range in [part(Part::All), part(Part::Whole), part(Part::BeyondMain)] {
            let (start, end) = span(range);
            for piece in of(range) {
                assert!(start <= piece.at.start && piece.at.start + piece.at.len <= end);
            }
        }
    }
}
