//! The file of a fence, while Python holds its lock.

use std::fs::File;
use std::path::Path;

use lockfast::Result;
use lockfast_space::Token;
use lockfast_space::binding_support::{FenceFile, token_at};
use pyo3::prelude::*;

use crate::errors;
use crate::guard_class::GuardClass;
use crate::library_guard::LibraryGuard;
use crate::lock::{Lock, LockGuard};

/// A token as Python passes it: epoch and number.
type Pair = (u64, u64);

/// Returns the token of a holder for the fence with that lock; raises `InvalidOption` if it has none.
#[pyfunction]
pub(crate) fn fence_token(
    py: Python<'_>,
    lock: &Lock,
    epoch: u64,
    number: Option<u64>,
) -> PyResult<Pair> {
    let token = number.map(|number| Token { epoch, number });
    let path = Path::new(lock.handle.path()?);
    let token = token_at(path, token).map_err(|error| errors::raised(py, error))?;
    Ok((token.epoch, token.number))
}

/// Lets the token pass the fence whose file is locked.
#[pyfunction]
pub(crate) fn fence_pass(py: Python<'_>, guard: &LockGuard, token: Pair) -> PyResult<()> {
    let (epoch, number) = token;
    with_fence(py, guard, |fence| fence.pass(Token { epoch, number }))
}

/// The greatest token that has passed; None if none has.
#[pyfunction]
pub(crate) fn fence_greatest(py: Python<'_>, guard: &LockGuard) -> PyResult<Option<Pair>> {
    with_fence(py, guard, |fence| {
        let greatest = fence.greatest()?;
        Ok(greatest.map(|token| (token.epoch, token.number)))
    })
}

/// Lets only tokens of that epoch pass from now on.
#[pyfunction]
pub(crate) fn fence_begin_epoch(py: Python<'_>, guard: &LockGuard, epoch: u64) -> PyResult<()> {
    with_fence(py, guard, |fence| fence.begin_epoch(epoch))
}

fn with_fence<T: Send>(
    py: Python<'_>,
    guard: &LockGuard,
    function: impl FnOnce(&FenceFile<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    let guard = guard.guard();
    let path = guard.path();
    let ask = |file: &File| function(&FenceFile::new(path, file));
    let ask = || guard.held.with(|held| held.with_file(ask)).flatten();
    match py.detach(ask) {
        Some(answer) => answer.map_err(|error| errors::raised(py, error)),
        None => Err(guard.released(py)),
    }
}
