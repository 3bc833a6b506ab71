//! What can be chosen about a lock, as keyword arguments.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use lockfast::binding_support::AnyOptions;
use lockfast::{Fairness, Options, Protocol, Scope, Verify};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors;
use crate::hooks::Hooks;
use crate::patience::{Timeout, on_interrupt};

/// The keyword arguments of all constructors.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct Choices {
    pub(crate) mode: Option<u32>,
    pub(crate) create_dirs: bool,
    pub(crate) follow_symlinks: bool,
    pub(crate) any_owner: bool,
    pub(crate) protocol: Protocol,
    pub(crate) verify: Verify,
    pub(crate) fairness: Fairness,
    pub(crate) linger: Option<Duration>,
    pub(crate) remove_on_release: bool,
    pub(crate) owner_record: bool,
    pub(crate) label: Option<String>,
    pub(crate) hooks: Hooks,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            mode: None,
            create_dirs: true,
            follow_symlinks: false,
            any_owner: false,
            protocol: Protocol::default(),
            verify: Verify::default(),
            fairness: Fairness::default(),
            linger: None,
            remove_on_release: false,
            owner_record: false,
            label: None,
            hooks: Hooks::default(),
        }
    }
}

impl Choices {
    pub(crate) fn parse(keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut choices = Self::default();
        let Some(keywords) = keywords else {
            return Ok(choices);
        };
        for (key, value) in keywords {
            let key: String = key.extract()?;
            match &*key {
                "mode" if value.is_none() => choices.mode = None,
                "mode" => choices.mode = Some(number(&value)?),
                "create_dirs" => choices.create_dirs = value.extract()?,
                "follow_symlinks" => choices.follow_symlinks = value.extract()?,
                "any_owner" => choices.any_owner = value.extract()?,
                "protocol" => choices.protocol = protocol(&value.extract::<String>()?)?,
                "verify" => choices.verify = verify(&value.extract::<String>()?)?,
                "fairness" => choices.fairness = fairness(&value.extract::<String>()?)?,
                "linger" => choices.linger = value.extract::<Timeout>()?.0,
                "remove_on_release" => choices.remove_on_release = value.extract()?,
                "owner_record" => choices.owner_record = value.extract()?,
                "label" => choices.label = value.extract()?,
                "on_wait" if value.is_none() => choices.hooks.on_wait = None,
                "on_wait" => choices.hooks.on_wait = Some(callable(value)?),
                "wait_interval" => choices.hooks.wait_interval = interval(&value)?,
                _ => {
                    return Err(PyTypeError::new_err(format!(
                        "unexpected keyword argument '{key}'"
                    )));
                }
            }
        }
        Ok(choices)
    }

    pub(crate) fn options<L>(&self, options: Options<L>) -> Options<L> {
        let mut options = options
            .create_dirs(self.create_dirs)
            .follow_symlinks(self.follow_symlinks)
            .any_owner(self.any_owner)
            .set_protocol(self.protocol)
            .verify(self.verify)
            .fairness(self.fairness)
            .set_remove_on_release(self.remove_on_release)
            .set_owner_record(self.owner_record)
            .on_interrupt(on_interrupt);
        if let Some(mode) = self.mode {
            options = options.mode(mode);
        }
        if let Some(label) = &self.label {
            options = options.set_label(label);
        }
        if let Some(time) = self.linger {
            options = options.set_linger(time);
        }
        options
    }
}

/// A path as `os.fspath` knows it, without NUL.
pub(crate) fn path(value: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    let value = errors::known(value.py(), "fspath")?.call1((value,))?;
    let path: OsString = match value.cast::<PyBytes>() {
        Ok(bytes) => OsString::from_vec(bytes.as_bytes().to_vec()),
        Err(_) => value.extract()?,
    };
    if path.as_encoded_bytes().contains(&0) {
        return Err(PyValueError::new_err("embedded null byte"));
    }
    Ok(path.into())
}

fn callable(value: Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if value.is_callable() {
        return Ok(value.unbind());
    }
    Err(PyTypeError::new_err("on_wait is a function, or None"))
}

fn interval(value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    let interval = value.extract::<Timeout>()?.0;
    if interval.is_some_and(|interval| interval.is_zero()) {
        return Err(PyValueError::new_err(
            "wait_interval is more than 0 seconds",
        ));
    }
    Ok(interval)
}

/// A number that is not negative; which are too large the library knows better.
pub(crate) fn number(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    value.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            PyValueError::new_err(format!(
                "a number from 0 to {} is needed, not {value}",
                u32::MAX
            ))
        } else {
            error
        }
    })
}

pub(crate) fn scope(word: &str) -> PyResult<Scope> {
    match word {
        "user" => Ok(Scope::User),
        "machine" => Ok(Scope::Machine),
        _ => Err(unknown("scope", word, "'user' or 'machine'")),
    }
}

fn protocol(word: &str) -> PyResult<Protocol> {
    match word {
        "fcntl" => Ok(Protocol::Fcntl),
        "flock" => Ok(Protocol::Flock),
        "both" => Ok(Protocol::Both),
        _ => Err(unknown("protocol", word, "'fcntl', 'flock' or 'both'")),
    }
}

fn verify(word: &str) -> PyResult<Verify> {
    match word {
        "links" => Ok(Verify::Links),
        "path" => Ok(Verify::Path),
        "off" => Ok(Verify::Off),
        _ => Err(unknown("verify", word, "'links', 'path' or 'off'")),
    }
}

fn fairness(word: &str) -> PyResult<Fairness> {
    match word {
        "barging" => Ok(Fairness::Barging),
        "fifo" => Ok(Fairness::Fifo),
        _ => Err(unknown("fairness", word, "'barging' or 'fifo'")),
    }
}

fn unknown(what: &str, word: &str, known: &str) -> PyErr {
    PyValueError::new_err(format!("{what} is {known}, not {word:?}"))
}
