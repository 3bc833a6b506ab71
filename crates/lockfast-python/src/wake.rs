//! Waking tasks of Python from threads of the library.
//!
//! Calling a function of Python waits for the interpreter's lock. A helper of the library may do that. The thread
//! of an engine must not: it also confirms leases, and a program may keep the interpreter's lock for long.

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;
use std::thread;

use lockfast::binding_support::generation;
use pyo3::prelude::*;

/// A waker that calls a function of Python.
pub(crate) struct Wakes {
    function: Py<PyAny>,
    /// To the thread that calls it, if the thread that wakes must not.
    caller: Option<Sender<Arc<Self>>>,
}

impl Wakes {
    /// The waker of an engine's thread leaves the call to another thread.
    pub(crate) fn new(function: Py<PyAny>, is_of_engine: bool) -> Self {
        let caller = if is_of_engine { caller() } else { None };
        Self { function, caller }
    }

    fn call(&self) {
        // While the interpreter shuts down there is no task left to wake.
        Python::try_attach(|py| {
            if let Err(error) = self.function.call0(py) {
                error.write_unraisable(py, None);
            }
        });
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        match &self.caller {
            // The thread never ends, so that it gets it.
            Some(caller) => drop(caller.send(Arc::clone(&self))),
            None => self.call(),
        }
    }
}

/// Returns the way to the thread of this process that calls functions of Python; none if the system has no
/// thread for it.
//
// The mutex is locked only by threads that have the interpreter's lock, so that no fork finds it locked.
fn caller() -> Option<Sender<Arc<Wakes>>> {
    static CALLER: Mutex<Option<(u64, Sender<Arc<Wakes>>)>> = Mutex::new(None);
    let mut known = CALLER.lock().unwrap_or_else(PoisonError::into_inner);
    // A forked child has no such thread.
    if let Some((process, sender)) = &*known {
        if *process == generation() {
            return Some(sender.clone());
        }
    }
    let (sender, wakes) = mpsc::channel::<Arc<Wakes>>();
    let thread = thread::Builder::new().name("lockfast-wake".to_owned());
    let started = thread.spawn(move || wakes.into_iter().for_each(|wakes| wakes.call()));
    started.ok()?;
    *known = Some((generation(), sender.clone()));
    Some(sender)
}
