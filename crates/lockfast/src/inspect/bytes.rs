//! What locked bytes mean, when lockfast locked them.

use super::snapshot::{RawLock, end};
use super::view::{Kind, Mode, Role};
use crate::protocol::plan::Part;
use crate::protocol::tag::Tag;
use crate::protocol::tickets::{self, Side};
use crate::protocol::{Blocker, linger, permits};
use crate::sys::Range;

/// What an open file description has of a lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It has the lock, in that role.
    Holds { role: Role, exclusive: bool },
    /// It has so many permits.
    HasPermits { count: u64, of: u32 },
    /// It is the first in the line for permits. What it has found is not enough yet.
    LeadsLine,
    /// It is on its way, or has the file open: no hold.
    OnTheWay,
}

/// What the locks of one description mean; `None` when they are not lockfast's.
///
/// The number of permits is that of the file.
pub(super) fn meaning(locks: &[RawLock], permits: Option<u32>) -> Option<Meaning> {
    if locks.iter().any(|lock| lock.kind != Kind::Ofd) {
        return None;
    }
    let main = Part::Main.range(0);
    let whole = locks
        .iter()
        .find(|lock| lock.range.start == 0 && is_tagged(lock));
    if whole.is_some() {
        let (role, exclusive) = (Role::Writer, true);
        return Some(Meaning::Holds { role, exclusive });
    }
    let reads = |lock: &&RawLock| {
        let ends = end(lock.range);
        !lock.exclusive
            && lock.range.start == 0
            && (end(main)..=end(Part::Upgrade.range(0))).contains(&ends)
    };
    if locks.iter().any(|lock| reads(&lock)) {
        let upgrade = Part::Upgrade.range(0).start;
        let upgradable = locks
            .iter()
            .any(|lock| lock.exclusive && covers(lock, upgrade));
        let role = if upgradable {
            Role::Upgradable
        } else {
            Role::Reader
        };
        return Some(Meaning::Holds {
            role,
            exclusive: false,
        });
    }
    if leads_line(locks) {
        return Some(Meaning::LeadsLine);
    }
    if let Some(of) = permits {
        let within = |lock: &&RawLock| lock.exclusive && end(lock.range) <= end(permits::all(of));
        let count = locks
            .iter()
            .filter(within)
            .map(|lock| permits::within(lock.range));
        let count: u64 = count.sum();
        if count > 0 {
            return Some(Meaning::HasPermits { count, of });
        }
    }
    let beside = |lock: &RawLock| is_beside(lock.range);
    locks.iter().all(beside).then_some(Meaning::OnTheWay)
}

/// What somebody waits to become who waits for these bytes.
pub(super) fn awaited(lock: &RawLock) -> Option<Role> {
    if lock.kind != Kind::Ofd {
        return None;
    }
    let is = |part: Part| lock.range == part.range(0);
    if lock.exclusive {
        let on_the_way = [Part::FirstRoom, Part::SecondRoom, Part::Gate];
        if names_writer(lock) || on_the_way.into_iter().any(is) {
            return Some(Role::Writer);
        }
        return is(Part::Head).then_some(Role::Permit);
    }
    (is(Part::MainAndGate) || is(Part::Main)).then_some(Role::Reader)
}

/// What somebody waits to become who waits for an earlier ticket, and has these locks itself: shared or
/// not, and the role if its ticket tells.
pub(super) fn awaited_in_line(
    lock: &RawLock,
    own: &[RawLock],
    permits: Option<u32>,
) -> Option<(Mode, Option<Role>)> {
    let side = |lock: &RawLock| match lock.kind {
        Kind::Ofd => tickets::side_of(lock.range),
        _ => None,
    };
    side(lock)?;
    Some(match own.iter().find_map(side)? {
        Side::Readers => (Mode::Shared, Some(Role::Reader)),
        Side::Writers if permits.is_some() => (Mode::Exclusive, Some(Role::Permit)),
        // A writer, or an upgradable reader.
        Side::Writers => (Mode::Exclusive, None),
    })
}

/// With how many permits somebody has the file open, if this lock says so.
pub(super) fn permits_of(lock: &RawLock) -> Option<u32> {
    if lock.kind != Kind::Ofd || lock.exclusive || lock.range.len != 1 {
        return None;
    }
    permits::number_of(lock.range.start)
}

/// Is it the first in the line for permits?
pub(crate) fn leads_line(locks: &[RawLock]) -> bool {
    let head = Part::Head.range(0);
    locks
        .iter()
        .any(|lock| lock.kind == Kind::Ofd && lock.exclusive && lock.range == head)
}

/// Does it have a permit, if that is a semaphore's file? Whoever leads the line has not, whatever it has found.
pub(super) fn has_permits(locks: &[RawLock]) -> bool {
    let all = end(permits::all(permits::MAX));
    let is_permit =
        |lock: &RawLock| lock.kind == Kind::Ofd && lock.exclusive && end(lock.range) <= all;
    !leads_line(locks) && locks.iter().any(is_permit)
}

/// Who a lock says that it belongs to, in the pid namespace with this fingerprint.
pub(crate) fn named_pid(lock: &RawLock, namespace: u64) -> Option<u32> {
    if lock.kind != Kind::Ofd || !names_writer(lock) {
        return None;
    }
    let blocker = Blocker {
        start: 0,
        len: end(lock.range),
        pid: None,
    };
    let tag = Tag::of(blocker)?;
    tag.is_of(namespace).then_some(tag.pid)
}

/// Who waits with this sign, if it is one and its pid is of this namespace.
pub(crate) fn sign_of(lock: &RawLock) -> Option<u32> {
    let is_taken = lock.kind == Kind::Ofd && lock.exclusive;
    is_taken
        .then(|| linger::owner_of_mark(lock.range))
        .flatten()
}

/// Are these locks of somebody who holds nothing?
pub(crate) fn is_on_the_way(locks: &[RawLock]) -> bool {
    meaning(locks, None) == Some(Meaning::OnTheWay)
}

/// A range that ends with the largest offset has no end, to the kernel.
pub(crate) fn to_the_end(mut lock: RawLock) -> RawLock {
    const BEHIND: u64 = 1 << 63;
    if end(lock.range) >= BEHIND {
        lock.range.len = 0;
    }
    lock
}

/// Does it reach into the bytes that name their holder?
fn is_tagged(lock: &RawLock) -> bool {
    let ends = end(lock.range);
    lock.exclusive && (end(Part::Upgrade.range(0))..=Part::Rooms.range(0).start).contains(&ends)
}

/// Is it a writer's lock, or what one asks for that waits to be the next?
fn names_writer(lock: &RawLock) -> bool {
    let upgrade = Part::Upgrade.range(0);
    let starts = lock.range.start == 0 || lock.range.start == upgrade.start;
    starts && is_tagged(lock) && lock.range != upgrade
}

/// Are these none of the bytes that exclude anybody?
fn is_beside(range: Range) -> bool {
    range == Part::Head.range(0) || range.start >= Part::Gate.range(0).start
}

fn covers(lock: &RawLock, byte: u64) -> bool {
    (lock.range.start..end(lock.range)).contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::tag::exclusive_len;

    fn lock(exclusive: bool, range: Range) -> RawLock {
        let kind = Kind::Ofd;
        RawLock {
            kind,
            exclusive,
            range,
        }
    }

    fn part(exclusive: bool, part: Part) -> RawLock {
        lock(exclusive, part.range(exclusive_len(4711, 7)))
    }

    #[test]
    fn each_way_to_hold_a_lock_is_known_by_its_bytes() {
        let holds = |role, exclusive| Some(Meaning::Holds { role, exclusive });
        let writer = part(true, Part::MainToTag);
        assert_eq!(meaning(&[writer], None), holds(Role::Writer, true));
        assert_eq!(named_pid(&writer, 7), Some(4711));
        assert_eq!(named_pid(&writer, 8), None);
        let next = part(true, Part::UpgradeAndTag);
        assert_eq!(named_pid(&next, 7), Some(4711));
        let reader = part(false, Part::Main);
        assert_eq!(meaning(&[reader], None), holds(Role::Reader, false));
        let upgradable = [reader, part(true, Part::Upgrade)];
        assert_eq!(meaning(&upgradable, None), holds(Role::Upgradable, false));
        let permits = [
            lock(true, permits::permit(0)),
            lock(true, permits::permit(2)),
            lock(false, permits::presence(4)),
        ];
        assert_eq!(permits_of(&permits[2]), Some(4));
        let has = Meaning::HasPermits { count: 2, of: 4 };
        assert_eq!(meaning(&permits, Some(4)), Some(has));
        // Without the number it is a program that locks bytes.
        assert_eq!(meaning(&permits[..2], None), None);
    }

    #[test]
    fn who_is_on_the_way_holds_nothing() {
        let presence = lock(false, permits::presence(4));
        for locks in [
            &[part(false, Part::FirstRoom)][..],
            &[part(true, Part::Upgrade), part(true, Part::Gate)],
            &[part(false, Part::PermitQueue), presence],
            &[presence],
        ] {
            assert_eq!(
                meaning(locks, Some(4)),
                Some(Meaning::OnTheWay),
                "{locks:?}"
            );
        }
        let first = [
            lock(true, permits::permit(1)),
            part(true, Part::Head),
            presence,
        ];
        assert_eq!(meaning(&first, Some(4)), Some(Meaning::LeadsLine));
    }

    #[test]
    fn who_waits_is_known_by_what_for() {
        for (lock, role) in [
            (part(true, Part::MainToTag), Some(Role::Writer)),
            (part(true, Part::SecondRoom), Some(Role::Writer)),
            (part(true, Part::UpgradeAndTag), Some(Role::Writer)),
            (part(false, Part::MainAndGate), Some(Role::Reader)),
            (part(true, Part::Head), Some(Role::Permit)),
            // An upgradable reader, or a writer whose pid is not known.
            (part(true, Part::Upgrade), None),
            (lock(true, Range { start: 0, len: 0 }), None),
        ] {
            assert_eq!(awaited(&lock), role, "{lock:?}");
        }
    }

    #[test]
    fn who_is_in_the_line_holds_nothing_and_waits_for_its_turn() {
        let ticket = |number| {
            let Some(tickets::Call::Try(_, range)) =
                tickets::Ticket::again(Side::Writers, number).call()
            else {
                panic!("it is taken first")
            };
            range
        };
        let own = [
            lock(true, ticket(8)),
            lock(true, linger::waiter_mark(4711, 3)),
        ];
        assert_eq!(meaning(&own, None), Some(Meaning::OnTheWay));
        assert_eq!(sign_of(&own[1]), Some(4711));
        let earlier = lock(false, ticket(7));
        let writer = Some((Mode::Exclusive, None));
        assert_eq!(awaited_in_line(&earlier, &own, None), writer);
        let permit = Some((Mode::Exclusive, Some(Role::Permit)));
        assert_eq!(awaited_in_line(&earlier, &own, Some(4)), permit);
        assert_eq!(awaited_in_line(&earlier, &own[1..], None), None);
        assert_eq!(
            awaited_in_line(&part(true, Part::MainToTag), &own, None),
            None
        );
        // One that keeps a lock has it.
        let keeper = [part(true, Part::MainToTag), lock(false, linger::marks())];
        let (role, exclusive) = (Role::Writer, true);
        let holds = Some(Meaning::Holds { role, exclusive });
        assert_eq!(meaning(&keeper, None), holds);
        let wants = [lock(false, linger::wanted())];
        assert_eq!(meaning(&wants, None), Some(Meaning::OnTheWay));
    }

    #[test]
    fn other_programs_locks_have_no_meaning() {
        for range in [Range { start: 0, len: 0 }, Range { start: 0, len: 1 }] {
            for exclusive in [true, false] {
                assert_eq!(meaning(&[lock(exclusive, range)], None), None, "{range:?}");
            }
        }
        let whole = part(true, Part::MainToTag);
        let kind = Kind::Classic;
        assert_eq!(meaning(&[RawLock { kind, ..whole }], None), None);
        // One that ends where a tag would, but is shared, or does not begin as one of lockfast's.
        let (exclusive, mut later) = (false, whole);
        (later.range.start, later.range.len) = (1, whole.range.len - 1);
        for foreign in [RawLock { exclusive, ..whole }, later] {
            assert_eq!(meaning(&[foreign], None), None, "{foreign:?}");
            assert_eq!(named_pid(&foreign, 7), None, "{foreign:?}");
            assert_eq!(awaited(&foreign), None, "{foreign:?}");
        }
        // Shared, where lockfast has permits.
        assert_eq!(meaning(&[lock(false, permits::permit(0))], Some(4)), None);
    }

    /// Somebody asks for the very last byte too; the table says of that lock that it has no end.
    #[test]
    fn up_to_the_last_byte_is_without_an_end() {
        let range = |len| Range { start: 5, len };
        let to_the_last = lock(true, range((1 << 63) - 5));
        assert_eq!(to_the_end(to_the_last), lock(true, range(0)));
        let shorter = lock(true, range((1 << 63) - 6));
        assert_eq!(to_the_end(shorter), shorter);
    }
}
