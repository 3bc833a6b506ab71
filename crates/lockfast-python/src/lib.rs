//! The extension module of the Python package `lockfast`.
//!
//! Python code of the package (`python/lockfast`) has what Rust need not do: decorators, the glue to
//! asyncio, the exceptions, and what `lockfast.fasteners` looks like. What waits is here.

mod cancel;
mod choices;
mod errors;
mod group;
mod handle;
mod held;
mod holding;
mod hooks;
mod inspect;
mod lock;
mod patience;
mod pending;
mod process_lock;
mod reentrant;
mod rhythm;
mod rwlock;
mod semaphore;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _lockfast {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::cancel::CancelToken;
    #[pymodule_export]
    use super::group::{take_all, take_all_async};
    #[pymodule_export]
    use super::held::forks;
    #[pymodule_export]
    use super::inspect::inspect;
    #[pymodule_export]
    use super::lock::{Lock, LockGuard};
    #[pymodule_export]
    use super::pending::Pending;
    #[pymodule_export]
    use super::process_lock::{Hold, Opener};
    #[pymodule_export]
    use super::reentrant::{ReentrantLock, ReentrantLockGuard};
    #[pymodule_export]
    use super::rwlock::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
    #[pymodule_export]
    use super::semaphore::{Semaphore, SemaphorePermit};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::errors::prepare(module.py())?;
        lockfast::binding_support::speak(lockfast::binding_support::Words::Python);
        let ending = pyo3::wrap_pyfunction!(crate::held::ending, module)?;
        module
            .py()
            .import("atexit")?
            .call_method1("register", (ending,))?;
        // A fork of a program that does not tell Python is not noticed here, as nowhere in Python.
        let hooks = pyo3::types::PyDict::new(module.py());
        let forked = pyo3::wrap_pyfunction!(crate::held::forked, module)?;
        hooks.set_item("after_in_child", forked)?;
        let register = module.py().import("os")?.getattr("register_at_fork")?;
        register.call((), Some(&hooks))?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
