//! Reports of waits to the program's `on_wait` and to the logger `lockfast`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::errors;

/// The reports that the program wants of the waits for a handle.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    pub(crate) on_wait: Option<Py<PyAny>>,
    pub(crate) wait_interval: Option<Duration>,
}

/// A wait that may be reported.
#[derive(Debug)]
pub(crate) struct Report {
    path: PathBuf,
    pub(crate) begun: Instant,
    on_wait: Option<Py<PyAny>>,
    wait_interval: Option<Duration>,
    /// The logger, if its level is low enough.
    logger: Option<Py<PyAny>>,
}

impl Hooks {
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            on_wait: self.on_wait.as_ref().map(|hook| hook.clone_ref(py)),
            wait_interval: self.wait_interval,
        }
    }
}

impl Report {
    /// Reports that the wait begins. An exception of the hook ends it.
    pub(crate) fn begin(py: Python<'_>, hooks: &Hooks, error: &lockfast::Error) -> PyResult<Self> {
        let hooks = hooks.clone_ref(py);
        let report = Self {
            path: error.path().to_path_buf(),
            begun: Instant::now(),
            on_wait: hooks.on_wait,
            wait_interval: hooks.wait_interval,
            // There is none while the interpreter ends.
            logger: logger(py).unwrap_or(None),
        };
        let holder = match error.holder() {
            Some(holder) if report.on_wait.is_some() || report.logger.is_some() => {
                Some(errors::holder(py, holder)?)
            }
            _ => None,
        };
        if let Some(logger) = &report.logger {
            let waits = py.import("lockfast._waits")?;
            let holder = holder.as_ref().map(|holder| holder.clone_ref(py));
            waits.call_method1("begins", (logger, report.path.as_os_str(), holder))?;
        }
        report.notify(py, Duration::ZERO, holder)?;
        Ok(report)
    }

    /// Calls the hook, if there is one.
    fn notify(&self, py: Python<'_>, waited: Duration, holder: Option<Py<PyAny>>) -> PyResult<()> {
        let Some(hook) = &self.on_wait else {
            return Ok(());
        };
        let class = py.import("lockfast._waits")?.getattr("Waiting")?;
        let waiting = class.call1((self.path.as_os_str(), waited.as_secs_f64(), holder))?;
        hook.call1(py, (waiting,)).map(drop)
    }

    /// Calls the hook again, in a thread without the interpreter's lock.
    pub(crate) fn notify_again(&self) -> PyResult<()> {
        let notified = Python::try_attach(|py| self.notify(py, self.begun.elapsed(), None));
        notified.unwrap_or(Ok(()))
    }

    /// The time between two calls of the hook.
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.on_wait.as_ref()?;
        self.wait_interval
    }

    pub(crate) fn is_hooked(&self) -> bool {
        self.on_wait.is_some()
    }

    /// Reports how the wait ended.
    pub(crate) fn end(&self, py: Python<'_>, failed: Option<&PyErr>) {
        let Some(logger) = &self.logger else {
            return;
        };
        let waited = self.begun.elapsed().as_secs_f64();
        let why = failed.map(|error| error.value(py).clone());
        let reported = py.import("lockfast._waits").and_then(|waits| {
            waits.call_method1("ended", (logger, self.path.as_os_str(), waited, why))
        });
        if let Err(error) = reported {
            error.write_unraisable(py, None);
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether no hook is called when a wait begins.
pub(crate) fn is_quiet(py: Python<'_>, hooks: &Hooks) -> bool {
    hooks.on_wait.is_none() && logger(py).is_ok_and(|logger| logger.is_none())
}

/// Returns the logger, if its level is low enough. A program that never imported `logging` has none.
fn logger(py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
    let modules = py.import("sys")?.getattr("modules")?;
    if !modules.contains("logging")? {
        return Ok(None);
    }
    let logger = py.import("lockfast._waits")?.call_method0("logger")?;
    Ok((!logger.is_none()).then(|| logger.unbind()))
}
