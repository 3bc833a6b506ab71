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
            /// The fencing token, with `owner_record=True`.
            #[getter]
            fn token(&self) -> Option<u64> {
                self.0.token()
            }

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

            /// The absolute path of the lock file.
            #[getter]
            fn path(&self) -> &std::ffi::OsStr {
                self.0.path().as_os_str()
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
