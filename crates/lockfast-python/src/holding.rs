//! The guards that a handle keeps until they are released, with the callers that took them.
//!
//! `lock.acquire()` holds the lock until `lock.release()`, as everywhere in Python, so the handle keeps the
//! guard's object too. The same list shows which callers would wait for themselves: a thread or a task that
//! is in a block of the lock. A thread that took the lock by a call may have given the guard to another
//! one, as the threads of a pool do; then it counts only if nobody else can release it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

use crate::any_guard::{AnyGuard, KeptFor};
use crate::caller::{Caller, CallerId};
use crate::errors;

/// The guards of a handle.
#[derive(Debug)]
pub(crate) struct Holding {
    path: PathBuf,
    keeper: Keeper,
    /// In the order in which they were taken.
    //
    // Locked before the mutexes of guards. No lock is released under it, as its guard comes back here
    // (`forget`).
    entries: Mutex<Vec<Entry>>,
}

/// The system that keeps the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// The kernel of this machine, so that a call takes no time.
    Kernel,
    /// A server of files, which the kernel asks.
    FileServer,
    /// The server of a space, with the URL of the space.
    Server(Arc<str>),
}

/// A guard that a handle keeps.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) taken: Taken,
    object: Kept,
    as_guard: AsGuard,
    pub(crate) address: usize,
}

/// The circumstances in which a guard was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) caller: Caller,
    pub(crate) kept_for: KeptFor,
    /// The number of a chain of guards that were converted into each other; 0 for the first one.
    pub(crate) chain: usize,
}

impl Taken {
    pub(crate) fn new(caller: Caller, kept_for: KeptFor) -> Self {
        Self {
            caller,
            kept_for,
            chain: 0,
        }
    }
}

/// Finds the guard in an object of its class.
pub(crate) type AsGuard = for<'a> fn(&'a Bound<'_, PyAny>) -> &'a dyn AnyGuard;

/// The object of a guard in the list.
#[derive(Debug)]
enum Kept {
    Here(Py<PyAny>),
    /// The handle is gone, and only the program keeps the object.
    Elsewhere(Py<PyWeakrefReference>),
}

impl Kept {
    fn into_bound(self, py: Python<'_>) -> Option<Bound<'_, PyAny>> {
        match self {
            Self::Here(object) => Some(object.into_bound(py)),
            Self::Elsewhere(object) => object.bind(py).upgrade(),
        }
    }
}

impl Entry {
    /// The object, unless it is gone.
    fn object<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        match &self.object {
            Kept::Here(object) => Some(object.bind(py).clone()),
            Kept::Elsewhere(object) => object.bind(py).upgrade(),
        }
    }

    /// The object, if the lock is held by it.
    pub(crate) fn held<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let object = self.object(py)?;
        self.guard(&object).is_held().then_some(object)
    }

    pub(crate) fn guard<'a>(&self, object: &'a Bound<'_, PyAny>) -> &'a dyn AnyGuard {
        (self.as_guard)(object)
    }
}

/// The rule by which `release()` of a handle chooses among several guards.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The caller's own one, or else any: they are all alike.
    OwnOrAny,
    /// The caller's own one, or else the only one.
    OwnOrOnly,
    /// The caller's own one.
    Own,
}

impl Holding {
    pub(crate) fn new(path: PathBuf, keeper: Keeper) -> Arc<Self> {
        let new = Arc::new(Self {
            path,
            keeper,
            entries: Mutex::default(),
        });
        let mut known = known();
        // Only when the list would grow, so that a new handle costs constant time on average.
        if known.len() == known.capacity() {
            known.retain(|holding| holding.strong_count() > 0);
        }
        known.push(Arc::downgrade(&new));
        new
    }

    /// The path of the lock file, or the name of a lock on a server.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_local(&self) -> bool {
        self.keeper == Keeper::Kernel
    }

    pub(crate) fn is_on_server(&self) -> bool {
        matches!(self.keeper, Keeper::Server(_))
    }

    /// Whether both are of the same name in the same space on a server.
    pub(crate) fn is_same_name(&self, other: &Self) -> bool {
        self.is_on_server() && self.path == other.path && self.keeper == other.keeper
    }

    /// Calls the function, without the interpreter's lock if a server has to answer.
    pub(crate) fn run<R: Send>(&self, py: Python<'_>, function: impl FnOnce() -> R + Send) -> R {
        if self.is_local() {
            function()
        } else {
            py.detach(function)
        }
    }

    /// Keeps the object of a guard until it is released or the block ends.
    pub(crate) fn keep(&self, object: Py<PyAny>, as_guard: AsGuard, address: usize, taken: Taken) {
        self.entries().push(Entry {
            taken,
            object: Kept::Here(object),
            as_guard,
            address,
        });
    }

    /// Ends the caller's innermost block, or another one's if the caller is not the one that entered it.
    /// Returns whether there was a block.
    pub(crate) fn leave_block(&self, py: Python<'_>, caller: CallerId) -> PyResult<bool> {
        let mut entries = self.entries();
        let is_block = |entry: &Entry| entry.taken.kept_for == KeptFor::Block;
        // Blocks nest, so the last one of the caller is the innermost.
        let own = |entry: &Entry| is_block(entry) && entry.taken.caller.id == caller;
        let at = entries.iter().rposition(own);
        let Some(at) = at.or_else(|| entries.iter().rposition(is_block)) else {
            return Ok(false);
        };
        let Entry {
            object, as_guard, ..
        } = entries.remove(at);
        drop(entries);
        if let Some(object) = object.into_bound(py) {
            as_guard(&object).end(py)?;
        }
        Ok(true)
    }

    /// Releases the guard that the caller took last, or another one that the choice allows.
    pub(crate) fn release(&self, py: Python<'_>, caller: CallerId, choice: Choice) -> PyResult<()> {
        let mut entries = self.entries();
        let is_held = |entry: &Entry| entry.held(py).is_some();
        let own = entries
            .iter()
            .rposition(|entry| entry.taken.caller.id == caller && is_held(entry));
        let at = own.or_else(|| {
            let mut held = (0..entries.len()).filter(|at| is_held(&entries[*at]));
            match (choice, held.next(), held.next()) {
                (Choice::OwnOrAny, first, _) | (Choice::OwnOrOnly, first, None) => first,
                (Choice::OwnOrOnly | Choice::Own, _, _) => None,
            }
        });
        let Some(at) = at else {
            let why = if entries.iter().any(is_held) {
                "others hold it by this handle, and this thread or task does not: call release() on \
                 the guard to release"
            } else {
                "this handle does not hold it"
            };
            drop(entries);
            return Err(errors::not_held(py, &self.path, why));
        };
        let (object, as_guard) = (entries[at].object(py), entries[at].as_guard);
        // A block takes its entry out itself, when it ends.
        let removed = (entries[at].taken.kept_for == KeptFor::Release).then(|| entries.remove(at));
        drop(entries);
        drop(removed);
        object.map_or(Ok(()), |object| as_guard(&object).end(py))
    }

    /// Releases what the guards of a chain were converted into.
    pub(crate) fn end_chain(&self, py: Python<'_>, chain: usize) -> PyResult<()> {
        let entries = self.entries();
        let mut of_chain = entries.iter().filter(|entry| entry.taken.chain == chain);
        let last = of_chain.find_map(|entry| Some((entry.held(py)?, entry.as_guard)));
        drop(entries);
        last.map_or(Ok(()), |(object, as_guard)| as_guard(&object).end(py))
    }

    /// Stops keeping the object at that address.
    pub(crate) fn forget(&self, address: usize) {
        let mut entries = self.entries();
        let at = entries.iter().rposition(|entry| entry.address == address);
        let removed = at.map(|at| entries.remove(at));
        drop(entries);
        drop(removed);
    }

    /// Drops what only the handle kept, as the handle goes. What the program keeps is still listed.
    pub(crate) fn clear(&self) {
        // Not under the mutex: the interpreter may collect garbage meanwhile, guards among it.
        let mut entries = std::mem::take(&mut *self.entries());
        if entries.is_empty() {
            return;
        }
        let weakened = Python::try_attach(|py| {
            let weaken = |entry: &mut Entry| -> Option<Kept> {
                let Kept::Here(object) = &entry.object else {
                    return None;
                };
                let weak = PyWeakrefReference::new(object.bind(py)).ok()?.unbind();
                Some(std::mem::replace(&mut entry.object, Kept::Elsewhere(weak)))
            };
            entries.iter_mut().filter_map(weaken).collect::<Vec<_>>()
        });
        *self.entries() = entries;
        // Objects that nobody else keeps release the lock now, and take themselves out of the list.
        drop(weakened);
    }

    pub(crate) fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The holdings of all handles of this process.
pub(crate) fn all_holdings() -> Vec<Arc<Holding>> {
    known().iter().filter_map(Weak::upgrade).collect()
}

/// Locked only by threads that have the interpreter's lock, so that no fork finds it locked.
fn known() -> MutexGuard<'static, Vec<Weak<Holding>>> {
    static KNOWN: Mutex<Vec<Weak<Holding>>> = Mutex::new(Vec::new());
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}
