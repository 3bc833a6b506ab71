//! The extension module of the Python package `lockfast`.
//!
//! Python code of the package (`python/lockfast`) has what Rust need not do: decorators, the glue to
//! asyncio, the exceptions, and what `lockfast.fasteners` looks like. What waits is here.

mod choices;
mod errors;
mod held;
mod lock;
mod patience;
mod pending;
mod permits;
mod process_lock;
mod reentrant;
mod rwlock;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _lockfast {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::lock::{Lock, LockGuard};
    #[pymodule_export]
    use super::pending::Pending;
    #[pymodule_export]
    use super::permits::{Semaphore, SemaphorePermit};
    #[pymodule_export]
    use super::process_lock::{Hold, Opener};
    #[pymodule_export]
    use super::reentrant::{ReentrantLock, ReentrantLockGuard};
    #[pymodule_export]
    use super::rwlock::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
