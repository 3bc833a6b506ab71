//! Several locks at once: all or none. (The object that has their guards is Python's, in `_group.py`.)

use std::path::Path;
use std::sync::Arc;

use lockfast::{Guards, Member, MemberGuard};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::cancel::CancelToken;
use crate::handle::Handle;
use crate::holding::{Holding, Who};
use crate::hooks::Hooks;
use crate::lock::{Lock, LockGuard};
use crate::patience::{Ask, Taken, Timeout, Want, acquire};
use crate::pending::{Pending, TaskAsk};
use crate::rwlock::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use crate::semaphore::{Semaphore, SemaphorePermit};

/// A lock, how it is to be taken, and the handle that keeps it.
struct Wanted {
    way: Way,
    holding: Arc<Holding>,
    is_quick: bool,
    is_fifo: bool,
}

#[derive(Clone)]
enum Way {
    Lock(lockfast::Lock),
    Read(lockfast::RwLock),
    Upgradable(lockfast::RwLock),
    Write(lockfast::RwLock),
    Permit(lockfast::Semaphore),
}

/// Takes all of them, and gives their guards in the order of the locks.
#[pyfunction]
#[pyo3(signature = (members, blocking, timeout, cancel))]
pub(crate) fn take_all<'py>(
    py: Python<'py>,
    members: &Bound<'py, PyAny>,
    blocking: bool,
    timeout: Timeout,
    cancel: Option<Bound<'py, CancelToken>>,
) -> PyResult<Bound<'py, PyList>> {
    let want = Want::new(blocking, timeout, cancel)?;
    let wanted = all_wanted(members)?;
    let members = || wanted.iter().map(|wanted| wanted.way.member());
    let alone: Vec<_> = wanted.iter().filter_map(Wanted::alone).collect();
    let hooks = Hooks::default();
    let ask = Ask {
        hooks: &hooks,
        is_quick: wanted.iter().all(|wanted| wanted.is_quick),
        is_fifo: wanted.iter().any(|wanted| wanted.is_fifo),
        alone: &alone,
        except: 0,
    };
    let taken = acquire(
        py,
        &ask,
        want,
        || Ok(lockfast::try_lock_all(members())?),
        |moment| Ok(lockfast::try_lock_all_for(members(), moment)?),
        || async { Ok(lockfast::lock_all_async(members().collect::<Vec<_>>()).await?) },
    )?;
    objects(py, taken, &keepers(&wanted), &Who::this_thread())
}

/// The same as a wait of a task.
#[pyfunction]
pub(crate) fn take_all_async(members: &Bound<'_, PyAny>, timeout: Timeout) -> PyResult<Pending> {
    let wanted = all_wanted(members)?;
    let ask = TaskAsk {
        timeout,
        is_quick: wanted.iter().all(|wanted| wanted.is_quick),
        hooks: Hooks::default(),
        alone: wanted
            .iter()
            .filter_map(Wanted::alone)
            .map(Path::to_path_buf)
            .collect(),
        except: 0,
    };
    let keepers = keepers(&wanted);
    let ways: Vec<_> = wanted.into_iter().map(|wanted| wanted.way).collect();
    let later = ways.clone();
    Ok(Pending::new(
        ask,
        move || -> Taken<_> { Ok(lockfast::try_lock_all(ways.iter().map(Way::member))?) },
        move || async move {
            let members: Vec<_> = later.iter().map(Way::member).collect();
            Ok(lockfast::lock_all_async(members).await?)
        },
        move |py, guards, who, _| Ok(objects(py, guards, &keepers, &who)?.into_any().unbind()),
    ))
}

/// The keepers of the guards, in the order of the locks.
type Keepers = Vec<(Arc<Holding>, bool)>;

fn keepers(wanted: &[Wanted]) -> Keepers {
    let keeper = |wanted: &Wanted| (Arc::clone(&wanted.holding), wanted.is_quick);
    wanted.iter().map(keeper).collect()
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
            return Self::of(lock.get().handle(), Way::Lock);
        }
        if let Ok(pool) = member.cast::<Semaphore>() {
            return Self::of(pool.get().handle(), Way::Permit);
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
        let handle = lock.get().handle();
        match &*way.extract::<String>()? {
            "read" => Self::of(handle, Way::Read),
            "upgradable_read" => Self::of(handle, Way::Upgradable),
            "write" => Self::of(handle, Way::Write),
            word => Err(PyValueError::new_err(format!(
                "a RwLock is taken by 'read', 'upgradable_read' or 'write', not {word:?}"
            ))),
        }
    }

    fn of<L: Clone + crate::handle::Primitive>(
        handle: &Handle<L>,
        way: impl FnOnce(L) -> Way,
    ) -> PyResult<Self> {
        let opened = handle.get()?;
        Ok(Self {
            way: way(opened.lock.clone()),
            holding: Arc::clone(&handle.holding),
            is_quick: opened.is_quick,
            is_fifo: opened.is_fifo,
        })
    }

    /// The path, if nobody can wait there who holds it.
    fn alone(&self) -> Option<&Path> {
        match &self.way {
            Way::Lock(lock) => Some(lock.path()),
            Way::Read(lock) | Way::Upgradable(lock) | Way::Write(lock) => Some(lock.path()),
            Way::Permit(_) => None,
        }
    }
}

impl Way {
    fn member(&self) -> Member<'_> {
        match self {
            Self::Lock(lock) => Member::Lock(lock),
            Self::Read(lock) => Member::Read(lock),
            Self::Upgradable(lock) => Member::Upgradable(lock),
            Self::Write(lock) => Member::Write(lock),
            Self::Permit(pool) => Member::Permit(pool),
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

fn objects<'py>(
    py: Python<'py>,
    guards: Guards,
    keepers: &Keepers,
    who: &Who,
) -> PyResult<Bound<'py, PyList>> {
    let objects = PyList::empty(py);
    for (guard, (holding, is_quick)) in guards.into_guards().into_iter().zip(keepers) {
        macro_rules! kept {
            ($guard:expr, $class:ident) => {
                objects.append(holding.keep::<$class>(
                    py,
                    $guard,
                    *is_quick,
                    who.clone_ref(py),
                    false,
                )?)?
            };
        }
        match guard {
            MemberGuard::Lock(guard) => kept!(guard, LockGuard),
            MemberGuard::Read(guard) => kept!(guard, RwLockReadGuard),
            MemberGuard::Upgradable(guard) => kept!(guard, RwLockUpgradableReadGuard),
            MemberGuard::Write(guard) => kept!(guard, RwLockWriteGuard),
            MemberGuard::Permit(permit) => kept!(permit, SemaphorePermit),
            _ => unreachable!("there are no other members"),
        }
    }
    Ok(objects)
}
