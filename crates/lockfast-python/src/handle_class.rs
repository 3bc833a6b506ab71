//! The methods of the classes of handles.

/// Implements a class that has a `handle`: what all have, what the list names, and more.
///
/// - `from_file`: by a file of the program
/// - `block(guard)`: `with`, by the class's own `take`
/// - `task_block(way => guard)`: `async with`
/// - `take(way => guard) { names }`: by a thread, by one attempt, and by a task
/// - `open(signature)`, the last one: by a path and by a name, maybe with a number of permits
macro_rules! handle_methods {
    ($class:ident, [from_file, $($rest:tt)*], { $($more:tt)* }) => {
        $crate::handle_class::handle_methods!($class, [$($rest)*], {
            /// Opens a lock on a file that the program has opened. The program may close the file.
            ///
            /// The file must be open for writing; to take a lock to read, open for reading is enough.
            #[classmethod]
            #[pyo3(signature = (file, **options))]
            fn from_file<'py>(
                class: &Bound<'py, pyo3::types::PyType>,
                file: &Bound<'py, PyAny>,
                options: Option<Bound<'py, pyo3::types::PyDict>>,
            ) -> PyResult<Bound<'py, Self>> {
                let object = $crate::handle::new_object::<Self>(class)?;
                let file = $crate::options::file(file)?;
                let handle = &object.get().handle;
                handle.open_file(class.py(), options, |options| {
                    options.apply(lockfast::$class::options()).from_file(file)
                })?;
                Ok(object)
            }

            /// The features that this lock has of those that not every engine has.
            #[getter]
            fn capabilities<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                let capabilities = self.handle.get()?.lock.capabilities();
                $crate::space_view::Classes::new(py)?.capabilities(capabilities)
            }

            $($more)*
        });
    };
    ($class:ident, [block($guard:ident), $($rest:tt)*], { $($more:tt)* }) => {
        $crate::handle_class::handle_methods!($class, [$($rest)*], {
            fn __enter__(&self, py: Python<'_>) -> PyResult<Py<$guard>> {
                self.take(py, $crate::limit::WaitLimit::forever(), $crate::any_guard::KeptFor::Block)
            }

            #[pyo3(signature = (*_exception))]
            fn __exit__(
                &self,
                py: Python<'_>,
                _exception: &Bound<'_, pyo3::types::PyTuple>,
            ) -> PyResult<()> {
                self.handle.leave_block(py, $crate::caller::CallerId::this_thread())
            }

            $($more)*
        });
    };
    ($class:ident, [task_block($way:expr => $guard:ident), $($rest:tt)*], { $($more:tt)* }) => {
        $crate::handle_class::handle_methods!($class, [$($rest)*], {
            fn __aenter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                let timeout = $crate::limit::Timeout(None);
                self.handle.pending::<_, $guard>(py, $way, timeout)?.enter(py)
            }

            #[pyo3(signature = (*exception))]
            fn __aexit__<'py>(
                slf: &Bound<'py, Self>,
                exception: &Bound<'py, pyo3::types::PyTuple>,
            ) -> PyResult<Bound<'py, PyAny>> {
                $crate::pending::leave(slf.as_any(), exception)
            }

            fn _leave_block(&self, task: &Bound<'_, PyAny>) -> PyResult<()> {
                self.handle.leave_block(task.py(), $crate::caller::CallerId::task(task))
            }

            $($more)*
        });
    };
    (
        $class:ident,
        [
            take($way:expr => $guard:ident) {
                $(#[$docs:meta])*
                $take:ident,
                $(#[$attempt_docs:meta])*
                $attempt:ident,
                $(#[$task_docs:meta])*
                $as_task:ident,
            },
            $($rest:tt)*
        ],
        { $($more:tt)* }
    ) => {
        $crate::handle_class::handle_methods!($class, [$($rest)*], {
            $(#[$docs])*
            #[pyo3(
                signature = (*, blocking = true, timeout = $crate::limit::Timeout(None), cancel = None),
                text_signature = "($self, *, blocking=True, timeout=None, cancel=None)"
            )]
            fn $take(
                &self,
                py: Python<'_>,
                blocking: bool,
                timeout: $crate::limit::Timeout,
                cancel: Option<Bound<'_, $crate::cancel::CancelToken>>,
            ) -> PyResult<Py<$guard>> {
                let limit = $crate::limit::WaitLimit::new(blocking, timeout, cancel)?;
                self.handle.take(py, $way, limit, $crate::any_guard::KeptFor::Release)
            }

            $(#[$attempt_docs])*
            fn $attempt(&self, py: Python<'_>) -> PyResult<Py<$guard>> {
                let limit = $crate::limit::WaitLimit::none();
                self.handle.take(py, $way, limit, $crate::any_guard::KeptFor::Release)
            }

            $(#[$task_docs])*
            #[pyo3(
                signature = (*, timeout = $crate::limit::Timeout(None)),
                text_signature = "($self, *, timeout=None)"
            )]
            fn $as_task<'py>(
                &self,
                py: Python<'py>,
                timeout: $crate::limit::Timeout,
            ) -> PyResult<Bound<'py, PyAny>> {
                let name = concat!(stringify!($class), ".", stringify!($as_task));
                let pending = self.handle.pending::<_, $guard>(py, $way, timeout)?;
                pending.awaitable(py, name)
            }

            $($more)*
        });
    };
    ($class:ident, [open($signature:literal $(, $permits:ident)?)], { $($more:tt)* }) => {
        #[pyo3::pymethods]
        impl $class {
            #[new]
            #[pyo3(signature = (*_arguments, **_options), text_signature = $signature)]
            fn new(
                _arguments: &Bound<'_, pyo3::types::PyTuple>,
                _options: Option<Bound<'_, pyo3::types::PyDict>>,
            ) -> Self {
                Self::default()
            }

            #[pyo3(signature = (path, $($permits,)? **options))]
            fn __init__(
                &self,
                path: &Bound<'_, PyAny>,
                $(#[pyo3(from_py_with = $crate::options::number)] $permits: u32,)?
                options: Option<Bound<'_, pyo3::types::PyDict>>,
            ) -> PyResult<()> {
                let permits = None$(.or(Some($permits)))?;
                self.handle.open_path(path, permits, options)
            }

            /// Opens by a name instead of a path. The scope is "user" to share the name among the processes of
            /// this user, or "machine" to share it among those of all users.
            #[classmethod]
            #[pyo3(signature = (name, $($permits,)? *, scope = "user", **options))]
            fn named<'py>(
                class: &Bound<'py, pyo3::types::PyType>,
                name: &str,
                $(#[pyo3(from_py_with = $crate::options::number)] $permits: u32,)?
                scope: &str,
                options: Option<Bound<'py, pyo3::types::PyDict>>,
            ) -> PyResult<Bound<'py, Self>> {
                let object = $crate::handle::new_object::<Self>(class)?;
                let handle = &object.get().handle;
                let permits = None$(.or(Some($permits)))?;
                handle.open_name(class.py(), (name, scope), permits, options)?;
                Ok(object)
            }

            /// The absolute path of the lock file, or the name of a lock on a server.
            #[getter]
            fn path(&self) -> PyResult<&std::ffi::OsStr> {
                self.handle.path()
            }

            /// The name of a lock that was opened by a name; None if it was opened by a path.
            #[getter]
            fn name(&self) -> PyResult<Option<&str>> {
                self.handle.name()
            }

            #[getter]
            fn _is_on_server(&self) -> PyResult<bool> {
                Ok(self.handle.get()?.holding.is_on_server())
            }

            fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
                let base = slf.py().get_type::<Self>();
                slf.get().handle.reduced(slf.as_any(), &base)
            }

            fn __repr__(slf: &Bound<'_, Self>) -> String {
                slf.get().handle.shown(slf.as_any())
            }

            $($more)*
        }
    };
}
pub(crate) use handle_methods;
