//! The guards that a handle keeps until they are released, with who took them.
//!
//! `lock.acquire()` holds the lock until `lock.release()`, as everywhere in Python, so the handle has the
//! guard's object too. The same list tells who would wait for itself: a thread or a task that is in
//! a block of the lock. A thread that took it by a call may have given the guard to another one, as
//! the threads of a pool do; then it counts only if nobody else can release it.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pyo3::PyClass;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyWeakrefMethods, PyWeakrefReference};

use crate::errors;
use crate::held::{NOBODYS, Origin};
use crate::lock::LockGuard;
use crate::reentrant::ReentrantLockGuard;
use crate::rwlock::{RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use crate::semaphore::SemaphorePermit;

/// The guards of a handle.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    entries: Mutex<Vec<Entry>>,
}

/// A thread, or a task of asyncio together with the thread of its loop.
#[derive(Debug)]
pub(crate) struct Who {
    /// Odd for a thread; for a task its address, which no other one gets while this has it.
    number: usize,
    thread: usize,
    task: Option<Py<PyAny>>,
}

#[derive(Debug)]
struct Entry {
    who: Who,
    guard: Kept,
    address: usize,
    /// Of a guard that another one became.
    chain: usize,
    /// Whether a `with` block of the handle keeps it, which takes it out at its end.
    is_block: bool,
}

/// The object of a guard in the list.
#[derive(Debug)]
enum Kept {
    Here(AnyGuard),
    /// The handle is gone, and the program has it.
    Elsewhere(Py<PyWeakrefReference>),
}

/// The guard's object, of whichever primitive.
#[derive(Debug)]
pub(crate) enum AnyGuard {
    Lock(Py<LockGuard>),
    Read(Py<RwLockReadGuard>),
    Upgradable(Py<RwLockUpgradableReadGuard>),
    Write(Py<RwLockWriteGuard>),
    Permit(Py<SemaphorePermit>),
    Reentrant(Py<ReentrantLockGuard>),
}

/// The classes of guards.
pub(crate) trait GuardClass:
    PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync
{
    /// The guard of Rust.
    type Guard: Send;

    fn of(guard: Self::Guard, origin: Origin) -> PyClassInitializer<Self>;
    fn any(object: Py<Self>) -> AnyGuard;
    fn at(&self) -> usize;
}

macro_rules! each {
    ($any:expr, $guard:ident => $then:expr) => {
        match $any {
            AnyGuard::Lock($guard) => $then,
            AnyGuard::Read($guard) => $then,
            AnyGuard::Upgradable($guard) => $then,
            AnyGuard::Write($guard) => $then,
            AnyGuard::Permit($guard) => $then,
            AnyGuard::Reentrant($guard) => $then,
        }
    };
}

impl Entry {
    /// The object, unless it is gone.
    fn object(&self, py: Python<'_>) -> Option<AnyGuard> {
        match &self.guard {
            Kept::Here(guard) => Some(guard.clone_ref(py)),
            Kept::Elsewhere(guard) => AnyGuard::parse(&guard.bind(py).upgrade()?),
        }
    }

    /// The object, if the lock is held by it.
    fn held(&self, py: Python<'_>) -> Option<AnyGuard> {
        self.object(py).filter(AnyGuard::is_held)
    }
}

impl AnyGuard {
    fn parse(object: &Bound<'_, PyAny>) -> Option<Self> {
        fn cast<C: GuardClass>(object: &Bound<'_, PyAny>) -> Option<AnyGuard> {
            let object = object.cast::<C>().ok()?;
            Some(C::any(object.clone().unbind()))
        }
        cast::<LockGuard>(object)
            .or_else(|| cast::<RwLockReadGuard>(object))
            .or_else(|| cast::<RwLockUpgradableReadGuard>(object))
            .or_else(|| cast::<RwLockWriteGuard>(object))
            .or_else(|| cast::<SemaphorePermit>(object))
            .or_else(|| cast::<ReentrantLockGuard>(object))
    }

    fn is_held(&self) -> bool {
        each!(self, guard => guard.get().held.is_held())
    }

    fn block(&self) -> usize {
        each!(self, guard => guard.get().held.block())
    }

    /// Releases it, unless that was done.
    pub(crate) fn let_go(&self, py: Python<'_>) -> PyResult<()> {
        each!(self, guard => guard.get().let_go(py))
    }

    fn object(&self, py: Python<'_>) -> Py<PyAny> {
        each!(self, guard => guard.clone_ref(py).into_any())
    }

    /// The file that it locks, unless others may hold it too without being in the way.
    fn file(&self) -> Option<(u64, u64)> {
        let file = match self {
            Self::Lock(guard) => guard.get().held.ask(|guard| guard.file().metadata()),
            Self::Read(guard) => guard.get().held.ask(|guard| guard.file().metadata()),
            Self::Upgradable(guard) => guard.get().held.ask(|guard| guard.file().metadata()),
            Self::Write(guard) => guard.get().held.ask(|guard| guard.file().metadata()),
            Self::Reentrant(guard) => guard.get().metadata(),
            Self::Permit(_) => None,
        };
        let file = file?.ok()?;
        Some((file.dev(), file.ino()))
    }
}

impl Who {
    pub(crate) fn this_thread() -> Self {
        let thread = this_thread();
        Self {
            number: thread,
            thread,
            task: None,
        }
    }

    /// That task of asyncio, which this thread runs.
    pub(crate) fn task(task: &Bound<'_, PyAny>) -> Self {
        Self {
            number: task.as_ptr().addr(),
            thread: this_thread(),
            task: Some(task.clone().unbind()),
        }
    }

    /// Whether it would wait for itself, if it waited for these files.
    pub(crate) fn would_wait_for_itself(
        &self,
        py: Python<'_>,
        paths: &[&Path],
        except: usize,
    ) -> PyResult<bool> {
        let wanted: Vec<_> = paths
            .iter()
            .filter_map(|path| fs::metadata(path).ok())
            .map(|file| (file.dev(), file.ino()))
            .collect();
        let uncertain = PyList::empty(py);
        for holding in all_holdings() {
            for entry in &*holding.entries() {
                let Some(guard) = entry.held(py).filter(|_| entry.address != except) else {
                    continue;
                };
                let relation = self.relation(entry, guard.block());
                let is_wanted = |file| wanted.contains(&file);
                if relation == Relation::None || !guard.file().is_some_and(is_wanted) {
                    continue;
                }
                if relation == Relation::Certain {
                    return Ok(true);
                }
                uncertain.append(guard.object(py))?;
            }
        }
        if uncertain.is_empty() {
            return Ok(false);
        }
        let is_sure = py.import("lockfast._waits")?.getattr("is_sure")?;
        is_sure.call1((uncertain,))?.extract()
    }

    fn relation(&self, entry: &Entry, block: usize) -> Relation {
        let is_tasks = entry.who.task.is_some();
        if block == NOBODYS {
            Relation::None
        } else if block == self.number || (entry.is_block && entry.who.number == self.number) {
            Relation::Certain
        } else if self.task.is_some() {
            // A task does one thing, where a thread of a pool does one after the other.
            if entry.who.number == self.number {
                Relation::Certain
            } else {
                Relation::None
            }
        } else if is_tasks && entry.is_block && entry.who.thread == self.thread {
            // The loop that would let that task go on is what waits.
            Relation::Certain
        } else if entry.who.number == self.number && block == 0 {
            Relation::Uncertain
        } else {
            Relation::None
        }
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            number: self.number,
            thread: self.thread,
            task: self.task.as_ref().map(|task| task.clone_ref(py)),
        }
    }
}

/// The relation of a caller to a holder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    None,
    /// The caller itself, which may have given the guard away.
    Uncertain,
    Certain,
}

/// How `release()` of a handle chooses among several guards.
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
    pub(crate) fn new() -> Arc<Self> {
        let new = Arc::new(Self::default());
        let mut known = known();
        if known.len() == known.capacity() {
            known.retain(|holding| holding.strong_count() > 0);
        }
        known.push(Arc::downgrade(&new));
        new
    }

    /// Makes the object, and keeps it until it is released or the block is over.
    pub(crate) fn keep<C: GuardClass>(
        self: &Arc<Self>,
        py: Python<'_>,
        guard: C::Guard,
        is_quick: bool,
        who: Who,
        is_block: bool,
    ) -> PyResult<Py<C>> {
        let origin = Origin {
            is_quick,
            kept_by: (!is_block).then(|| Arc::clone(self)),
            chain: 0,
        };
        self.keep_by(py, guard, origin, who)
    }

    /// Keeps it, unless the handle keeps it for a block.
    pub(crate) fn keep_by<C: GuardClass>(
        &self,
        py: Python<'_>,
        guard: C::Guard,
        origin: Origin,
        who: Who,
    ) -> PyResult<Py<C>> {
        let (is_block, chain) = (origin.kept_by.is_none(), origin.chain);
        let object = Py::new(py, C::of(guard, origin))?;
        let address = object.get().at();
        self.entries().push(Entry {
            who,
            guard: Kept::Here(C::any(object.clone_ref(py))),
            address,
            chain,
            is_block,
        });
        Ok(object)
    }

    /// The guard of the innermost block of that one, or of another one if the block is left by that.
    pub(crate) fn leave_block(&self, py: Python<'_>, who: usize) -> Option<AnyGuard> {
        let mut entries = self.entries();
        let own = |entry: &Entry| entry.is_block && entry.who.number == who;
        let at = entries
            .iter()
            .rposition(own)
            .or_else(|| entries.iter().rposition(|entry| entry.is_block))?;
        let left = entries.remove(at);
        drop(entries);
        match left.guard {
            Kept::Here(guard) => Some(guard),
            Kept::Elsewhere(_) => left.object(py),
        }
    }

    /// Releases the last one that the caller took, or whichever the choice allows.
    pub(crate) fn release(
        &self,
        py: Python<'_>,
        path: &Path,
        who: usize,
        choice: Choice,
    ) -> PyResult<()> {
        let mut entries = self.entries();
        let is_held = |entry: &Entry| entry.held(py).is_some();
        let own = entries
            .iter()
            .rposition(|entry| entry.who.number == who && is_held(entry));
        let at = own.or_else(|| {
            let mut held = (0..entries.len()).filter(|at| is_held(&entries[*at]));
            match (choice, held.next(), held.next()) {
                (Choice::OwnOrAny, first, _) | (Choice::OwnOrOnly, first, None) => first,
                (Choice::OwnOrOnly | Choice::Own, _, _) => None,
            }
        });
        let Some(at) = at else {
            let why = if entries.iter().any(is_held) {
                "others hold it by this handle, and this thread or task does not: release the \
                 guard that is meant"
            } else {
                "it is not held by this handle"
            };
            drop(entries);
            return Err(errors::not_held(py, path, why));
        };
        let object = entries[at].object(py);
        // A block takes its entry out itself, when it is left.
        let removed = (!entries[at].is_block).then(|| entries.remove(at));
        drop(entries);
        drop(removed);
        object.map_or(Ok(()), |object| object.let_go(py))
    }

    /// Releases what the guards of a chain became.
    pub(crate) fn end_chain(&self, py: Python<'_>, chain: usize) -> PyResult<()> {
        let entries = self.entries();
        let mut of_chain = entries.iter().filter(|entry| entry.chain == chain);
        let last = of_chain.find_map(|entry| entry.held(py));
        drop(entries);
        last.map_or(Ok(()), |guard| guard.let_go(py))
    }

    pub(crate) fn forget(&self, address: usize) {
        let mut entries = self.entries();
        let at = entries.iter().rposition(|entry| entry.address == address);
        let removed = at.map(|at| entries.remove(at));
        drop(entries);
        drop(removed);
    }

    /// The handle goes: what only it kept goes too, and what the program has is still known.
    pub(crate) fn clear(&self) {
        // Not under the mutex: the interpreter may collect garbage meanwhile, and guards are such.
        let mut entries = std::mem::take(&mut *self.entries());
        if entries.is_empty() {
            return;
        }
        let weakened = Python::try_attach(|py| {
            let weaken = |entry: &mut Entry| -> Option<Kept> {
                let Kept::Here(guard) = &entry.guard else {
                    return None;
                };
                let object = guard.object(py).into_bound(py);
                let weak = PyWeakrefReference::new(&object).ok()?.unbind();
                Some(std::mem::replace(&mut entry.guard, Kept::Elsewhere(weak)))
            };
            entries.iter_mut().filter_map(weaken).collect::<Vec<_>>()
        });
        *self.entries() = entries;
        // Those that nobody else has release the lock now, and take themselves out of the list.
        drop(weakened);
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AnyGuard {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Lock(guard) => Self::Lock(guard.clone_ref(py)),
            Self::Read(guard) => Self::Read(guard.clone_ref(py)),
            Self::Upgradable(guard) => Self::Upgradable(guard.clone_ref(py)),
            Self::Write(guard) => Self::Write(guard.clone_ref(py)),
            Self::Permit(guard) => Self::Permit(guard.clone_ref(py)),
            Self::Reentrant(guard) => Self::Reentrant(guard.clone_ref(py)),
        }
    }
}

/// The holdings of all handles of this process.
fn all_holdings() -> Vec<Arc<Holding>> {
    known().iter().filter_map(Weak::upgrade).collect()
}

/// Only used by who has the interpreter's lock, so no fork finds it taken.
fn known() -> MutexGuard<'static, Vec<Weak<Holding>>> {
    static KNOWN: Mutex<Vec<Weak<Holding>>> = Mutex::new(Vec::new());
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which thread this is: no other one has the same, even after its end. It is never the address of
/// an object, which is what tells tasks apart.
pub(crate) fn this_thread() -> usize {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(0) };
    }
    OWN.with(|own| {
        if own.get() == 0 {
            own.set(LAST.fetch_add(1, Ordering::Relaxed) * 2 + 1);
        }
        own.get()
    })
}
