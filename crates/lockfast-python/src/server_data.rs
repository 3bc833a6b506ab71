//! The key or the row of a lock on a server, for the data of the program there.

use pyo3::prelude::*;

/// The key of a held lock on etcd, with the revision that created it.
///
/// etcd deletes the key when the lock is lost, and each hold has a new one. So a transaction that compares the
/// `create_revision` of the key writes only while the lock is held.
#[pyclass(frozen, eq, hash, module = "lockfast")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LockKey {
    pub(crate) key: Vec<u8>,
    pub(crate) create_revision: i64,
    pub(crate) comparison: String,
}

#[pymethods]
impl LockKey {
    /// The key, with the prefix of the URL.
    #[getter]
    fn key(&self) -> &[u8] {
        &self.key
    }

    /// The revision that created it, which is the fencing token.
    #[getter]
    fn create_revision(&self) -> i64 {
        self.create_revision
    }

    /// The comparison in the words of `etcdctl txn`.
    #[getter]
    fn comparison(&self) -> &str {
        &self.comparison
    }

    fn __repr__(&self) -> String {
        format!("<lockfast.LockKey {}>", self.comparison)
    }
}

/// The row of a held lock in the table `lockfast.names` of PostgreSQL.
///
/// Each exclusive hold writes a greater number into `fence`. So a statement that compares it writes only until the
/// next holder comes.
#[pyclass(frozen, eq, hash, module = "lockfast")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LockRow {
    pub(crate) key: i64,
    pub(crate) fence: i64,
}

#[pymethods]
impl LockRow {
    /// The primary key of the row.
    #[getter]
    fn key(&self) -> i64 {
        self.key
    }

    /// The number in the column `fence`, which is the fencing token.
    #[getter]
    fn fence(&self) -> i64 {
        self.fence
    }

    fn __repr__(&self) -> String {
        format!("<lockfast.LockRow key={} fence={}>", self.key, self.fence)
    }
}
