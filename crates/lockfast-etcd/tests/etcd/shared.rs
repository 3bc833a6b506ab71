//! Servers that the tests of this program share.

use std::process::Command;
use std::sync::{LazyLock, Mutex};

use lockfast_servers::etcd::{Options, Release, Server};

use crate::prefix::Prefix;

/// Servers that run until the program ends, when the kernel stops them.
static DEBIAN: LazyLock<Mutex<Option<Server>>> = LazyLock::new(|| start(Release::Debian));
static PYTHON: LazyLock<Mutex<Option<Server>>> = LazyLock::new(|| start(Release::Python));

fn start(release: Release) -> Mutex<Option<Server>> {
    let server = Options::default().release(release);
    Mutex::new(release.find().is_ok().then(|| server.start()))
}

/// The address of the shared server of a release, or the reason why there is none.
pub(crate) fn endpoint(release: Release) -> Result<String, String> {
    asked(release, Server::endpoint)
}

/// Returns a command that runs `etcdctl` on the shared server of a release, or the reason why there is none.
pub(crate) fn etcdctl(release: Release) -> Result<Command, String> {
    asked(release, Server::client)
}

fn asked<R>(release: Release, ask: impl FnOnce(&Server) -> R) -> Result<R, String> {
    release.find()?;
    let server = match release {
        Release::Debian => &DEBIAN,
        Release::Python => &PYTHON,
    };
    let server = server.lock().expect("no panic");
    Ok(ask(server.as_ref().expect("it is installed")))
}

/// Returns a place of its own on the shared server of a release, or the reason why there is none.
pub(crate) fn place(release: Release) -> Result<Prefix, String> {
    Ok(Prefix::at(&endpoint(release)?, ""))
}
