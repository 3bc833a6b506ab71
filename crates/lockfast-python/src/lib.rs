//! The extension module of the Python package `lockfast`.
//!
//! The Python code of the package (`python/lockfast`) does what Rust need not do: decorators, the glue to
//! asyncio, the exceptions, and the interface of `lockfast.fasteners`. All waits are here.
//!
//! | file | is |
//! |---|---|
//! | `lock`, `rwlock`, `reentrant`, `semaphore`, `group` | the classes and functions of the package |
//! | `handle`, `handle_class`, `primitive` | what the handles share: the object's content, the methods, how the library's lock is opened and taken |
//! | `guard`, `guard_class`, `library_guard`, `held`, `conversion` | the same of the guards |
//! | `holding`, `any_guard`, `caller`, `deadlock` | the guards that a handle keeps, which thread or task took them, and whether it would wait for itself |
//! | `space`, `space_view` | spaces of names, and their holders |
//! | `acquire`, `server`, `sleep`, `interrupt`, `pending`, `wake`, `hooks`, `limit`, `cancel` | waits of threads and tasks, what ends them, and who is notified |
//! | `lost` | learning that a lock is lost |
//! | `fence`, `server_data` | what refuses a writer that has lost its lock: a file, or data in the server |
//! | `process_lock`, `file_lock`, `open_file_cache` | the files of `lockfast.fasteners` |

mod acquire;
mod any_guard;
mod caller;
mod cancel;
#[allow(
    clippy::result_large_err,
    reason = "a failed conversion gives the guard back"
)]
mod conversion;
mod deadlock;
mod errors;
mod fence;
mod file_lock;
mod group;
mod guard;
mod guard_class;
mod handle;
mod handle_class;
mod held;
mod holding;
mod hooks;
mod inspect;
mod interrupt;
mod library_guard;
mod limit;
mod lock;
mod lost;
mod open_file_cache;
mod options;
mod pending;
mod primitive;
mod process_lock;
mod reentrant;
mod rwlock;
mod semaphore;
mod server;
mod server_data;
mod sleep;
mod space;
mod space_view;
mod wake;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _lockfast {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::cancel::CancelToken;
    #[pymodule_export]
    use super::fence::{fence_begin_epoch, fence_greatest, fence_pass, fence_token};
    #[pymodule_export]
    use super::file_lock::Mode;
    #[pymodule_export]
    use super::group::{take_all, take_all_async};
    #[pymodule_export]
    use super::inspect::inspect;
    #[pymodule_export]
    use super::lock::{Lock, LockGuard};
    #[pymodule_export]
    use super::lost::LostCallback;
    #[pymodule_export]
    use super::pending::Pending;
    #[pymodule_export]
    use super::process_lock::{Hold, Opener, generation};
    #[pymodule_export]
    use super::reentrant::{ReentrantLock, ReentrantLockGuard};
    #[pymodule_export]
    use super::rwlock::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
    #[pymodule_export]
    use super::semaphore::{Semaphore, SemaphorePermit};
    #[pymodule_export]
    use super::server_data::{LockKey, LockRow};
    #[pymodule_export]
    use super::space::Space;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::errors::prepare(module.py())?;
        lockfast::binding_support::speak(lockfast::binding_support::Words::Python);
        let ending = pyo3::wrap_pyfunction!(crate::guard::ending, module)?;
        module
            .py()
            .import("atexit")?
            .call_method1("register", (ending,))?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
