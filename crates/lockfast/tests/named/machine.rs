//! Directories of the test's own in the places of the system's.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Where the system has directories for locks and for temporary files.
pub(crate) const LOCKS: &str = "/run/lock";
pub(crate) const TEMPORARY: &str = "/var/tmp";

/// Whether there can be such directories.
pub(crate) fn can_be_made() -> Result<(), String> {
    let tried = thread::spawn(make).join().expect("no panic");
    tried.map_err(|error| format!("directories of its own can't be mounted: {error}"))
}

/// Runs it where both directories are empty and have these modes. So do the processes that it starts.
pub(crate) fn with(locks: u32, temporary: u32, test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            make().expect("directories");
            set_mode(LOCKS, locks);
            set_mode(TEMPORARY, temporary);
            test();
        });
        if let Err(panic) = running.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

pub(crate) fn set_mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
}

/// Shows one directory in the place of another.
pub(crate) fn bind(from: &Path, to: &str) {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("mounted");
}

/// For this thread, and what it starts from now on.
fn make() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    for path in [LOCKS, TEMPORARY] {
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), none)?;
    }
    Ok(())
}
