//! Directories of named locks: their places, their owners, and the rights of other users.

mod access;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::{Path, PathBuf};

use windows_sys::Win32::Storage::FileSystem::{
    CreateDirectoryW, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_READ_ATTRIBUTES, READ_CONTROL,
};
use windows_sys::Win32::UI::Shell::{GetAllUsersProfileDirectoryW, GetUserProfileDirectoryW};

use super::descriptor::Descriptor;
use super::{check, file, process, wide};
use crate::sys::{Home, Ownership};

/// Messages about a directory that can't be trusted, with the remedy.
pub(crate) mod fault {
    pub(crate) const OF_ANOTHER_USER: &str = "it belongs to another user: have it removed";
    pub(crate) const OTHERS_ENTER: &str =
        "others can enter it: remove it, and it is made again for you alone";
    pub(crate) const PARENT_OF_ANOTHER_USER: &str = "it belongs to another user";
    pub(crate) const OTHERS_REMOVE: &str =
        "others can move away what is in it: have their rights to do so taken away";
    pub(crate) const PRIVATE: &str = "this process alone sees it";
    pub(crate) const NOT_OF_THE_SYSTEM: &str = "it belongs neither to the system nor to its \
                                                administrators, and its owner could replace the locks of all";
}

/// Unused: there are no modes, and the directory's access control list counts.
pub(crate) const OWN_MODE: u32 = 0o600;

/// Whether this process is known to see another directory at the path than most others of the
/// machine.
pub(crate) fn is_private(_path: &Path) -> bool {
    false
}

/// Always `false`: no mode says whether another user may have put a file there for this user to find.
#[allow(clippy::unnecessary_wraps, reason = "the contract of the module")]
pub(crate) fn may_be_planted(_owner: u32, _directory: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Returns a place in the user's profile, which the system makes for the user alone.
pub(crate) fn of_user() -> io::Result<Home> {
    let token = process::token()?;
    let profile = directory(|to, length| {
        // SAFETY: the handle is open, and the buffer is as long as the call says.
        unsafe { GetUserProfileDirectoryW(token.as_raw_handle(), to, length) }
    })?;
    Ok(Home::Certain(profile.join(r"AppData\Local\lockfast")))
}

/// Returns the place for files that all users share. The creator of a file owns it, and others can't remove it.
pub(crate) fn of_machine() -> io::Result<Vec<PathBuf>> {
    let shared = directory(|to, length| {
        // SAFETY: the buffer is as long as the call says.
        unsafe { GetAllUsersProfileDirectoryW(to, length) }
    })?;
    Ok(vec![shared])
}

/// Returns the owner of the file at the path and the rights of others. No link is followed.
pub(crate) fn ownership_at(path: &Path) -> io::Result<Ownership> {
    let found = OpenOptions::new()
        .access_mode(READ_CONTROL | FILE_READ_ATTRIBUTES)
        .share_mode(file::SHARE_ALL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    let sort = file::status(&found)?.sort;
    access::ownership(&Descriptor::of(&found)?, sort)
}

/// Creates a directory that nobody but the user and the system can enter. If the path exists already, even as
/// a link, that is an error.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    // P: no right is inherited from the parent. OICI: files and directories in it inherit these rights.
    let user = process::user()?;
    create_directory(
        path,
        &format!("O:{user}D:P(A;OICI;FA;;;{user})(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"),
    )
}

/// Returns the file name of a lock, without the characters and words that have a meaning here.
///
/// Different names are different files, unless they differ only in case.
pub(crate) fn file_name(name: &str) -> String {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let is_device = DEVICES
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device));
    let mut file = String::new();
    for (place, letter) in name.char_indices() {
        if r#"<>:"\|?*%"#.contains(letter) || (place == 0 && is_device) {
            write!(file, "%{:02X}", u32::from(letter)).expect("a string takes everything");
        } else {
            file.push(letter);
        }
    }
    file
}

/// Names that no file can have, with or without an extension.
const DEVICES: [&str; 32] = [
    "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "COM0", "COM1", "COM2", "COM3", "COM4",
    "COM5", "COM6", "COM7", "COM8", "COM9", "COM¹", "COM²", "COM³", "LPT0", "LPT1", "LPT2", "LPT3",
    "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9", "LPT¹", "LPT²", "LPT³",
];

fn create_directory(path: &Path, rights: &str) -> io::Result<()> {
    let descriptor = Descriptor::parse(rights)?;
    let attributes = descriptor.attributes();
    let path = wide(path);
    // SAFETY: the path ends with 0, and the attributes live longer than the call.
    check(unsafe { CreateDirectoryW(path.as_ptr(), &raw const attributes) })
}

/// Creates a directory that everybody can enter and read.
#[cfg(test)]
pub(crate) fn create_open(path: &Path) -> io::Result<()> {
    let user = process::user()?;
    create_directory(path, &format!("D:P(A;;FA;;;{user})(A;;FRFX;;;WD)"))
}

/// Returns the answer of a call for a directory of profiles.
fn directory(ask: impl Fn(*mut u16, *mut u32) -> i32) -> io::Result<PathBuf> {
    let mut length = 1 << 15;
    let mut path = vec![0; 1 << 15];
    check(ask(path.as_mut_ptr(), &raw mut length))?;
    let path = path.split(|&unit| unit == 0).next().unwrap_or_default();
    Ok(OsString::from_wide(path).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::FileSort;

    fn made(rights: &str) -> Ownership {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("place");
        let user = process::user().expect("a user");
        create_directory(&path, &rights.replace("USER", &user)).expect("created");
        ownership_at(&path).expect("known")
    }

    #[test]
    fn a_private_directory_belongs_to_the_user_and_is_closed_to_others() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("lockfast");
        create_private(&path).expect("created");
        let found = ownership_at(&path).expect("known");
        assert_eq!(found.sort, FileSort::Directory);
        assert!(found.is_users && !found.others.enter);
        let again = create_private(&path).expect_err("it is there");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        std::fs::write(path.join("a.lock"), "").expect("the user may");
    }

    #[test]
    fn files_of_the_system_are_recognized() {
        if std::env::var_os("LOCKFAST_TEST_WINE").is_some() {
            lockfast_testing::skip!("under Wine everything belongs to the user");
        }
        let found = ownership_at(Path::new(r"C:\Windows")).expect("known");
        assert!(found.is_systems && !found.is_users && !found.others.remove);
    }

    #[test]
    fn rights_to_enter_are_seen() {
        let open = made("D:P(A;;FA;;;USER)(A;;FRFX;;;WD)");
        assert!(open.others.enter && !open.others.create);
        assert!(!made("D:P(A;;FA;;;USER)").others.enter);
    }

    #[test]
    fn a_file_for_everybody_can_be_locked_by_everybody() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("a.lock");
        file::create_new(&path, Some(0o666)).expect("created");
        assert!(ownership_at(&path).expect("known").others.enter);
        let again = file::create_new(&path, Some(0o666)).expect_err("it is there");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn names_become_names_of_files() {
        for (name, file) in [
            ("nightly", "nightly"),
            ("my_crate::run", "my_crate%3A%3Arun"),
            ("100%", "100%25"),
            (r"a\b", "a%5Cb"),
            ("con", "%63on"),
            ("NUL.txt", "%4EUL.txt"),
            ("console", "console"),
            ("größe", "größe"),
        ] {
            assert_eq!(file_name(name), file);
        }
    }

    #[test]
    fn the_places_of_the_system_are_known() {
        let Home::Certain(own) = of_user().expect("a profile") else {
            panic!("the profile is certain")
        };
        let parent = own.parent().expect("it is in the profile");
        assert!(parent.is_dir(), "{}", parent.display());
        assert!(of_machine().expect("a place")[0].is_dir());
    }
}
