//! Errors of the library, as the exceptions of `lockfast._errors`.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use lockfast::{Error, ErrorKind, Holder};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The objects of Python's part of the package. A `__del__` needs them too when the interpreter ends and
/// nothing can be imported any more.
static KNOWN: PyOnceLock<HashMap<String, Py<PyAny>>> = PyOnceLock::new();

/// Collects these objects when the module is imported.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    let module = py.import("lockfast._errors")?;
    let mut known = HashMap::new();
    for (name, value) in module.dict() {
        known.insert(name.extract()?, value.unbind());
    }
    let fspath = py.import("os")?.getattr("fspath")?;
    known.insert("fspath".to_owned(), fspath.unbind());
    // A second import of the module finds the same.
    let _ = KNOWN.set(py, known);
    Ok(())
}

/// Returns the class or function with that name.
pub(crate) fn known<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let known = KNOWN.get(py).and_then(|known| known.get(name));
    let known = known.ok_or_else(|| PyRuntimeError::new_err(format!("there is no {name}")))?;
    Ok(known.bind(py).clone())
}

/// Makes the exception of an error, with path, `errno` and holder.
#[cold]
pub(crate) fn raised(py: Python<'_>, error: Error) -> PyErr {
    let class = class_of(&error);
    let path = error.path().to_path_buf();
    let holder = error.holder().map(|holder| self::holder(py, holder));
    let text = error.to_string();
    let code = code_of(error);
    build(py, class, code, &text, &path, holder)
}

/// Makes the exception of a wait that would never end, as the caller holds the lock.
#[cold]
pub(crate) fn deadlock(py: Python<'_>, path: &Path, who: &str) -> PyErr {
    let text = format!(
        "cannot take lock {}: this {who} holds it already, and would wait for itself; if it has passed \
         the guard to another one, call the guard's hand_over() first",
        path.display()
    );
    build(py, "Deadlock", libc::EDEADLK, &text, path, None)
}

/// Makes the exception of a use of a lock on a server as if it were a file.
#[cold]
pub(crate) fn no_file(py: Python<'_>, path: &Path) -> PyErr {
    let text = format!("lock {} is no file, but a name on a server", path.display());
    build(py, "Unsupported", libc::ENOTSUP, &text, path, None)
}

/// Makes the exception of a wait that timed out, when no holder is known.
#[cold]
pub(crate) fn timed_out(py: Python<'_>, path: &Path, waited: Duration) -> PyErr {
    let text = format!("gave up on lock {} after {waited:.1?}", path.display());
    build(py, "Timeout", libc::ETIMEDOUT, &text, path, None)
}

/// Makes the exception of a wait that a token ended.
#[cold]
pub(crate) fn cancelled(py: Python<'_>, path: &Path, waited: Duration) -> PyErr {
    let text = format!(
        "wait for lock {} was ended by the program after {waited:.1?}",
        path.display()
    );
    build(py, "Cancelled", libc::ECANCELED, &text, path, None)
}

/// Whether the wait failed because the system has no thread for it.
pub(crate) fn is_without_thread(error: &Error) -> bool {
    is_of_system(error, io::ErrorKind::OutOfMemory)
}

fn is_of_system(error: &Error, kind: io::ErrorKind) -> bool {
    error.io_error().map(io::Error::kind) == Some(kind)
}

/// Whether the exception is that of a wait that timed out.
pub(crate) fn is_timeout(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    let class = known(py, "Timeout")?;
    Ok(error.is_instance(py, &class))
}

/// Makes the exception of a release or a use of what is not held.
#[cold]
pub(crate) fn not_held(py: Python<'_>, path: &Path, why: &str) -> PyErr {
    let text = format!("cannot release lock {}: {why}", path.display());
    let code = libc_code(io::ErrorKind::InvalidInput);
    build(py, "NotHeld", code, &text, path, None)
}

fn build(
    py: Python<'_>,
    class: &str,
    code: i32,
    text: &str,
    path: &Path,
    holder: Option<PyResult<Py<PyAny>>>,
) -> PyErr {
    let build = || -> PyResult<PyErr> {
        let class = known(py, class)?;
        let error = class.call1((code, text, path.as_os_str()))?;
        if let Some(holder) = holder {
            error.setattr("holder", holder?)?;
        }
        Ok(PyErr::from_value(error))
    };
    build().unwrap_or_else(|error| error)
}

/// Makes the object of a holder.
pub(crate) fn holder(py: Python<'_>, holder: &Holder) -> PyResult<Py<PyAny>> {
    let since = holder.since().map(seconds);
    let parts = (holder.pid(), holder.label(), since, holder.host());
    let class = known(py, "Holder")?;
    Ok(class.call1(parts)?.unbind())
}

/// Converts an instant into seconds as `time.time()` counts them.
pub(crate) fn seconds(instant: SystemTime) -> f64 {
    let since = instant.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

fn class_of(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::TimedOut => "Timeout",
        ErrorKind::Contended => "WouldBlock",
        ErrorKind::Cancelled => "Cancelled",
        ErrorKind::Deadlock => "Deadlock",
        ErrorKind::NotHeld => "NotHeld",
        ErrorKind::Unsupported => "Unsupported",
        ErrorKind::PermissionDenied => "PermissionDenied",
        ErrorKind::Unreachable => "Unreachable",
        ErrorKind::InvalidPath => "InvalidPath",
        ErrorKind::InvalidOption | ErrorKind::OtherPermits | ErrorKind::TooManyPermits => {
            "InvalidOption"
        }
        _ if is_of_system(error, io::ErrorKind::NotFound) => "NotFound",
        _ => "LockError",
    }
}

fn code_of(error: Error) -> i32 {
    if error.is_cancelled() {
        return libc::ECANCELED;
    }
    error
        .raw_os_error()
        .unwrap_or_else(|| libc_code(io::Error::from(error).kind()))
}

/// Returns the number that Python's own exceptions of that kind have.
fn libc_code(kind: io::ErrorKind) -> i32 {
    use io::ErrorKind as Kind;
    match kind {
        Kind::WouldBlock => libc::EAGAIN,
        Kind::TimedOut => libc::ETIMEDOUT,
        Kind::Deadlock => libc::EDEADLK,
        Kind::Unsupported => libc::ENOTSUP,
        Kind::PermissionDenied => libc::EACCES,
        Kind::NotFound => libc::ENOENT,
        Kind::OutOfMemory => libc::ENOMEM,
        Kind::NotConnected => libc::ENOTCONN,
        _ => libc::EINVAL,
    }
}

/// Makes the object of an owner record.
pub(crate) fn owner(py: Python<'_>, owner: &lockfast::Owner) -> PyResult<Py<PyAny>> {
    let parts = (
        owner.token(),
        owner.pid(),
        owner.host(),
        owner.label(),
        seconds(owner.since()),
        owner.is_running(),
    );
    let class = known(py, "Owner")?;
    Ok(class.call1(parts)?.unbind())
}

/// Returns the name of the object's class.
pub(crate) fn class_name(object: &Bound<'_, PyAny>) -> String {
    let name = object.get_type().name();
    name.map_or_else(|_| "?".to_owned(), |name| name.to_string())
}

/// Returns the name of the object's class with its module, as `repr()` shows it.
pub(crate) fn qualified_class_name(object: &Bound<'_, PyAny>) -> String {
    let class = object.get_type();
    let name = class.qualname().map(|name| name.to_string());
    let name = name.unwrap_or_else(|_| "?".to_owned());
    match class.module() {
        Ok(module) if module != "builtins" && module != "__main__" => format!("{module}.{name}"),
        _ => name,
    }
}
