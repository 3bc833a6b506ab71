//! Directories of named locks: their places, their owners, and the rights of other users.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::file;
use crate::sys::{Home, Others, Ownership, Places};

/// Messages about a directory that can't be trusted, with the remedy.
pub(crate) mod fault {
    pub(crate) const OF_ANOTHER_USER: &str = "it belongs to another user, and is meant for this \
        one: have root remove it, or open the lock by a path";
    pub(crate) const OTHERS_ENTER: &str = "others can enter it: make its mode 0700";
    pub(crate) const PARENT_OF_ANOTHER_USER: &str =
        "it does not belong to root: open the lock by a path";
    pub(crate) const OTHERS_REMOVE: &str = "others can move away what is in it, as it has no \
        sticky bit: have root set it (mode 1777), or open the lock by a path";
    pub(crate) const PRIVATE: &str = "this process has a directory of its own there (PrivateTmp= \
        of systemd), in which nobody else would find the lock: open it by a path that all see";
    pub(crate) const NOT_OF_THE_SYSTEM: &str =
        "it does not belong to root, and its owner could replace the locks of all";
}

/// The mode of a file in the user's own directory.
///
/// systemd-tmpfiles removes old files from directories for temporary files, also those that are locked,
/// but none with a sticky bit. Other systems refuse that bit to users.
pub(crate) const OWN_MODE: u32 = if cfg!(any(target_os = "linux", target_os = "android")) {
    0o600 | STICKY
} else {
    0o600
};

/// Returns the user's places. They depend on no session and no variable.
#[allow(clippy::unnecessary_wraps, reason = "the contract of the module")]
pub(crate) fn of_user() -> io::Result<Home> {
    Ok(Home::Possible(Places {
        locks: MACHINE[0].into(),
        temporary: "/var/tmp".into(),
        own: format!("lockfast-{}", user()),
    }))
}

/// Whether this process is known to see another directory at the path than most others of the
/// machine.
pub(crate) fn is_private(path: &Path) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return fs::read_to_string("/proc/self/mountinfo")
        .is_ok_and(|mounts| is_made_by_systemd(&mounts, path));
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = path;
        false
    }
}

/// Whether the last mount at the path is a directory that systemd makes for one service.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_made_by_systemd(mounts: &str, path: &Path) -> bool {
    let root_of = |line: &str| {
        let mut words = line.split(' ').skip(3);
        let (root, place) = (words.next()?, words.next()?);
        (Path::new(place) == path).then(|| root.contains("/systemd-private-"))
    };
    mounts
        .lines()
        .filter_map(root_of)
        .next_back()
        .unwrap_or(false)
}

/// Returns the places for locks of the whole machine.
#[allow(clippy::unnecessary_wraps, reason = "the contract of the module")]
pub(crate) fn of_machine() -> io::Result<Vec<PathBuf>> {
    Ok(MACHINE.map(PathBuf::from).to_vec())
}

/// Returns the owner of the file at the path and the rights of others. No link is followed.
pub(crate) fn ownership_at(path: &Path) -> io::Result<Ownership> {
    let metadata = fs::symlink_metadata(path)?;
    Ok(Ownership {
        is_systems: metadata.uid() == ROOT,
        is_users: metadata.uid() == user(),
        others: others(metadata.mode()),
        sort: file::status_at(path, false)?.sort,
    })
}

/// Whether another user may have put a file of this owner into the directory for the user to find: the
/// directory has a sticky bit, so users who do not trust each other share it, and the file belongs neither
/// to this user nor to the owner of the directory. It is the rule of `fs.protected_regular`.
pub(crate) fn may_be_planted(owner: u32, directory: &Path) -> io::Result<bool> {
    if owner == user() {
        return Ok(false);
    }
    let directory = fs::metadata(directory)?;
    Ok(directory.mode() & STICKY != 0 && owner != directory.uid())
}

/// Creates a directory that nobody but the user can enter. If the path exists already, even as a link, that
/// is an error.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Returns the file name of a lock. Any name without a slash is a file name.
pub(crate) fn file_name(name: &str) -> String {
    name.to_owned()
}

// The first that exists is used: `/var/lock` is for systems without `/run`.
const MACHINE: [&str; 2] = ["/run/lock", "/var/lock"];

const ROOT: u32 = 0;
const STICKY: u32 = 0o1000;

/// Returns the user who owns the files that this process creates.
fn user() -> u32 {
    // SAFETY: takes nothing and can't fail.
    unsafe { libc::geteuid() }
}

fn others(mode: u32) -> Others {
    Others {
        enter: mode & 0o077 != 0,
        create: mode & 0o002 != 0,
        // With the sticky bit, only the owner of a file or of the directory can remove or rename it.
        remove: mode & 0o022 != 0 && mode & STICKY == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn a_directory_that_systemd_mounts_for_one_service_is_private() {
        const PRIVATE: &str = "/var/tmp/systemd-private-0123456789abcdef-cron.service-AbCdEf/tmp";
        let mount =
            |root, place| format!("36 35 8:1 {root} {place} rw,relatime - ext4 /dev/sda1 rw\n");
        let is_private = |mounts: &str| is_made_by_systemd(mounts, Path::new("/var/tmp"));
        assert!(!is_private(&mount("/", "/")));
        assert!(!is_private(&mount("/@var_tmp", "/var/tmp")));
        assert!(!is_private(&mount(PRIVATE, "/tmp")));
        let private = mount("/", "/") + &mount(PRIVATE, "/var/tmp");
        assert!(is_private(&private));
        // A later mount hides the private one.
        assert!(!is_private(&(private + &mount("/", "/var/tmp"))));
    }

    #[test]
    fn a_sticky_bit_keeps_others_from_removing_files() {
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
