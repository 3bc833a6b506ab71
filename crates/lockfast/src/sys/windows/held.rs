//! The ranges that each open file has locked.
//!
//! Windows releases a lock only as the range that was locked, and reports no locks. So they are remembered
//! here, by the number of the handle.

use std::collections::HashMap;
use std::fs::File;
use std::os::windows::io::AsRawHandle;
use std::sync::{LazyLock, Mutex, MutexGuard};

use crate::sys::{Access, Range, mutex};

type Locks = HashMap<usize, Vec<(Range, Access)>>;

/// Several tables, so that threads with different files seldom share one. Each mutex guards its table.
static TABLES: [LazyLock<Mutex<Locks>>; 8] = [const { LazyLock::new(Mutex::default) }; 8];

/// Returns how exactly this range is locked.
pub(super) fn access(file: &File, range: Range) -> Option<Access> {
    let (table, handle) = table(file);
    let locks = table.get(&handle)?;
    locks
        .iter()
        .find(|(held, _)| *held == range)
        .map(|&(_, access)| access)
}

/// Notes that the range is locked in this way.
pub(super) fn set(file: &File, range: Range, access: Access) {
    let (mut table, handle) = table(file);
    let locks = table.entry(handle).or_default();
    // A piece is listed once, in the mode that counts now.
    locks.retain(|(held, _)| *held != range);
    locks.push((range, access));
}

/// Notes that the range is not locked any more.
pub(super) fn remove(file: &File, range: Range) {
    let (mut table, handle) = table(file);
    if let Some(locks) = table.get_mut(&handle) {
        locks.retain(|(held, _)| *held != range);
    }
}

/// Returns the locked ranges that have bytes from `start` up to `end`.
pub(super) fn between(file: &File, start: u64, end: u64) -> Vec<Range> {
    let (table, handle) = table(file);
    let locks = table.get(&handle).into_iter().flatten();
    let wanted = Range::between(start, end);
    locks
        .map(|&(held, _)| held)
        .filter(|held| held.overlaps(wanted))
        .collect()
}

/// Forgets the locks of a handle that is new or about to be closed.
pub(super) fn forget(file: &File) {
    let (mut table, handle) = table(file);
    table.remove(&handle);
}

fn table(file: &File) -> (MutexGuard<'static, Locks>, usize) {
    let handle = file.as_raw_handle().addr();
    // The two lowest bits of a handle are never used.
    let table = &TABLES[(handle >> 2) % TABLES.len()];
    (mutex::lock(table), handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_known_until_it_is_removed() {
        let file = tempfile::tempfile().expect("a file");
        let (one, other) = (Range { start: 3, len: 1 }, Range { start: 5, len: 2 });
        set(&file, one, Access::Shared);
        set(&file, other, Access::Exclusive);
        set(&file, one, Access::Exclusive);
        assert_eq!(access(&file, one), Some(Access::Exclusive));
        assert_eq!(between(&file, 4, 6), [other]);
        assert_eq!(between(&file, 0, 100).len(), 2);
        remove(&file, other);
        assert_eq!(access(&file, other), None);
        forget(&file);
        assert_eq!(between(&file, 0, 100), []);
    }
}
