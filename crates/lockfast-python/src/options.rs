//! The options of a lock, as keyword arguments.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::BorrowedFd;
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
use crate::interrupt::on_interrupt;
use crate::limit::Timeout;

/// The keyword arguments of all constructors.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct OptionKwargs {
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

impl Default for OptionKwargs {
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

impl OptionKwargs {
    pub(crate) fn parse(keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut options = Self::default();
        let Some(keywords) = keywords else {
            return Ok(options);
        };
        for (key, value) in keywords {
            let key: String = key.extract()?;
            match &*key {
                "mode" if value.is_none() => options.mode = None,
                "mode" => options.mode = Some(number(&value)?),
                "create_dirs" => options.create_dirs = value.extract()?,
                "follow_symlinks" => options.follow_symlinks = value.extract()?,
                "any_owner" => options.any_owner = value.extract()?,
                "protocol" => options.protocol = protocol(&value.extract::<String>()?)?,
                "verify" => options.verify = verify(&value.extract::<String>()?)?,
                "fairness" => options.fairness = fairness(&value.extract::<String>()?)?,
                "linger" => options.linger = value.extract::<Timeout>()?.0,
                "remove_on_release" => options.remove_on_release = value.extract()?,
                "owner_record" => options.owner_record = value.extract()?,
                "label" => options.label = value.extract()?,
                "on_wait" if value.is_none() => options.hooks.on_wait = None,
                "on_wait" => options.hooks.on_wait = Some(callable(value)?),
                "wait_interval" => options.hooks.wait_interval = interval(&value)?,
                _ => {
                    return Err(PyTypeError::new_err(format!(
                        "unexpected keyword argument '{key}'"
                    )));
                }
            }
        }
        Ok(options)
    }

    /// Parses those of the locks of a space, which are those of waits.
    pub(crate) fn parse_of_space(keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let options = Self::parse(keywords)?;
        for key in keywords.into_iter().flatten().map(|(key, _)| key) {
            let key: String = key.extract()?;
            if !matches!(&*key, "on_wait" | "wait_interval") {
                return Err(PyTypeError::new_err(format!(
                    "'{key}' is an option of locks at a path: those of a space have the options on_wait and \
                     wait_interval, and the URL has others"
                )));
            }
        }
        Ok(options)
    }

    /// Applies them to the options of a primitive.
    pub(crate) fn apply<L>(&self, options: Options<L>) -> Options<L> {
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

/// Extracts a path, as `os.fspath` knows it, without NUL.
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

/// Copies the descriptor of a file of the program, so that either may be closed.
pub(crate) fn file(file: &Bound<'_, PyAny>) -> PyResult<File> {
    let number: i32 = match file.extract() {
        Ok(number) => number,
        Err(_) => file.call_method0("fileno")?.extract()?,
    };
    if number < 0 {
        return Err(std::io::Error::from_raw_os_error(libc::EBADF).into());
    }
    // SAFETY: it is borrowed for one call, which fails if it is no open descriptor.
    #[allow(unsafe_code, reason = "a number is all that Python has of a file")]
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(File::from(borrowed.try_clone_to_owned()?))
}

fn callable(value: Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if value.is_callable() {
        return Ok(value.unbind());
    }
    Err(PyTypeError::new_err("on_wait must be a function or None"))
}

fn interval(value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    let interval = value.extract::<Timeout>()?.0;
    if interval.is_some_and(|interval| interval.is_zero()) {
        return Err(PyValueError::new_err(
            "wait_interval must be more than 0 seconds",
        ));
    }
    Ok(interval)
}

/// Extracts a number that is not negative. The library refuses numbers that are too large for it.
pub(crate) fn number(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    value.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            PyValueError::new_err(format!(
                "the number must be from 0 to {}, not {value}",
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
    PyValueError::new_err(format!("{what} must be {known}, not {word:?}"))
}
