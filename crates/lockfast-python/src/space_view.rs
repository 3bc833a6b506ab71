//! Holders and waiters of a space, as the objects of `lockfast._space`.

use lockfast::engine::{Capabilities, Mode};
use lockfast_space::{Check, Entry, Kind, Party, Verdict};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::errors::seconds;

/// The module of the classes.
pub(crate) struct Classes<'py>(Bound<'py, PyModule>);

impl<'py> Classes<'py> {
    pub(crate) fn new(py: Python<'py>) -> PyResult<Self> {
        Ok(Self(py.import("lockfast._space")?))
    }

    pub(crate) fn capabilities(&self, has: Capabilities) -> PyResult<Bound<'py, PyAny>> {
        let parts = (has.shared, has.conversions, has.fifo, has.token, has.lease);
        self.make("Capabilities", parts)
    }

    pub(crate) fn entries(&self, entries: &[Entry]) -> PyResult<Bound<'py, PyAny>> {
        self.all(entries, |entry| self.entry(entry))
    }

    pub(crate) fn entry(&self, entry: &Entry) -> PyResult<Bound<'py, PyAny>> {
        let permits = match entry.kind {
            Kind::Semaphore(permits) => Some(permits),
            _ => None,
        };
        let holders = self.all(&entry.holders, |party| self.party(party))?;
        let waiters = self.all(&entry.waiters, |party| self.party(party))?;
        self.make("Entry", (&entry.name, permits, holders, waiters))
    }

    pub(crate) fn checks(&self, checks: &[Check]) -> PyResult<Bound<'py, PyAny>> {
        self.all(checks, |check| {
            let verdict = match check.verdict {
                Verdict::Ok => "ok",
                Verdict::Warn => "warn",
                Verdict::Fail => "fail",
            };
            self.make("Check", (check.name, verdict, &check.text))
        })
    }

    fn party(&self, party: &Party) -> PyResult<Bound<'py, PyAny>> {
        let fields = (
            party.mode.map(word),
            party.permits,
            party.place,
            party.token,
            party.epoch,
            party.since.map(seconds),
            party.host.as_ref(),
            party.pid,
            party.user.as_ref(),
            party.command.as_ref(),
            party.label.as_ref(),
        );
        self.make("Party", fields)
    }

    fn all<T>(
        &self,
        things: &[T],
        make: impl Fn(&T) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let all = PyList::empty(self.0.py());
        for thing in things {
            all.append(make(thing)?)?;
        }
        Ok(all.into_any())
    }

    fn make(
        &self,
        class: &str,
        parts: impl pyo3::call::PyCallArgs<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.0.getattr(class)?.call1(parts)
    }
}

fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Exclusive => "exclusive",
        Mode::Read => "read",
        Mode::Upgradable => "upgradable",
        Mode::Write => "write",
    }
}
