//! The content of the objects of all guards: a guard of the library, and the handle that keeps the object.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lockfast::HoldState;
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;

use crate::any_guard::{AnyGuard, Block, KeptFor};
use crate::caller::this_thread;
use crate::cancel::CancelToken;
use crate::errors;
use crate::held::{Held, RELEASED};
use crate::holding::{Holding, Taken};
use crate::library_guard::{LibraryGuard, Lost};
use crate::limit::Timeout;
use crate::lost::{self, Callbacks, LostCallback};
use crate::server_data::{LockKey, LockRow};

/// The content of a guard's object.
#[derive(Debug)]
pub(crate) struct Guard<G: LibraryGuard> {
    pub(crate) held: Held<G>,
    pub(crate) holding: Arc<Holding>,
    kept_for: KeptFor,
    // A copy, as a released permit still shows it.
    count: u32,
    block: Mutex<Block>,
    /// The number that it shares with the guard that it was converted into; 0 if there is none.
    chain: AtomicUsize,
    callbacks: Callbacks,
}

static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// Notes that the interpreter is about to end: what is still held then is no mistake.
#[pyfunction]
pub(crate) fn ending() {
    IS_ENDING.store(true, Ordering::Relaxed);
}

impl<G: LibraryGuard> Guard<G> {
    pub(crate) fn new(guard: G, holding: Arc<Holding>, taken: &Taken) -> Self {
        Self {
            count: guard.count(),
            held: Held::new(guard),
            holding,
            kept_for: taken.kept_for,
            block: Mutex::new(Block::None),
            chain: AtomicUsize::new(taken.chain),
            callbacks: Callbacks::default(),
        }
    }

    /// Identifies the object among those that the handle keeps.
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    pub(crate) fn path(&self) -> &Path {
        self.holding.path()
    }

    /// The number of permits, also of those that were released.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn release(&self, py: Python<'_>) -> PyResult<()> {
        match self.held.take_own() {
            Ok(guard) => self.let_go(py, guard),
            Err(why) => Err(errors::not_held(py, self.path(), why)),
        }
    }

    fn let_go(&self, py: Python<'_>, guard: G) -> PyResult<()> {
        self.forget();
        self.callbacks.clear();
        let released = self.holding.run(py, || guard.release());
        released.map_err(|error| errors::raised(py, error))
    }

    /// Tells the handle that it need not keep the object any more.
    pub(crate) fn forget(&self) {
        if self.kept_for == KeptFor::Release {
            self.holding.forget(self.address());
        }
    }

    pub(crate) fn enter(&self, py: Python<'_>) -> PyResult<()> {
        if !self.held.is_held() {
            return Err(self.released(py));
        }
        *self.block_mut() = Block::Of(this_thread());
        Ok(())
    }

    pub(crate) fn hand_over(&self) {
        *self.block_mut() = Block::HandedOver;
        self.held.with(G::hand_over);
    }

    pub(crate) fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        let number = self.held.with(|guard| guard.with_file(AsRawFd::as_raw_fd));
        let number = number.ok_or_else(|| self.released(py))?;
        number.ok_or_else(|| errors::no_file(py, self.path()))
    }

    pub(crate) fn is_current(&self, py: Python<'_>) -> PyResult<bool> {
        let ask = || self.held.with(|guard| guard.is_current()).flatten();
        match self.holding.run(py, ask) {
            Some(answer) => answer.map_err(|error| errors::raised(py, error)),
            None => Ok(false),
        }
    }

    pub(crate) fn token(&self) -> Option<u64> {
        self.held.with(|guard| guard.token()).flatten()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.held.with(|guard| guard.epoch()).unwrap_or(0)
    }

    pub(crate) fn etcd_key(&self) -> Option<LockKey> {
        self.held.with(|guard| guard.etcd_key()).flatten()
    }

    pub(crate) fn postgres_row(&self) -> Option<LockRow> {
        self.held.with(|guard| guard.postgres_row()).flatten()
    }

    pub(crate) fn lease_left(&self) -> Option<f64> {
        let left = self.held.with(|guard| guard.lease_left()).flatten()?;
        Some(left.as_secs_f64())
    }

    /// The state, as a word.
    pub(crate) fn state(&self) -> &'static str {
        if !self.held.is_held() {
            return "released";
        }
        match self.held.with(|guard| guard.state()) {
            Some(HoldState::Valid) => "valid",
            Some(HoldState::Unconfirmed) => "unconfirmed",
            Some(_) => "lost",
            None => "released",
        }
    }

    pub(crate) fn check(&self, py: Python<'_>) -> PyResult<()> {
        let checked = self.held.with(|guard| guard.check());
        match checked.filter(|_| self.held.is_own()) {
            Some(checked) => checked.map_err(|error| errors::raised(py, error)),
            None => Err(self.released(py)),
        }
    }

    pub(crate) fn wait_lost(
        &self,
        py: Python<'_>,
        timeout: Timeout,
        cancel: Option<&Bound<'_, CancelToken>>,
    ) -> PyResult<bool> {
        let lost = self.lost(py)?;
        let is_held = || self.held.is_held();
        lost::wait(py, lost, is_held, timeout, cancel)
    }

    pub(crate) fn on_lost(&self, py: Python<'_>, callback: Py<PyAny>) -> PyResult<LostCallback> {
        let lost = self.lost(py)?;
        Ok(self.callbacks.add(lost, callback))
    }

    fn lost(&self, py: Python<'_>) -> PyResult<Lost> {
        let lost = self.held.with(|guard| guard.lost());
        let lost = lost.filter(|_| self.held.is_own());
        lost.ok_or_else(|| self.released(py))
    }

    pub(crate) fn released(&self, py: Python<'_>) -> PyErr {
        errors::not_held(py, self.path(), RELEASED)
    }

    pub(crate) fn abandoned(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let owner = self.held.with(|guard| guard.abandoned()).flatten();
        owner.map(|owner| errors::owner(py, &owner)).transpose()
    }

    /// The text for `repr()` of an object of the class with that name.
    pub(crate) fn shown(&self, class: &str) -> String {
        let state = if self.held.is_held() {
            "held"
        } else {
            "released"
        };
        format!("<lockfast.{class} of {}, {state}>", self.path().display())
    }

    /// Returns the number of the chain, for the guard that this one is converted into.
    pub(crate) fn continue_chain(&self) -> usize {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        if self.chain.load(Ordering::Relaxed) == 0 {
            let new = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            self.chain.store(new, Ordering::Relaxed);
        }
        self.chain.load(Ordering::Relaxed)
    }

    fn block_mut(&self) -> MutexGuard<'_, Block> {
        self.block.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<G: LibraryGuard> AnyGuard for Guard<G> {
    fn is_held(&self) -> bool {
        self.held.is_held()
    }

    fn block(&self) -> Block {
        *self.block_mut()
    }

    fn end(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(guard) = self.held.take() {
            return self.let_go(py, guard);
        }
        match self.chain.load(Ordering::Relaxed) {
            0 => Ok(()),
            chain => self.holding.end_chain(py, chain),
        }
    }

    fn is_obstacle(&self) -> bool {
        G::IS_OBSTACLE
    }

    fn file_id(&self) -> Option<(u64, u64)> {
        let file = self.held.with(|guard| guard.with_file(File::metadata));
        let file = file.flatten()?.ok()?;
        Some((file.dev(), file.ino()))
    }
}

impl<G: LibraryGuard> Drop for Guard<G> {
    /// A guard that is still held was relied on, but nobody has it any more.
    fn drop(&mut self) {
        // A release, a block or a conversion has taken the guard out.
        let Some(guard) = self.held.take_last() else {
            return;
        };
        self.forget();
        // In a forked child the guard is a copy. At the end of the interpreter nothing is a mistake.
        if !self.held.is_own() || IS_ENDING.load(Ordering::Relaxed) {
            return;
        }
        Python::try_attach(|py| {
            self.holding.run(py, || drop(guard));
            warn_of_drop(py, self.path(), G::NOUN);
        });
    }
}

#[cold]
fn warn_of_drop(py: Python<'_>, path: &Path, noun: &str) {
    let text = format!(
        "a {noun} {} was dropped while it was held, which released it: call release() on the guard \
         or on its lock, keep one of them, or use `with`",
        path.display()
    );
    let before = PyErr::take(py);
    let category = py.get_type::<PyRuntimeWarning>();
    let text = std::ffi::CString::new(text).unwrap_or_default();
    if let Err(error) = PyErr::warn(py, &category, &text, 1) {
        // The program made warnings errors, and a destructor can't raise one.
        error.write_unraisable(py, None);
    }
    if let Some(before) = before {
        before.restore(py);
    }
}
