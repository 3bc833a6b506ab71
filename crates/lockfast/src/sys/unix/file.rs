//! Opens lock files, and identifies them.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::descriptor::above_standard;
use crate::sys::{ChangeTime, FileId, FileSort, Status};

/// Whether a file has permissions that are given as a mode.
pub(crate) const HAS_MODES: bool = true;

/// Returns the status of the file at the path; of the link itself, unless it is followed.
pub(crate) fn status_at(path: &Path, follow: bool) -> io::Result<Status> {
    let metadata = if follow {
        fs::metadata(path)?
    } else {
        fs::symlink_metadata(path)?
    };
    Ok(status_of(&metadata))
}

/// Returns the status of the file behind the descriptor.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(crate) fn status(file: &File) -> io::Result<Status> {
    file.metadata().map(|metadata| status_of(&metadata))
}

/// Returns the status of the file behind the descriptor.
///
/// Calls `fstat` itself: the C library calls `newfstatat`, which is a fifth slower, and this is on the path
/// of every acquire.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[inline]
pub(crate) fn status(file: &File) -> io::Result<Status> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: on x86_64 the kernel's `struct stat` is the C library's, and it is written whole
    // when the call answers 0.
    let answer = unsafe { libc::syscall(libc::SYS_fstat, file.as_raw_fd(), stat.as_mut_ptr()) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: written by the call above.
    let stat = unsafe { stat.assume_init() };
    let sort = match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => FileSort::Regular,
        libc::S_IFDIR => FileSort::Directory,
        libc::S_IFLNK => FileSort::Symlink,
        libc::S_IFIFO => FileSort::Fifo,
        libc::S_IFSOCK => FileSort::Socket,
        _ => FileSort::Device,
    };
    Ok(Status {
        id: FileId {
            device: stat.st_dev,
            inode: stat.st_ino,
            upper: 0,
        },
        links: stat.st_nlink,
        changed: ChangeTime(stat.st_ctime, stat.st_ctime_nsec),
        sort,
        owner: stat.st_uid,
    })
}

/// Opens a file that exists, never truncating, blocking or becoming its terminal.
///
/// A program may have a lease on the file, as file servers do for their clients. When somebody opens the file,
/// the kernel takes the lease away, after `/proc/sys/fs/lease-break-time` at the latest. Until then this open
/// is refused ([`is_leased`]).
pub(crate) fn open_existing(path: &Path, follow: bool, write: bool) -> io::Result<File> {
    // The standard library adds O_CLOEXEC: a program that another thread starts must not inherit the lock.
    let no_follow = if follow { 0 } else { libc::O_NOFOLLOW };
    OpenOptions::new()
        .read(true)
        .write(write)
        // O_NONBLOCK: neither a FIFO without a writer nor a lease makes this open wait.
        .custom_flags(no_follow | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .and_then(above_standard)
}

/// Whether the open was refused because a program has a lease on the file.
pub(crate) fn is_leased(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Whether the open was refused because too many files are open already.
pub(crate) fn is_table_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Returns the number of descriptors that the process may have.
pub(crate) fn descriptor_limit() -> usize {
    let mut limit = std::mem::MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the call writes the structure, which lives longer.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()) } != 0 {
        return usize::MAX;
    }
    // SAFETY: written by the call above, which answered 0.
    let limit = unsafe { limit.assume_init() };
    limit.rlim_cur.try_into().unwrap_or(usize::MAX)
}

/// Creates a file that does not exist yet.
///
/// With a mode, the file has exactly that mode from the moment it can be seen, whatever the umask: it is
/// created without a name and then linked. Where the file system can't do that, the file is created by its
/// name and its mode is set at once.
pub(crate) fn create_new(path: &Path, mode: Option<u32>) -> io::Result<File> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(mode) = mode {
        match create_unnamed_then_link(path, mode) {
            Ok(file) => return above_standard(file),
            // Others were quicker; any other error may only mean that the file system can't do that.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => {}
        }
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        // The umask takes rights away and adds none: until the mode is set, nobody may do more than it
        // says.
        .mode(mode.unwrap_or(0o666))
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if let Some(mode) = mode {
        set_mode(&file, mode)?;
    }
    above_standard(file)
}

/// Removes the file at the path.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// Whether a file may be opened for reading after an open for writing failed with this error.
pub(crate) fn may_be_readable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// Whether the open was refused because the last part of the path is a symbolic link.
pub(crate) fn refused_link(error: &io::Error) -> bool {
    // FreeBSD answers EMLINK, NetBSD EFTYPE, all others ELOOP.
    match error.raw_os_error() {
        Some(libc::ELOOP) => true,
        #[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
        Some(libc::EMLINK) => true,
        #[cfg(target_os = "netbsd")]
        Some(libc::EFTYPE) => true,
        _ => false,
    }
}

/// Returns a path to an open file, where the system knows one.
pub(crate) fn path_of(file: &File) -> Option<PathBuf> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return fs::read_link(super::descriptor::path(file)).ok();
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = file;
        None
    }
}

/// Reads up to the end of the file or of the buffer.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], start: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], start + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Whether the first byte could not be read because somebody holds the lock.
pub(crate) fn is_first_hidden(_error: &io::Error) -> bool {
    false
}

/// Writes all bytes.
pub(crate) fn write_at(file: &File, bytes: &[u8], start: u64) -> io::Result<()> {
    file.write_all_at(bytes, start)
}

/// Opens the file once more, if it can be opened for writing.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn opened_again(file: &File) -> Option<File> {
    let path = super::descriptor::path(file);
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.and_then(above_standard).ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn opened_again(_file: &File) -> Option<File> {
    None
}

/// Returns the number of the descriptor, which no other open file of the process has.
pub(crate) fn number(file: &File) -> u32 {
    u32::try_from(file.as_raw_fd()).expect("an open descriptor is not negative")
}

fn status_of(metadata: &Metadata) -> Status {
    let file_type = metadata.file_type();
    let sort = if file_type.is_file() {
        FileSort::Regular
    } else if file_type.is_dir() {
        FileSort::Directory
    } else if file_type.is_symlink() {
        FileSort::Symlink
    } else if file_type.is_fifo() {
        FileSort::Fifo
    } else if file_type.is_socket() {
        FileSort::Socket
    } else {
        FileSort::Device
    };
    Status {
        id: FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
            upper: 0,
        },
        links: metadata.nlink(),
        changed: ChangeTime(metadata.ctime(), metadata.ctime_nsec()),
        sort,
        owner: metadata.uid(),
    }
}

fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn create_unnamed_then_link(path: &Path, mode: u32) -> io::Result<File> {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;

    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .mode(mode)
        .custom_flags(libc::O_TMPFILE)
        .open(directory)?;
    // The umask was applied by the open. Nobody can see the file yet.
    set_mode(&file, mode)?;
    // By `/proc`: to link a descriptor itself (AT_EMPTY_PATH) takes a privilege on most kernels.
    let from = CString::new(super::descriptor::path(&file))?;
    let to = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: both are strings that end in NUL and outlive the call.
    let answer = unsafe {
        // Fails if the name is taken, so of several processes one creates the file.
        libc::linkat(
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            libc::AT_SYMLINK_FOLLOW,
        )
    };
    super::check(answer)?;
    Ok(opened_by_name(path, &file).unwrap_or(file))
}

/// Opens the file that was just linked, by its name. For a descriptor that was opened without a name, the
/// kernel shows `#INODE (deleted)` as its path for good.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn opened_by_name(path: &Path, linked: &File) -> Option<File> {
    let named = open_existing(path, false, true).ok()?;
    // Another process may have removed the name and created a file of its own there.
    let is_same = status(&named).ok()?.id == status(linked).ok()?.id;
    is_same.then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_status_agrees_with_the_standard_library() {
        let file = tempfile::tempfile().expect("a temporary file");
        let expected = status_of(&file.metadata().expect("its metadata"));
        assert_eq!(status(&file).expect("its status"), expected);
        let null = File::open("/dev/null").expect("the null device");
        assert_eq!(status(&null).expect("its status").sort, FileSort::Device);
    }

    #[test]
    fn an_open_that_refused_a_link_is_recognized_by_its_errno() {
        assert!(refused_link(&io::Error::from_raw_os_error(libc::ELOOP)));
        assert!(!refused_link(&io::Error::from_raw_os_error(libc::ENOENT)));
    }
}
