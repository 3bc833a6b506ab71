//! Directories of named locks: where they are, whose they are, and what others may do there.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::{env, io};

use super::file;
use crate::sys::{Home, Others, Ownership, Places};

/// What is wrong with a directory, and what to do about it.
pub(crate) mod fault {
    pub(crate) const OF_ANOTHER_USER: &str =
        "it belongs to another user: have it removed, or set XDG_RUNTIME_DIR";
    pub(crate) const OTHERS_ENTER: &str = "others can enter it: make its mode 0700";
    pub(crate) const PARENT_OF_ANOTHER_USER: &str =
        "it belongs to another user: set TMPDIR or XDG_RUNTIME_DIR to one of your own";
    pub(crate) const OTHERS_REMOVE: &str =
        "others can move away what is in it, as it has no sticky bit: set XDG_RUNTIME_DIR";
    pub(crate) const NOT_OF_THE_SYSTEM: &str =
        "it does not belong to root, and its owner could replace the locks of all";
}

/// Where a session has its runtime directory, and what is everybody's.
#[allow(clippy::unnecessary_wraps, reason = "other systems may not tell")]
pub(crate) fn of_user() -> io::Result<Home> {
    let user = user();
    let session = PathBuf::from(format!("/run/user/{user}"));
    let given = runtime_dir(env::var_os("XDG_RUNTIME_DIR"));
    Ok(Home::Possible(Places {
        runtime: given.into_iter().chain([session]).collect(),
        shared: MACHINE[0].into(),
        temporary: env::temp_dir(),
        own: format!("lockfast-{user}"),
    }))
}

/// Where Linux has the locks of the whole machine.
#[allow(clippy::unnecessary_wraps, reason = "other systems may not tell")]
pub(crate) fn of_machine() -> io::Result<Vec<PathBuf>> {
    Ok(MACHINE.map(PathBuf::from).to_vec())
}

/// Whose that is which stands at the path; no link is followed.
pub(crate) fn ownership_at(path: &Path) -> io::Result<Ownership> {
    let metadata = fs::symlink_metadata(path)?;
    Ok(Ownership {
        is_systems: metadata.uid() == ROOT,
        is_users: metadata.uid() == user(),
        others: others(metadata.mode()),
        sort: file::status_at(path, false)?.sort,
    })
}

/// Creates a directory that nobody but the user can enter. What stands there already, be it a link,
/// is an error.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Any name without a slash is one of a file.
pub(crate) fn file_name(name: &str) -> String {
    name.to_owned()
}

const MACHINE: [&str; 2] = ["/run/lock", "/var/lock"];

const ROOT: u32 = 0;
const STICKY: u32 = 0o1000;

/// The user whose files this process creates.
fn user() -> u32 {
    // SAFETY: takes nothing and can't fail.
    unsafe { libc::geteuid() }
}

/// A relative path means nothing there, by the specification.
fn runtime_dir(variable: Option<OsString>) -> Option<PathBuf> {
    variable
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

fn others(mode: u32) -> Others {
    Others {
        enter: mode & 0o077 != 0,
        create: mode & 0o002 != 0,
        remove: mode & 0o022 != 0 && mode & STICKY == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_runtime_directory_means_nothing() {
        assert_eq!(runtime_dir(Some("run".into())), None);
        assert_eq!(runtime_dir(None), None);
        assert_eq!(runtime_dir(Some("/run".into())), Some("/run".into()));
    }

    #[test]
    fn a_sticky_bit_keeps_others_from_what_is_not_theirs() {
        let may = |mode| {
            let Others {
                enter,
                create,
                remove,
            } = others(mode);
            (enter, create, remove)
        };
        assert_eq!(may(0o700), (false, false, false));
        assert_eq!(may(0o1777), (true, true, false));
        assert_eq!(may(0o777), (true, true, true));
        assert_eq!(may(0o775), (true, false, true));
        assert_eq!(may(0o755), (true, false, false));
    }
}
