//! The classes of guards.

use std::sync::Arc;

use pyo3::PyClass;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;

use crate::any_guard::AnyGuard;
use crate::guard::Guard;
use crate::holding::{Holding, Taken};
use crate::library_guard::LibraryGuard;

/// A class of guards.
pub(crate) trait GuardClass: PyClass<Frozen = True> + Sync {
    type Guard: LibraryGuard;

    fn of(guard: Guard<Self::Guard>) -> PyClassInitializer<Self>;
    fn guard(&self) -> &Guard<Self::Guard>;
}

/// Makes the object of the guard, and has the handle keep it until it is released or the block ends.
pub(crate) fn keep<C: GuardClass>(
    py: Python<'_>,
    holding: &Arc<Holding>,
    guard: C::Guard,
    taken: Taken,
) -> PyResult<Py<C>> {
    let guard = Guard::new(guard, Arc::clone(holding), &taken);
    let object = Py::new(py, C::of(guard))?;
    let address = object.get().guard().address();
    let kept = object.clone_ref(py).into_any();
    holding.keep(kept, as_guard::<C>, address, taken);
    Ok(object)
}

fn as_guard<'a, C: GuardClass>(object: &'a Bound<'_, PyAny>) -> &'a dyn AnyGuard {
    let object = object.cast::<C>();
    let object = object.expect("a kept object has the class that it was kept with");
    object.get().guard()
}

/// Defines a class of guards: what all have, what the list names (`file`, `hand_over`, `record`), and more.
macro_rules! guard_class {
    (
        $(#[$docs:meta])*
        $class:ident($guard:ty), [file $(, $rest:ident)*], { $($more:tt)* }
    ) => {
        $crate::guard_class::guard_class!($(#[$docs])* $class($guard), [$($rest),*], {
            /// The number of the descriptor of the locked file.
            fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
                self.0.fileno(py)
            }

            $($more)*
        });
    };
    (
        $(#[$docs:meta])*
        $class:ident($guard:ty), [hand_over $(, $rest:ident)*], { $($more:tt)* }
    ) => {
        $crate::guard_class::guard_class!($(#[$docs])* $class($guard), [$($rest),*], {
            /// Tells deadlock detection that this thread or task no longer owns the guard, for example before
            /// another one gets it.
            fn hand_over(&self) {
                self.0.hand_over();
            }

            $($more)*
        });
    };
    (
        $(#[$docs:meta])*
        $class:ident($guard:ty), [record $(, $rest:ident)*], { $($more:tt)* }
    ) => {
        $crate::guard_class::guard_class!($(#[$docs])* $class($guard), [$($rest),*], {
            /// The previous owner, if it died while it held the lock, with `owner_record=True`.
            #[getter]
            fn abandoned(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
                self.0.abandoned(py)
            }

            $($more)*
        });
    };
    (
        $(#[$docs:meta])*
        $class:ident($guard:ty), [], { $($more:tt)* }
    ) => {
        $(#[$docs])*
        #[pyo3::pyclass(frozen, weakref, module = "lockfast")]
        #[derive(Debug)]
        pub(crate) struct $class($crate::guard::Guard<$guard>);

        impl $crate::guard_class::GuardClass for $class {
            type Guard = $guard;

            fn of(guard: $crate::guard::Guard<$guard>) -> PyClassInitializer<Self> {
                PyClassInitializer::from(Self(guard))
            }

            fn guard(&self) -> &$crate::guard::Guard<$guard> {
                &self.0
            }
        }

        #[pyo3::pymethods]
        impl $class {
            /// Releases the lock. Raises `NotHeld` if that was done before.
            fn release(&self, py: Python<'_>) -> PyResult<()> {
                self.0.release(py)
            }

            /// Whether the guard was neither released nor converted.
            #[getter]
            fn is_held(&self) -> bool {
                self.0.held.is_held()
            }

            /// Whether the locked file is still the one at the path.
            fn is_current(&self, py: Python<'_>) -> PyResult<bool> {
                self.0.is_current(py)
            }

            /// The fencing token, which is greater in each later hold: of a lock with `owner_record=True`, and
            /// of a lock of a space.
            #[getter]
            fn token(&self) -> Option<u64> {
                self.0.token()
            }

            /// The epoch of the token: tokens of different epochs can't be compared. 0 for a file.
            #[getter]
            fn epoch(&self) -> u64 {
                self.0.epoch()
            }

            /// The key of a lock on etcd, for transactions of the program there; None for other locks and for permits.
            #[getter]
            fn etcd_key(&self) -> Option<$crate::server_data::LockKey> {
                self.0.etcd_key()
            }

            /// The row of a lock on PostgreSQL, for statements of the program there; None for other locks and for
            /// holds without a token.
            #[getter]
            fn postgres_row(&self) -> Option<$crate::server_data::LockRow> {
                self.0.postgres_row()
            }

            /// Whether the lock is still held, as far as this process knows: "valid", always for a file;
            /// "unconfirmed" if the server did not confirm the lease in time; "lost"; or "released".
            #[getter]
            fn state(&self) -> &'static str {
                self.0.state()
            }

            /// The seconds until the server may give the lock to others, if it does not confirm the lease before;
            /// None for a file.
            #[getter]
            fn lease_left(&self) -> Option<f64> {
                self.0.lease_left()
            }

            /// Raises `NotHeld` unless the lock is held for certain: to be called right before a side effect.
            /// It asks no server.
            fn check(&self, py: Python<'_>) -> PyResult<()> {
                self.0.check(py)
            }

            /// Waits until the lock is lost or not confirmed in time; returns whether it is. Returns False when
            /// `timeout` seconds have passed, when the `CancelToken` `cancel` is cancelled, and when the guard is
            /// released. A file is never lost.
            #[pyo3(
                signature = (timeout = $crate::limit::Timeout(None), *, cancel = None),
                text_signature = "($self, timeout=None, *, cancel=None)"
            )]
            fn wait_lost(
                &self,
                py: Python<'_>,
                timeout: $crate::limit::Timeout,
                cancel: Option<Bound<'_, $crate::cancel::CancelToken>>,
            ) -> PyResult<bool> {
                self.0.wait_lost(py, timeout, cancel.as_ref())
            }

            /// Calls the function once when the lock is lost or not confirmed in time, in a thread of its own;
            /// in this thread if it is lost already. The release of the guard takes the callback back, and so does
            /// `cancel()` of the result.
            fn on_lost(
                &self,
                py: Python<'_>,
                callback: Py<PyAny>,
            ) -> PyResult<$crate::lost::LostCallback> {
                self.0.on_lost(py, callback)
            }

            /// Waits as a task of asyncio until the lock is lost or not confirmed in time. Never completes for a
            /// file, nor after the release.
            fn lost<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                $crate::lost::as_task(slf.as_any())
            }

            /// The absolute path of the lock file, or the name of a lock on a server.
            #[getter]
            fn path(&self) -> &std::ffi::OsStr {
                self.0.path().as_os_str()
            }

            #[getter]
            fn _is_on_server(&self) -> bool {
                self.0.holding.is_on_server()
            }

            fn __enter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
                slf.get().0.enter(slf.py())?;
                Ok(slf.clone())
            }

            /// Releases the lock, unless the block did. Does nothing in a forked child.
            #[pyo3(signature = (*_exception))]
            fn __exit__(
                &self,
                py: Python<'_>,
                _exception: &Bound<'_, pyo3::types::PyTuple>,
            ) -> PyResult<()> {
                $crate::any_guard::AnyGuard::end(&self.0, py)
            }

            fn __repr__(&self) -> String {
                self.0.shown(stringify!($class))
            }

            $($more)*
        }
    };
}
pub(crate) use guard_class;
