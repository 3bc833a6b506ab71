//! Several locks at once: all or none. (The object of their guards is Python's, in `_group.py`.)

use std::path::PathBuf;
use std::sync::Arc;

use lockfast::{Guards, Member, MemberGuard, binding_support};
use lockfast_space::Any;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::acquire::{Attempt, Request, acquire};
use crate::any_guard::KeptFor;
use crate::caller::Caller;
use crate::cancel::CancelToken;
use crate::errors::class_name;
use crate::guard_class::keep;
use crate::handle::Handle;
use crate::holding::{Holding, Taken};
use crate::hooks::Hooks;
use crate::limit::{Timeout, WaitLimit};
use crate::lock::{Lock, LockGuard};
use crate::pending::{Pending, TaskRequest};
use crate::primitive::Primitive;
use crate::rwlock::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use crate::semaphore::{Semaphore, SemaphorePermit};

/// A lock, how to take it, and the handle that keeps its guard.
struct MemberRequest {
    member: OwnedMember,
    holding: Arc<Holding>,
    is_fifo: bool,
}

#[derive(Clone)]
enum OwnedMember {
    Lock(lockfast_space::Lock),
    Read(lockfast_space::RwLock),
    Upgradable(lockfast_space::RwLock),
    Write(lockfast_space::RwLock),
    Permit(lockfast_space::Semaphore),
}

/// Takes all of the locks, and returns their guards in the order of the locks.
#[pyfunction]
#[pyo3(signature = (members, blocking, timeout, cancel))]
pub(crate) fn take_all<'py>(
    py: Python<'py>,
    members: &Bound<'py, PyAny>,
    blocking: bool,
    timeout: Timeout,
    cancel: Option<Bound<'py, CancelToken>>,
) -> PyResult<Bound<'py, PyList>> {
    let limit = WaitLimit::new(blocking, timeout, cancel)?;
    let requests = parse_all(members)?;
    let members = || requests.iter().map(|request| request.member.borrow());
    let exclusive: Vec<_> = requests
        .iter()
        .filter_map(MemberRequest::exclusive)
        .map(|holding| &**holding)
        .collect();
    let hooks = Hooks::default();
    let request = Request {
        hooks: &hooks,
        is_local: are_local(&requests),
        is_on_server: is_any_on_server(&requests),
        path: &path_of(&requests),
        is_fifo: requests.iter().any(|request| request.is_fifo),
        exclusive: &exclusive,
        upgraded: None,
    };
    let taken = acquire(
        py,
        &request,
        limit,
        || Ok(lockfast::try_lock_all(members())?),
        |moment| Ok(lockfast::try_lock_all_for(members(), moment)?),
        |limit| {
            let future = binding_support::lock_all(members(), limit);
            async { Ok(future.await?) }
        },
    )?;
    objects(py, taken, &holdings(&requests), &Caller::this_thread())
}

/// Takes all of the locks as a task.
#[pyfunction]
pub(crate) fn take_all_async(members: &Bound<'_, PyAny>, timeout: Timeout) -> PyResult<Pending> {
    let requests = parse_all(members)?;
    let exclusive = requests.iter().filter_map(MemberRequest::exclusive);
    let request = TaskRequest {
        timeout,
        is_local: are_local(&requests),
        is_on_server: is_any_on_server(&requests),
        hooks: Hooks::default(),
        path: path_of(&requests),
        exclusive: exclusive.map(Arc::clone).collect(),
        upgraded: None,
    };
    let holdings = holdings(&requests);
    let members: Vec<_> = requests.into_iter().map(|request| request.member).collect();
    let members = Arc::new(members);
    let later = Arc::clone(&members);
    Ok(Pending::new(
        request,
        move || -> Attempt<_> {
            let members = members.iter().map(OwnedMember::borrow);
            Ok(lockfast::try_lock_all(members)?)
        },
        move |limit| {
            let later = Arc::clone(&later);
            async move {
                let members = later.iter().map(OwnedMember::borrow);
                let taken = binding_support::lock_all(members, limit);
                Ok(taken.await?)
            }
        },
        move |py, guards, caller, _| {
            let objects = objects(py, guards, &holdings, &caller)?;
            Ok(objects.into_any().unbind())
        },
    ))
}

fn are_local(requests: &[MemberRequest]) -> bool {
    requests.iter().all(|request| request.holding.is_local())
}

fn is_any_on_server(requests: &[MemberRequest]) -> bool {
    let mut holdings = requests.iter().map(|request| &request.holding);
    holdings.any(|holding| holding.is_on_server())
}

/// The path of the first lock, for errors.
fn path_of(requests: &[MemberRequest]) -> PathBuf {
    let first = requests.first();
    first.map_or_else(PathBuf::new, |request| request.holding.path().to_path_buf())
}

fn holdings(requests: &[MemberRequest]) -> Vec<Arc<Holding>> {
    let holdings = requests.iter().map(|request| Arc::clone(&request.holding));
    holdings.collect()
}

fn parse_all(members: &Bound<'_, PyAny>) -> PyResult<Vec<MemberRequest>> {
    members
        .try_iter()?
        .map(|member| MemberRequest::parse(&member?))
        .collect()
}

impl MemberRequest {
    fn parse(member: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(lock) = member.cast::<Lock>() {
            return Self::of(&lock.get().handle, OwnedMember::Lock);
        }
        if let Ok(semaphore) = member.cast::<Semaphore>() {
            return Self::of(&semaphore.get().handle, OwnedMember::Permit);
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
        let handle = &lock.get().handle;
        match &*way.extract::<String>()? {
            "read" => Self::of(handle, OwnedMember::Read),
            "upgradable_read" => Self::of(handle, OwnedMember::Upgradable),
            "write" => Self::of(handle, OwnedMember::Write),
            word => Err(PyValueError::new_err(format!(
                "an RwLock must be taken by 'read', 'upgradable_read' or 'write', not {word:?}"
            ))),
        }
    }

    fn of<L: Primitive>(
        handle: &Handle<L>,
        member: impl FnOnce(L) -> OwnedMember,
    ) -> PyResult<Self> {
        let opened = handle.get()?;
        Ok(Self {
            member: member(opened.lock.clone()),
            holding: Arc::clone(&opened.holding),
            is_fifo: opened.is_fifo,
        })
    }

    /// The handle, if a holder that waited for it would wait for itself.
    fn exclusive(&self) -> Option<&Arc<Holding>> {
        let is_permit = matches!(self.member, OwnedMember::Permit(_));
        (!is_permit).then_some(&self.holding)
    }
}

impl OwnedMember {
    fn borrow(&self) -> Member<'_, Any> {
        match self {
            Self::Lock(lock) => Member::Lock(lock),
            Self::Read(lock) => Member::Read(lock),
            Self::Upgradable(lock) => Member::Upgradable(lock),
            Self::Write(lock) => Member::Write(lock),
            Self::Permit(semaphore) => Member::Permit(semaphore),
        }
    }
}

#[cold]
fn wrong_type(member: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!(
        "a member must be a Lock, a Semaphore, or an RwLock with the way to take it, as (lock, 'read'), \
         not {}",
        class_name(member)
    ))
}

fn objects<'py>(
    py: Python<'py>,
    guards: Guards<Any>,
    holdings: &[Arc<Holding>],
    caller: &Caller,
) -> PyResult<Bound<'py, PyList>> {
    let objects = PyList::empty(py);
    for (guard, holding) in guards.into_guards().into_iter().zip(holdings) {
        let taken = Taken::new(caller.clone_ref(py), KeptFor::Release);
        macro_rules! kept {
            ($guard:expr, $class:ident) => {
                objects.append(keep::<$class>(py, holding, $guard, taken)?)?
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
