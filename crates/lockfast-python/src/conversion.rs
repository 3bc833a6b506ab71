//! Conversions between the guards of a readers-writer lock.

use std::sync::Arc;

use lockfast::{ConversionError, binding_support};
use lockfast_space::{RwLockUpgradableReadGuard, RwLockWriteGuard};
use pyo3::prelude::*;

use crate::acquire::{Attempt, Failure, Request, acquire};
use crate::any_guard::KeptFor;
use crate::caller::Caller;
use crate::errors;
use crate::guard::Guard;
use crate::guard_class::{GuardClass, keep};
use crate::holding::Taken;
use crate::hooks::Hooks;
use crate::library_guard::LibraryGuard;
use crate::limit::{Timeout, WaitLimit};
use crate::pending::{Pending, TaskRequest};

type Reader = Guard<RwLockUpgradableReadGuard>;

/// Converts a guard without waiting; if that fails, it stays held.
pub(crate) fn convert<C: GuardClass, G: LibraryGuard>(
    py: Python<'_>,
    guard: &Guard<G>,
    function: impl FnOnce(G) -> Result<C::Guard, ConversionError<G>>,
) -> PyResult<Py<C>> {
    let converted = try_convert(guard, function);
    let converted = converted.map_err(|failure| failure.raised(py))?;
    replace(py, guard, converted, Caller::this_thread())
}

/// Upgrades a guard in a thread.
pub(crate) fn upgrade<C: GuardClass<Guard = RwLockWriteGuard>>(
    py: Python<'_>,
    reader: &Reader,
    limit: WaitLimit<'_>,
) -> PyResult<Py<C>> {
    if let Err(why) = reader.held.take_own().map(|guard| reader.held.put(guard)) {
        return Err(errors::not_held(py, reader.path(), why));
    }
    let hooks = Hooks::default();
    let request = Request {
        hooks: &hooks,
        is_local: reader.holding.is_local(),
        // No server has readers that can become the writer.
        is_on_server: false,
        is_fifo: false,
        path: reader.path(),
        exclusive: &[&reader.holding],
        upgraded: Some(reader.address()),
    };
    let guard = acquire(
        py,
        &request,
        limit,
        || try_upgrade(reader),
        |moment| try_convert(reader, |guard| guard.try_upgrade_for(moment)),
        |_| upgrade_later(reader),
    )?;
    replace(py, reader, guard, Caller::this_thread())
}

/// Upgrades a guard in a task.
pub(crate) fn upgrade_async<'py, C, To>(
    object: &Bound<'py, C>,
    timeout: Timeout,
) -> PyResult<Bound<'py, PyAny>>
where
    C: GuardClass<Guard = RwLockUpgradableReadGuard>,
    To: GuardClass<Guard = RwLockWriteGuard>,
{
    let reader = object.get().guard();
    let request = TaskRequest {
        timeout,
        is_local: reader.holding.is_local(),
        is_on_server: false,
        hooks: Hooks::default(),
        path: reader.path().to_path_buf(),
        exclusive: vec![Arc::clone(&reader.holding)],
        upgraded: Some(reader.address()),
    };
    let (py, copy) = (object.py(), || object.clone().unbind());
    let (reader, later, old) = (copy(), Arc::new(copy()), copy());
    let pending = Pending::new(
        request,
        move || try_upgrade(reader.get().guard()),
        move |_| {
            let later = Arc::clone(&later);
            async move { upgrade_later(later.get().guard()).await }
        },
        move |py, guard, caller, _| {
            let object: Py<To> = replace(py, old.get().guard(), guard, caller)?;
            Ok(object.into_any())
        },
    );
    pending.awaitable(py, "RwLockUpgradableReadGuard.upgrade_async")
}

fn try_upgrade(reader: &Reader) -> Attempt<RwLockWriteGuard> {
    try_convert(reader, RwLockUpgradableReadGuard::try_upgrade)
}

/// The guard is put back if the wait fails or is dropped.
async fn upgrade_later(reader: &Reader) -> Attempt<RwLockWriteGuard> {
    let guard = take_out(reader)?;
    let upgraded = binding_support::upgrade(guard, |guard| reader.held.put(guard)).await;
    upgraded.map_err(|failed| put_back(reader, failed))
}

fn try_convert<G: LibraryGuard, To>(
    guard: &Guard<G>,
    function: impl FnOnce(G) -> Result<To, ConversionError<G>>,
) -> Attempt<To> {
    function(take_out(guard)?).map_err(|failed| put_back(guard, failed))
}

fn take_out<G: LibraryGuard>(guard: &Guard<G>) -> Attempt<G> {
    let not_held = |why| Failure::NotHeld(guard.path().to_path_buf(), why);
    guard.held.take_own().map_err(not_held)
}

fn put_back<G: LibraryGuard>(guard: &Guard<G>, failed: ConversionError<G>) -> Failure {
    let (error, library_guard) = failed.into_parts();
    guard.held.put(library_guard);
    error.into()
}

/// Makes the object of the new guard, and keeps it in place of the old one.
fn replace<C: GuardClass, G: LibraryGuard>(
    py: Python<'_>,
    old: &Guard<G>,
    guard: C::Guard,
    caller: Caller,
) -> PyResult<Py<C>> {
    let taken = Taken {
        caller,
        kept_for: KeptFor::Release,
        chain: old.continue_chain(),
    };
    // Before the old one is forgotten, so that the handle always keeps one of the two.
    let object = keep(py, &old.holding, guard, taken);
    old.forget();
    object
}
