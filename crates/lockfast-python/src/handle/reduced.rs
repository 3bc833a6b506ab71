//! Handles in other processes, as `pickle` takes them there.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::Handle;
use crate::errors;
use crate::primitive::{Origin, Primitive};

impl<L: Primitive> Handle<L> {
    /// Returns what `pickle` needs to make the object again, in another process.
    pub(crate) fn reduced<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        base: &Bound<'py, PyType>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = object.py();
        let opened = self.get()?;
        let origin = match &opened.origin {
            Origin::Path(_) => opened
                .holding
                .path()
                .as_os_str()
                .into_pyobject(py)?
                .into_any(),
            Origin::Name { name, scope } => (name, scope).into_pyobject(py)?.into_any(),
            Origin::File => {
                return Err(PyTypeError::new_err(format!(
                    "cannot copy the lock into another process, as the program opened its file: {}",
                    opened.holding.path().display()
                )));
            }
            Origin::Space { url, name } => {
                let rebuild = py.import("lockfast._space")?.getattr("rebuild")?;
                let class = errors::class_name(object);
                let keywords = opened.keywords.as_ref().map(|keywords| keywords.bind(py));
                let arguments = (&**url, class, name, opened.permits, keywords);
                return Ok((rebuild, arguments).into_pyobject(py)?.into_any());
            }
        };
        let keywords = opened.keywords.as_ref().map(|keywords| keywords.bind(py));
        let state = object.getattr_opt("__dict__")?;
        let rebuild = errors::known(py, "rebuild")?;
        let arguments = (object.get_type(), base, origin, opened.permits, keywords);
        Ok((rebuild, arguments, state).into_pyobject(py)?.into_any())
    }
}
