//! Several locks at once: all or none. (The object that has their guards is Python's, in `_group.py`.)

use lockfast::{Guards, Member, MemberGuard};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::errors;
use crate::lock::{Lock, LockGuard};
use crate::patience::{Timeout, acquire};
use crate::pending::Pending;
use crate::rwlock::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use crate::semaphore::{Semaphore, SemaphorePermit};

/// A lock, and how it is to be taken.
enum Wanted {
    Lock(lockfast::Lock),
    Read(lockfast::RwLock),
    Upgradable(lockfast::RwLock),
    Write(lockfast::RwLock),
    Permit(lockfast::Semaphore),
}

/// Takes all of them, and gives their guards in the order of the locks.
#[pyfunction]
pub(crate) fn take_all<'py>(
    py: Python<'py>,
    members: &Bound<'py, PyAny>,
    timeout: Timeout,
) -> PyResult<Bound<'py, PyList>> {
    let wanted = all_wanted(members)?;
    let members = || wanted.iter().map(Wanted::member);
    let taken = acquire(
        py,
        || lockfast::try_lock_all(members()),
        || match timeout.0 {
            Some(timeout) => lockfast::try_lock_all_for(members(), timeout),
            None => lockfast::lock_all(members()),
        },
    )?;
    objects(py, taken)
}

/// The same without waiting.
#[pyfunction]
pub(crate) fn try_take_all<'py>(
    py: Python<'py>,
    members: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let wanted = all_wanted(members)?;
    let taken = lockfast::try_lock_all(wanted.iter().map(Wanted::member));
    objects(py, taken.map_err(|error| errors::raised(py, error))?)
}

/// The same as a wait of a task.
#[pyfunction]
pub(crate) fn take_all_async(members: &Bound<'_, PyAny>, timeout: Timeout) -> PyResult<Pending> {
    let wanted = all_wanted(members)?;
    let path = wanted.first().map(|wanted| wanted.path().to_path_buf());
    let future = async move {
        let members: Vec<_> = wanted.iter().map(Wanted::member).collect();
        lockfast::lock_all_async(members).await
    };
    Ok(Pending::new(
        &path.unwrap_or_default(),
        timeout,
        future,
        |py, guards| Ok(objects(py, guards)?.into_any().unbind()),
    ))
}

fn all_wanted(members: &Bound<'_, PyAny>) -> PyResult<Vec<Wanted>> {
    members
        .try_iter()?
        .map(|member| Wanted::parse(&member?))
        .collect()
}

impl Wanted {
    fn parse(member: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(lock) = member.cast::<Lock>() {
            return Ok(Self::Lock(lock.get().handle().clone()));
        }
        if let Ok(pool) = member.cast::<Semaphore>() {
            return Ok(Self::Permit(pool.get().handle().clone()));
        }
        let pair = member.cast::<PyTuple>().ok();
        let Some((lock, way)) = pair.and_then(|pair| pair.extract().ok()) else {
            return Err(wrong_type(member));
        };
        Self::parse_pair(&lock, &way)
    }

    fn parse_pair(lock: &Bound<'_, PyAny>, way: &Bound<'_, PyAny>) -> PyResult<Self> {
        let Ok(lock) = lock.cast::<RwLock>() else {
            return Err(wrong_type(lock));
        };
        let handle = lock.get().handle().clone();
        match &*way.extract::<String>()? {
            "read" => Ok(Self::Read(handle)),
            "upgradable_read" => Ok(Self::Upgradable(handle)),
            "write" => Ok(Self::Write(handle)),
            word => Err(PyValueError::new_err(format!(
                "a RwLock is taken by 'read', 'upgradable_read' or 'write', not {word:?}"
            ))),
        }
    }

    fn member(&self) -> Member<'_> {
        match self {
            Self::Lock(lock) => Member::Lock(lock),
            Self::Read(lock) => Member::Read(lock),
            Self::Upgradable(lock) => Member::Upgradable(lock),
            Self::Write(lock) => Member::Write(lock),
            Self::Permit(pool) => Member::Permit(pool),
        }
    }

    fn path(&self) -> &std::path::Path {
        match self {
            Self::Lock(lock) => lock.path(),
            Self::Read(lock) | Self::Upgradable(lock) | Self::Write(lock) => lock.path(),
            Self::Permit(pool) => pool.path(),
        }
    }
}

#[cold]
fn wrong_type(member: &Bound<'_, PyAny>) -> PyErr {
    let class = member.get_type();
    let name = class
        .name()
        .map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!(
        "a Lock, a Semaphore, or a RwLock with how it is to be taken, (lock, 'read'), is wanted, \
         not {name}"
    ))
}

fn objects(py: Python<'_>, guards: Guards) -> PyResult<Bound<'_, PyList>> {
    let objects = PyList::empty(py);
    for guard in guards.into_guards() {
        match guard {
            MemberGuard::Lock(guard) => objects.append(LockGuard::new(guard))?,
            MemberGuard::Read(guard) => objects.append(RwLockReadGuard::new(guard))?,
            MemberGuard::Upgradable(guard) => {
                objects.append(RwLockUpgradableReadGuard::new(guard))?;
            }
            MemberGuard::Write(guard) => objects.append(RwLockWriteGuard::new(guard))?,
            MemberGuard::Permit(permit) => objects.append(SemaphorePermit::new(permit))?,
            _ => unreachable!("there are no other members"),
        }
    }
    Ok(objects)
}
