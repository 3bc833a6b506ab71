//! Reports of holders and waiters, as the objects of `lockfast._inspect`.

use lockfast::inspect::{Deadlock, Incomplete, LockView, LockedFile, Process, Report};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::errors::{raised, seconds};
use crate::options;

/// Reports the locks of the file at the path, or of the whole machine.
#[pyfunction]
#[pyo3(signature = (path = None))]
pub(crate) fn inspect<'py>(
    py: Python<'py>,
    path: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let path = path.map(options::path).transpose()?;
    // It reads the kernel's tables, which takes some time.
    let report = py.detach(|| match path {
        Some(path) => lockfast::inspect::path(path),
        None => lockfast::inspect::machine(),
    });
    let report = report.map_err(|error| raised(py, error))?;
    Classes(py.import("lockfast._inspect")?).report(&report)
}

/// The module of the classes.
struct Classes<'py>(Bound<'py, PyModule>);

impl<'py> Classes<'py> {
    fn report(&self, report: &Report) -> PyResult<Bound<'py, PyAny>> {
        let locks = self.all(&report.locks, |lock| self.lock(lock))?;
        let deadlocks = self.all(&report.deadlocks, |deadlock| self.deadlock(deadlock))?;
        let incomplete = report.incomplete.as_ref();
        let incomplete = incomplete.map(|why| self.incomplete(why)).transpose()?;
        self.make("Report", (locks, deadlocks, incomplete))
    }

    fn lock(&self, lock: &LockView) -> PyResult<Bound<'py, PyAny>> {
        let processes = self.all(&lock.processes, |process| self.process(process))?;
        let parts = (
            self.file(&lock.file)?,
            lock.kind.as_str(),
            lock.mode.as_str(),
            lock.role.map(lockfast::inspect::Role::as_str),
            lock.state.as_str(),
            lock.permits.map(|permits| (permits.count, permits.of)),
            lock.range,
            processes,
            lock.since.map(seconds),
            lock.label.as_ref(),
            lock.is_record_unread,
        );
        self.make("LockView", parts)
    }

    fn file(&self, file: &LockedFile) -> PyResult<Bound<'py, PyAny>> {
        let path = file.path.as_ref().map(|path| path.as_os_str());
        let parts = (path, file.is_deleted, file.device, file.inode);
        self.make("LockedFile", parts)
    }

    fn process(&self, process: &Process) -> PyResult<Bound<'py, PyAny>> {
        let parts = (
            process.pid,
            process.parent,
            process.user,
            &process.name,
            &process.command,
            process.started.map(seconds),
            process.threads,
            process.is_stopped,
        );
        self.make("Process", parts)
    }

    fn deadlock(&self, deadlock: &Deadlock) -> PyResult<Bound<'py, PyAny>> {
        let steps = self.all(&deadlock.steps, |step| {
            let file = step.file.as_ref();
            let file = file.map(|file| self.file(file)).transpose()?;
            self.make("DeadlockStep", (self.process(&step.process)?, file))
        })?;
        let parts = (steps, deadlock.is_certain, deadlock.to_string());
        self.make("Deadlock", parts)
    }

    fn incomplete(&self, why: &Incomplete) -> PyResult<Bound<'py, PyAny>> {
        let parts = (
            why.unnamed,
            why.unreadable_processes,
            why.hidden_processes,
            why.other_pid_namespaces,
            why.other_machines,
            why.unread_records,
            why.to_string(),
        );
        self.make("Incomplete", parts)
    }

    fn all<T>(
        &self,
        things: &[T],
        make: impl Fn(&T) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let all = PyList::empty(self.0.py());
        for thing in things {
            all.append(make(thing)?)?;
        }
        Ok(all)
    }

    fn make(
        &self,
        class: &str,
        parts: impl pyo3::call::PyCallArgs<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.0.getattr(class)?.call1(parts)
    }
}
