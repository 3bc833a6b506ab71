//! The meaning of bytes that lockfast has locked.

use super::snapshot::LockRecord;
use super::view::{Kind, LockMode, Role};
use crate::protocol::line::Contest;
use crate::protocol::plan::Part;
use crate::protocol::tag::Tag;
use crate::protocol::tickets::{self, Side};
use crate::protocol::{Blocker, linger, permits};
use crate::sys::Range;

// In this order, as a holder may have the bytes of later lines too:
//
// | locks of the description | meaning |
// |---|---|
// | exclusive from byte 0 into the tag | `Holds`, as the writer |
// | shared from byte 0 up to the gate | `Holds`, as a reader; as the upgradable one with the upgrade byte |
// | the head byte | `LeadsQueue` |
// | exclusive bytes of permits, in a semaphore's file | `HasPermits` |
// | none that keeps others out | `OnTheWay` |
// | any other | none: another program's |
/// The meaning of the locks of one open file description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It has the lock, in this role.
    Holds { role: Role, exclusive: bool },
    /// It has `count` permits.
    HasPermits { count: u64, of: u32 },
    /// It is the first in the queue for permits, and has not found enough yet.
    LeadsQueue,
    /// It is on its way, or only has the file open: it holds nothing.
    OnTheWay,
}

/// Returns the meaning of the locks of one description; `None` when they are not lockfast's.
///
/// `permits` is the capacity of the file's semaphore, if it is one.
pub(super) fn meaning(locks: &[LockRecord], permits: Option<u32>) -> Option<Meaning> {
    // By bytes lockfast locks for open file descriptions only. Other kinds are of other programs, or a
    // `flock`.
    if locks.iter().any(|lock| lock.kind != Kind::Ofd) {
        return None;
    }
    let main = Part::Main.range(0);
    // Before the readers: a writer's lock covers their bytes, too.
    let whole = locks
        .iter()
        .find(|lock| lock.range.start == 0 && is_tagged(lock));
    if whole.is_some() {
        let (role, exclusive) = (Role::Writer, true);
        return Some(Meaning::Holds { role, exclusive });
    }
    let reads = |lock: &&LockRecord| {
        // On its way in a reader also shares the gate, and the kernel joins neighbouring locks of one mode.
        let ends = lock.range.end();
        !lock.exclusive
            && lock.range.start == 0
            && (main.end()..=Part::Upgrade.range(0).end()).contains(&ends)
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
    // Before the permits: what the head has collected so far it does not use yet.
    if leads_queue(locks) {
        return Some(Meaning::LeadsQueue);
    }
    if let Some(of) = permits {
        let within =
            |lock: &&LockRecord| lock.exclusive && lock.range.end() <= permits::all(of).end();
        let count = locks
            .iter()
            .filter(within)
            .map(|lock| permits::within(lock.range));
        let count: u64 = count.sum();
        if count > 0 {
            return Some(Meaning::HasPermits { count, of });
        }
    }
    let harmless = |lock: &LockRecord| is_harmless(lock.range);
    locks.iter().all(harmless).then_some(Meaning::OnTheWay)
}

/// Returns the role that a waiter for these bytes will have.
pub(super) fn awaited(lock: &LockRecord) -> Option<Role> {
    if lock.kind != Kind::Ofd {
        return None;
    }
    let is = |part: Part| lock.range == part.range(0);
    if lock.exclusive {
        let on_the_way = [
            Part::FirstRoom,
            Part::SecondRoom,
            Part::FirstDoor,
            Part::SecondDoor,
            Part::Gate,
        ];
        if names_writer(lock) || on_the_way.into_iter().any(is) {
            return Some(Role::Writer);
        }
        return is(Part::Head).then_some(Role::Permit);
    }
    let on_the_way = [
        Part::FirstDoor,
        Part::SecondDoor,
        Part::MainAndGate,
        Part::Main,
    ];
    on_the_way.into_iter().any(is).then_some(Role::Reader)
}

/// Returns the lock behind a [line](mod@crate::protocol::line): a waiter that stands in it, with those locks of its
/// own, waits for whoever holds that lock. Any other lock is returned as it is.
///
/// The bytes do not show whether it will be a writer or an upgradable reader.
pub(super) fn behind_line(lock: &LockRecord, own: &[LockRecord]) -> LockRecord {
    if lock.kind != Kind::Ofd || !lock.exclusive || Some(lock.range) != Contest::Bytes.line() {
        return *lock;
    }
    let queue = Part::PermitQueue.range(0).start;
    let range = if own
        .iter()
        .any(|lock| !lock.exclusive && covers(lock, queue))
    {
        Part::Head.range(0)
    } else {
        // Any tag will do: the waiter wants the upgrade byte, and whatever overlaps that is in its way.
        let first_tag = Part::Upgrade.range(0).end() + 1;
        Part::UpgradeAndTag.range(first_tag)
    };
    LockRecord { range, ..*lock }
}

/// Returns the mode and the role that a waiter for an earlier ticket will have, by its own locks. The role is
/// `None` if its ticket does not show it.
pub(super) fn awaited_by_ticket(
    lock: &LockRecord,
    own: &[LockRecord],
    permits: Option<u32>,
) -> Option<(LockMode, Option<Role>)> {
    let side = |lock: &LockRecord| match lock.kind {
        Kind::Ofd => tickets::side_of(lock.range),
        _ => None,
    };
    side(lock)?;
    Some(match own.iter().find_map(side)? {
        Side::Readers => (LockMode::Shared, Some(Role::Reader)),
        Side::Writers if permits.is_some() => (LockMode::Exclusive, Some(Role::Permit)),
        // A writer or an upgradable reader: the ticket is the same.
        Side::Writers => (LockMode::Exclusive, None),
    })
}

/// Returns the capacity of the semaphore that somebody has open, if this lock shows it.
pub(super) fn permits_of(lock: &LockRecord) -> Option<u32> {
    if lock.kind != Kind::Ofd || lock.exclusive || lock.range.len != 1 {
        return None;
    }
    permits::number_of(lock.range.start)
}

/// Whether these are the locks of the first in the queue for permits.
pub(crate) fn leads_queue(locks: &[LockRecord]) -> bool {
    let head = Part::Head.range(0);
    locks
        .iter()
        .any(|lock| lock.kind == Kind::Ofd && lock.exclusive && lock.range == head)
}

/// Whether these locks are permits, if the file is a semaphore's. The first in the queue has none yet, whatever
/// it has found.
pub(super) fn has_permits(locks: &[LockRecord]) -> bool {
    let all = permits::all(permits::MAX).end();
    let is_permit =
        |lock: &LockRecord| lock.kind == Kind::Ofd && lock.exclusive && lock.range.end() <= all;
    !leads_queue(locks) && locks.iter().any(is_permit)
}

/// Returns the pid in the tag of a lock, if it is one of the pid namespace with this fingerprint.
pub(crate) fn named_pid(lock: &LockRecord, namespace: u64) -> Option<u32> {
    if lock.kind != Kind::Ofd || !names_writer(lock) {
        return None;
    }
    let blocker = Blocker {
        start: 0,
        len: lock.range.end(),
        pid: None,
    };
    let tag = Tag::of(blocker)?;
    tag.is_of(namespace).then_some(tag.pid)
}

/// Returns the pid in a waiter mark, if the lock is one and the pid is one of this namespace.
pub(crate) fn sign_of(lock: &LockRecord) -> Option<u32> {
    let is_taken = lock.kind == Kind::Ofd && lock.exclusive;
    is_taken
        .then(|| linger::owner_of_mark(lock.range))
        .flatten()
}

/// Whether the owner of these locks holds nothing.
pub(crate) fn is_on_the_way(locks: &[LockRecord]) -> bool {
    meaning(locks, None) == Some(Meaning::OnTheWay)
}

/// Returns the lock with a range without end if it includes the largest offset, as the kernel shows it.
pub(crate) fn to_the_end(mut lock: LockRecord) -> LockRecord {
    if lock.range.end() >= Range::LIMIT {
        lock.range.len = 0;
    }
    lock
}

/// Whether the lock reaches into the tag.
fn is_tagged(lock: &LockRecord) -> bool {
    let ends = lock.range.end();
    lock.exclusive && (Part::Upgrade.range(0).end()..=Part::Rooms.range(0).start).contains(&ends)
}

/// Whether it is a writer's lock, or the one that the next writer waits for.
fn names_writer(lock: &LockRecord) -> bool {
    let upgrade = Part::Upgrade.range(0);
    let starts = lock.range.start == 0 || lock.range.start == upgrade.start;
    starts && is_tagged(lock) && lock.range != upgrade
}

/// Whether the range has none of the bytes that conflict with holders.
fn is_harmless(range: Range) -> bool {
    range == Part::Head.range(0) || range.start >= Part::Gate.range(0).start
}

fn covers(lock: &LockRecord, byte: u64) -> bool {
    (lock.range.start..lock.range.end()).contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::tag::exclusive_len;

    #[test]
    fn behind_the_line_is_the_lock_that_all_in_it_wait_for() {
        let record = |exclusive, range| LockRecord {
            kind: Kind::Ofd,
            exclusive,
            range,
        };
        let line = Contest::Bytes.line().expect("a line of bytes");
        let in_line = record(true, line);
        let writer = behind_line(&in_line, &[record(false, Contest::Bytes.sign())]);
        assert_eq!(awaited(&writer), Some(Role::Writer));
        assert!(writer.conflicts(&record(true, Part::MainToTag.range(exclusive_len(7, 1)))));
        assert!(!writer.conflicts(&record(true, line)));
        // The kernel joins the bytes of the queue and of the sign.
        let joined = Range::between(Part::PermitQueue.range(0).start, line.start);
        let permit = behind_line(&in_line, &[record(false, joined)]);
        assert_eq!(awaited(&permit), Some(Role::Permit));
        let gate = record(true, Part::Gate.range(0));
        assert_eq!(behind_line(&gate, &[]), gate);
    }

    fn lock(exclusive: bool, range: Range) -> LockRecord {
        let kind = Kind::Ofd;
        LockRecord {
            kind,
            exclusive,
            range,
        }
    }

    fn part(exclusive: bool, part: Part) -> LockRecord {
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
        // Without the capacity they are bytes of another program.
        assert_eq!(meaning(&permits[..2], None), None);
    }

    #[test]
    fn a_process_on_its_way_holds_nothing() {
        let presence = lock(false, permits::presence(4));
        for locks in [
            &[part(false, Part::FirstRoom)][..],
            &[part(true, Part::Upgrade), part(true, Part::Gate)],
            &[part(true, Part::Upgrade), part(true, Part::SecondDoor)],
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
        assert_eq!(meaning(&first, Some(4)), Some(Meaning::LeadsQueue));
    }

    #[test]
    fn waiters_are_known_by_the_bytes_that_they_wait_for() {
        for (lock, role) in [
            (part(true, Part::MainToTag), Some(Role::Writer)),
            (part(true, Part::SecondRoom), Some(Role::Writer)),
            (part(true, Part::UpgradeAndTag), Some(Role::Writer)),
            (part(true, Part::SecondDoor), Some(Role::Writer)),
            (part(false, Part::MainAndGate), Some(Role::Reader)),
            (part(false, Part::FirstDoor), Some(Role::Reader)),
            (part(true, Part::Head), Some(Role::Permit)),
            // An upgradable reader, or a writer whose pid is not known.
            (part(true, Part::Upgrade), None),
            (lock(true, Range { start: 0, len: 0 }), None),
        ] {
            assert_eq!(awaited(&lock), role, "{lock:?}");
        }
    }

    #[test]
    fn a_process_with_a_ticket_holds_nothing_and_waits_for_earlier_ones() {
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
        let writer = Some((LockMode::Exclusive, None));
        assert_eq!(awaited_by_ticket(&earlier, &own, None), writer);
        let permit = Some((LockMode::Exclusive, Some(Role::Permit)));
        assert_eq!(awaited_by_ticket(&earlier, &own, Some(4)), permit);
        assert_eq!(awaited_by_ticket(&earlier, &own[1..], None), None);
        assert_eq!(
            awaited_by_ticket(&part(true, Part::MainToTag), &own, None),
            None
        );
        // A cached lock counts as held.
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
        assert_eq!(meaning(&[LockRecord { kind, ..whole }], None), None);
        // Ends where a tag would, but is shared, or does not begin as lockfast's do.
        let (exclusive, mut later) = (false, whole);
        (later.range.start, later.range.len) = (1, whole.range.len - 1);
        for foreign in [LockRecord { exclusive, ..whole }, later] {
            assert_eq!(meaning(&[foreign], None), None, "{foreign:?}");
            assert_eq!(named_pid(&foreign, 7), None, "{foreign:?}");
            assert_eq!(awaited(&foreign), None, "{foreign:?}");
        }
        // Shared, on the bytes of permits.
        assert_eq!(meaning(&[lock(false, permits::permit(0))], Some(4)), None);
    }

    /// A request for the last byte too: the table shows such a lock without an end.
    #[test]
    fn up_to_the_last_byte_is_without_an_end() {
        let range = |len| Range { start: 5, len };
        let to_the_last = lock(true, range((1 << 63) - 5));
        assert_eq!(to_the_end(to_the_last), lock(true, range(0)));
        let shorter = lock(true, range((1 << 63) - 6));
        assert_eq!(to_the_end(shorter), shorter);
    }
}
