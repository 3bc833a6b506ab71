//! Waits that would never end, as the caller holds the lock itself.

use std::fs;
use std::os::unix::fs::MetadataExt;

use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::any_guard::{Block, KeptFor};
use crate::caller::{Caller, CallerId};
use crate::holding::{Entry, Holding, all_holdings};

/// Whether the caller would wait for itself, if it waited for the locks of these handles. The guard at the
/// address of `upgraded` is not in its way.
pub(crate) fn would_wait_for_itself(
    py: Python<'_>,
    caller: &Caller,
    wanted: &[&Holding],
    upgraded: Option<usize>,
) -> PyResult<bool> {
    let (names, paths): (Vec<&Holding>, Vec<&Holding>) = wanted
        .iter()
        .copied()
        .partition(|holding| holding.is_on_server());
    let files: Vec<_> = paths
        .iter()
        .filter_map(|holding| fs::metadata(holding.path()).ok())
        .map(|file| (file.dev(), file.ino()))
        .collect();
    let uncertain = PyList::empty(py);
    for holding in all_holdings() {
        let is_wanted_name = names.iter().any(|name| name.is_same_name(&holding));
        for entry in &*holding.entries() {
            if Some(entry.address) == upgraded {
                continue;
            }
            let Some(object) = entry.held(py) else {
                continue;
            };
            let guard = entry.guard(&object);
            let relation = relation(caller, entry, guard.block());
            if relation == Relation::None || !guard.is_obstacle() {
                continue;
            }
            if !is_wanted_name && !guard.file_id().is_some_and(|file| files.contains(&file)) {
                continue;
            }
            if relation == Relation::Certain {
                return Ok(true);
            }
            uncertain.append(object)?;
        }
    }
    if uncertain.is_empty() {
        return Ok(false);
    }
    let waits = py.import("lockfast._waits")?;
    let certain = waits.call_method1("only_this_thread_releases", (uncertain,))?;
    certain.extract()
}

/// The relation of a caller to a holder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    None,
    /// The caller took the guard, but may have given it away.
    Uncertain,
    Certain,
}

fn relation(caller: &Caller, entry: &Entry, block: Block) -> Relation {
    let holder = &entry.taken.caller;
    let is_block = entry.taken.kept_for == KeptFor::Block;
    // | guard | a thread asks | a task asks |
    // |---|---|---|
    // | in a block of the caller | certain | certain |
    // | taken by a call of the caller | uncertain | certain |
    // | in a block of a task of this thread's loop | certain | none |
    // | handed over, or of another caller | none | none |
    if block == Block::HandedOver {
        Relation::None
    } else if matches!(block, Block::Of(thread) if caller.id == CallerId::Thread(thread))
        || (is_block && holder.id == caller.id)
    {
        Relation::Certain
    } else if caller.is_task() {
        // A task does one thing, while a thread of a pool does one after the other.
        if holder.id == caller.id {
            Relation::Certain
        } else {
            Relation::None
        }
    } else if holder.is_task() && is_block && holder.thread == caller.thread {
        // This thread runs the event loop that would let that task go on.
        Relation::Certain
    } else if holder.id == caller.id && block == Block::None {
        Relation::Uncertain
    } else {
        Relation::None
    }
}
