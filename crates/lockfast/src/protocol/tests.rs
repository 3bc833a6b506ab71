//! Tests that the pieces of Windows' locks fit the protocol.

use super::permits;
use super::plan::Part;
use super::tag::exclusive_len;
use crate::sys::Range;
use crate::sys::pieces::{PieceKind, of, origin, span};

fn kinds(range: Range) -> Vec<PieceKind> {
    of(range).iter().map(|piece| piece.kind).collect()
}

fn part(part: Part) -> Range {
    part.range(exclusive_len(4711, u64::MAX))
}

#[test]
fn each_part_is_cut_where_a_plan_releases_less_of_it() {
    use PieceKind::{First, Gate, Inner, Room, Upgrade};
    assert_eq!(kinds(part(Part::MainToTag)), [Upgrade, Gate, Inner, First]);
    assert_eq!(kinds(part(Part::MainAndGate)), [Gate, Inner, First]);
    assert_eq!(kinds(part(Part::Main)), [Inner, First]);
    assert_eq!(kinds(part(Part::Gate)), [Gate]);
    assert_eq!(kinds(part(Part::Upgrade)), [Upgrade]);
    assert_eq!(kinds(part(Part::Rooms)), [Room; 2]);
    assert_eq!(kinds(part(Part::FirstRoom)), [Room]);
    assert_eq!(kinds(part(Part::SecondRoom)), [Room]);
}

#[test]
fn only_the_first_byte_lies_where_data_can_be() {
    for range in [
        part(Part::All),
        permits::all(permits::MAX),
        permits::permit(1),
    ] {
        for piece in of(range) {
            assert!(piece.at.start == 0 && piece.at.len == 1 || piece.at.start > 1 << 60);
            assert!(i64::try_from(piece.at.start + piece.at.len - 1).is_ok());
        }
    }
}

#[test]
fn permits_and_head_lie_in_what_a_writer_locks() {
    let whole = of(part(Part::MainToTag));
    let head = Part::Head.range(0);
    for range in [permits::permit(0), permits::permit(permits::MAX - 1), head] {
        let [piece] = of(range)[..] else {
            panic!("one piece")
        };
        let at = piece.at;
        let holds =
            |whole: Range| whole.start <= at.start && at.start + at.len <= whole.start + whole.len;
        assert!(whole.iter().any(|piece| holds(piece.at)), "{range:?}");
        assert_eq!(origin(at.start), range.start);
    }
}

#[test]
fn a_span_has_all_its_pieces() {
    for range in [
        part(Part::All),
        part(Part::MainToTag),
        part(Part::GateAndAbove),
    ] {
        let (start, end) = span(range);
        for piece in of(range) {
            assert!(start <= piece.at.start && piece.at.start + piece.at.len <= end);
        }
    }
}
