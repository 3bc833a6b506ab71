//! Kernel locks: attempt, wait, release, and the question for the lock in the way.
//!
//! The plans are written for record locks: locks of a file join, and are converted and released in part.
//! Here that is built from the locks of Windows, piece by piece (see `pieces`), by a list of the locks that
//! are held (see `held`).

use std::fs::File;
use std::io;

use windows_sys::Win32::Foundation::{
    ERROR_CALL_NOT_IMPLEMENTED, ERROR_FILENAME_EXCED_RANGE, ERROR_INVALID_FUNCTION,
    ERROR_INVALID_NAME, ERROR_LOCK_VIOLATION, ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_SUPPORTED,
    ERROR_SHARING_VIOLATION, ERROR_TOO_MANY_OPEN_FILES,
};

use super::{held, is, request};
use crate::sys::pieces::{self, Piece};
use crate::sys::{Access, Blocker, Range, Target, Waited};

/// Whether there are locks of bytes that belong to the handle.
pub(crate) const HAS_RANGES: bool = true;

/// Whether the kernel reports the lock in the way.
pub(crate) const NAMES_BLOCKERS: bool = false;

/// Whether newcomers overtake waiters. Here a release grants the lock to the first of them.
pub(crate) const IS_OVERTAKEN: bool = false;

/// Tries once. Returns `false` when somebody else holds the lock.
pub(crate) fn try_lock(file: &File, access: Access, target: Target) -> io::Result<bool> {
    let mut pieces = pieces::of(range_of(target));
    let is_shared = |piece: &Piece| held::access(file, piece.at) == Some(Access::Shared);
    // An attempt that converts stays in the order of a wait: `pieces` has the reason.
    if access == Access::Shared || !pieces.iter().any(is_shared) {
        pieces.sort_by_key(Piece::attempt_rank);
    }
    for _ in 0..ATTEMPTS {
        let once = |range, access| request::try_lock(file, access, range);
        let Some(failed) = take(file, access, &pieces, once)? else {
            return Ok(true);
        };
        // Those on their way hold such a piece for an instant; any other piece is held.
        if failed == 0 || !pieces[failed].is_passed() {
            break;
        }
        std::thread::yield_now();
    }
    Ok(false)
}

/// Waits in the kernel's queue.
pub(crate) fn wait(file: &File, access: Access, target: Target) -> io::Result<Waited> {
    let pieces = pieces::of(range_of(target));
    let until_granted = |range, access| Ok(request::wait(file, access, range)? == Waited::Granted);
    Ok(match take(file, access, &pieces, until_granted)? {
        None => Waited::Granted,
        Some(_) => Waited::Interrupted,
    })
}

/// Releases all locks of the file on the target.
pub(crate) fn release(file: &File, target: Target) -> io::Result<()> {
    let (start, end) = pieces::span(range_of(target));
    let mut held = held::between(file, start, end);
    // Windows releases piece by piece, so the order decides what others see in between.
    held.sort_by_key(|&range| pieces::release_rank(range));
    let mut outcome = Ok(());
    for range in held {
        // An error of one is no reason to keep the others.
        let released = unlock(file, range);
        outcome = outcome.and(released);
    }
    outcome
}

/// Returns a lock of bytes in the way. To find it, an attempt takes the bytes for an instant.
pub(crate) fn blocker(file: &File, access: Access, range: Range) -> Option<Blocker> {
    find(file, access, range).ok().flatten()
}

/// Returns a lock of bytes in the way, or the error of the attempt.
pub(crate) fn find(file: &File, access: Access, range: Range) -> io::Result<Option<Blocker>> {
    for piece in pieces::of(range) {
        for gap in gaps(file, piece.at) {
            if let Some(found) = probe(file, access, gap)? {
                return Ok(Some(Blocker {
                    start: pieces::origin(found.start),
                    len: found.len,
                    pid: None,
                }));
            }
        }
    }
    Ok(None)
}

/// Whether another handle has locked a byte of the range exclusively. Nothing is locked to find out: such
/// a byte can't be read, not even behind the end of the file. Shared locks do not show.
#[cfg(feature = "inspect")]
pub(crate) fn is_taken(file: &File, range: Range) -> io::Result<bool> {
    use windows_sys::Win32::Foundation::ERROR_INVALID_PARAMETER;

    for piece in pieces::of(range) {
        let mut buffer = vec![0; usize::try_from(piece.at.len).expect("few bytes")];
        match request::read(file, &mut buffer, piece.at.start) {
            Ok(_) => {}
            Err(error) if is(&error, ERROR_LOCK_VIOLATION) => return Ok(true),
            // No file of that file system reaches so far, so nothing is locked there.
            Err(error) if is(&error, ERROR_INVALID_PARAMETER) && piece.at.start > 0 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether a file system without such locks answers a lock call with this error.
pub(crate) fn means_no_locks_here(error: &io::Error) -> bool {
    let answers = [
        ERROR_INVALID_FUNCTION,
        ERROR_NOT_SUPPORTED,
        ERROR_CALL_NOT_IMPLEMENTED,
    ];
    answers.into_iter().any(|number| is(error, number))
}

/// Returns advice on an error for which the standard library has no kind, or only a later version has.
pub(crate) fn advice(error: &io::Error) -> Option<&'static str> {
    match u32::try_from(error.raw_os_error()?).ok()? {
        ERROR_TOO_MANY_OPEN_FILES | ERROR_NO_SYSTEM_RESOURCES => {
            Some("the system has too many open files")
        }
        ERROR_SHARING_VIOLATION => Some("another program has the file open and does not share it"),
        ERROR_LOCK_VIOLATION => Some("another program has locked what is in the file"),
        ERROR_FILENAME_EXCED_RANGE => Some("the path or a part of it is too long"),
        ERROR_INVALID_NAME => Some("the path has characters that no file name can have"),
        _ => None,
    }
}

/// The number of attempts when somebody on the way is met.
const ATTEMPTS: u32 = 3;

/// The length of ranges that are searched for the locked byte.
const SEARCHED: u64 = 1 << 12;

/// Returns the range of a target. For the whole file it is byte 0, which other programs lock.
fn range_of(target: Target) -> Range {
    match target {
        Target::Bytes(range) => range,
        Target::File => Range { start: 0, len: 1 },
    }
}

// | held | wanted | a piece is | undone by |
// |---|---|---|---|
// | as wanted | | left alone | |
// | not | any | locked | an unlock |
// | shared | exclusive | unlocked and locked | weakening it |
// | exclusive | shared | shared as well, then unlocked once | nothing, as no later piece can fail |
/// A change to a piece, for undoing it.
enum Done {
    Locked,
    /// It was locked shared before.
    Strengthened,
    /// It was locked exclusively before.
    Weakened,
}

/// Locks all the pieces by the given call. If one fails, undoes the rest and returns its number.
fn take(
    file: &File,
    access: Access,
    pieces: &[Piece],
    mut lock: impl FnMut(Range, Access) -> io::Result<bool>,
) -> io::Result<Option<usize>> {
    let mut done = Vec::with_capacity(pieces.len());
    for (number, piece) in pieces.iter().enumerate() {
        let range = piece.at;
        let (taken, what) = match (held::access(file, range), access) {
            (Some(held), wanted) if held == wanted => continue,
            (None, _) => (lock(range, access), Done::Locked),
            (Some(_), Access::Shared) => (weaken(file, range).map(|()| true), Done::Weakened),
            (Some(_), Access::Exclusive) => {
                (strengthen(file, range, &mut lock), Done::Strengthened)
            }
        };
        if matches!(taken, Ok(true)) {
            held::set(file, range, access);
            done.push((range, what));
            continue;
        }
        let undone = undo(file, &done);
        return taken.and(undone).map(|()| Some(number));
    }
    Ok(None)
}

/// Converts an exclusive lock to a shared one, with nobody in between: a shared lock may lie over an exclusive
/// one of the same handle, and of two in one place the exclusive one is released first.
fn weaken(file: &File, range: Range) -> io::Result<()> {
    match request::wait(file, Access::Shared, range)? {
        Waited::Granted => request::unlock(file, range),
        Waited::Interrupted => Err(io::ErrorKind::Interrupted.into()),
    }
}

/// Converts a shared lock to an exclusive one. Not even the own shared lock may be there, so it is released
/// first. A plan that relies on nobody being in between keeps others out by other pieces.
fn strengthen(
    file: &File,
    range: Range,
    lock: &mut impl FnMut(Range, Access) -> io::Result<bool>,
) -> io::Result<bool> {
    request::unlock(file, range)?;
    let taken = lock(range, Access::Exclusive);
    if !matches!(taken, Ok(true)) {
        share_again(file, range)?;
    }
    taken
}

/// Takes the shared lock again that was released for a conversion. Only a program that does not know lockfast
/// can be in the way, and it has to be waited for: otherwise the handle would not have a lock that it is said
/// to have.
fn share_again(file: &File, range: Range) -> io::Result<()> {
    loop {
        match request::wait(file, Access::Shared, range) {
            Ok(Waited::Granted) => return Ok(()),
            Ok(Waited::Interrupted) => std::thread::yield_now(),
            Err(error) => {
                held::remove(file, range);
                return Err(error);
            }
        }
    }
}

fn undo(file: &File, done: &[(Range, Done)]) -> io::Result<()> {
    let mut outcome = Ok(());
    for (range, what) in done.iter().rev() {
        let undone = match what {
            Done::Locked => unlock(file, *range),
            Done::Strengthened => {
                weaken(file, *range).map(|()| held::set(file, *range, Access::Shared))
            }
            // A plan that weakens a lock asks for nothing else that could fail.
            Done::Weakened => Ok(()),
        };
        outcome = outcome.and(undone);
    }
    outcome
}

fn unlock(file: &File, range: Range) -> io::Result<()> {
    request::unlock(file, range)?;
    held::remove(file, range);
    Ok(())
}

/// Returns the parts of a range that the file has not locked itself.
fn gaps(file: &File, range: Range) -> Vec<Range> {
    let end = range.start + range.len;
    let mut own = held::between(file, range.start, end);
    own.sort_by_key(|held| held.start);
    let mut gaps = Vec::new();
    let mut from = range.start;
    let ends = Range { start: end, len: 0 };
    for held in own.into_iter().chain([ends]) {
        if held.start > from {
            gaps.push(Range {
                start: from,
                len: held.start - from,
            });
        }
        from = from.max(held.start + held.len);
    }
    gaps
}

/// Returns the byte of the range that somebody else has locked, or the whole range if it is too long to
/// search.
fn probe(file: &File, access: Access, range: Range) -> io::Result<Option<Range>> {
    if request::try_lock(file, access, range)? {
        request::unlock(file, range)?;
        return Ok(None);
    }
    if range.len == 1 || range.len > SEARCHED {
        return Ok(Some(range));
    }
    let half = range.len / 2;
    let lower = Range { len: half, ..range };
    let upper = Range {
        start: range.start + half,
        len: range.len - half,
    };
    match probe(file, access, lower)? {
        Some(found) => Ok(Some(found)),
        // If it was released meanwhile, there is none.
        None => probe(file, access, upper),
    }
}
