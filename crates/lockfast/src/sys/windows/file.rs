//! Opens lock files, and identifies them.

use std::ffi::{OsString, c_void};
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_DELETE_PENDING, ERROR_INVALID_FUNCTION, ERROR_INVALID_PARAMETER,
    ERROR_LOCK_VIOLATION, ERROR_NOT_SUPPORTED, GENERIC_READ, GENERIC_WRITE,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, DELETE, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT,
    FILE_ATTRIBUTE_TAG_INFO, FILE_BASIC_INFO, FILE_DISPOSITION_FLAG_DELETE,
    FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE, FILE_DISPOSITION_FLAG_POSIX_SEMANTICS,
    FILE_DISPOSITION_INFO, FILE_DISPOSITION_INFO_EX, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_FLAG_OPEN_REPARSE_POINT, FILE_FLAG_OVERLAPPED, FILE_ID_INFO, FILE_INFO_BY_HANDLE_CLASS,
    FILE_READ_ATTRIBUTES, FILE_REMOTE_PROTOCOL_INFO, FILE_SHARE_DELETE, FILE_SHARE_READ,
    FILE_SHARE_WRITE, FILE_STANDARD_INFO, FILE_TYPE_DISK, FILE_TYPE_PIPE, FileAttributeTagInfo,
    FileBasicInfo, FileDispositionInfo, FileDispositionInfoEx, FileIdInfo, FileRemoteProtocolInfo,
    FileStandardInfo, GetFileInformationByHandle, GetFileInformationByHandleEx, GetFileType,
    GetFinalPathNameByHandleW, SetFileInformationByHandle,
};

use super::{check, is, public_file, request};
use crate::sys::{ChangeTime, FileId, FileSort, Status};

/// Whether a file has permissions that are given as a mode.
pub(crate) const HAS_MODES: bool = false;

/// Others may open, delete and rename a file that lockfast has open.
pub(super) const SHARE_ALL: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/// Returns the status of the file at the path; of the link itself, unless it is followed.
pub(crate) fn status_at(path: &Path, follow: bool) -> io::Result<Status> {
    let file = OpenOptions::new()
        .access_mode(FILE_READ_ATTRIBUTES)
        .share_mode(SHARE_ALL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | no_follow(follow))
        .open(path);
    match file {
        Ok(file) => status(&file),
        // It has lost its name already, and goes when the last handle is closed.
        Err(error) if is_delete_pending(&error) => Err(io::ErrorKind::NotFound.into()),
        Err(error) => Err(error),
    }
}

/// Returns the status of the file behind the handle.
pub(crate) fn status(file: &File) -> io::Result<Status> {
    // SAFETY: the handle is open; the call only answers.
    let sort = match unsafe { GetFileType(file.as_raw_handle()) } {
        FILE_TYPE_DISK => {
            let tag: FILE_ATTRIBUTE_TAG_INFO = information(file, FileAttributeTagInfo)?;
            sort_of(tag.FileAttributes)
        }
        FILE_TYPE_PIPE => FileSort::Fifo,
        _ => FileSort::Device,
    };
    if matches!(sort, FileSort::Fifo | FileSort::Device) {
        return Ok(Status {
            id: FileId::default(),
            links: 0,
            changed: ChangeTime(0, 0),
            sort,
            owner: 0,
        });
    }
    let standard: FILE_STANDARD_INFO = information(file, FileStandardInfo)?;
    let basic: FILE_BASIC_INFO = information(file, FileBasicInfo)?;
    let names = if standard.DeletePending {
        0
    } else {
        standard.NumberOfLinks
    };
    Ok(Status {
        id: id(file)?,
        links: names.into(),
        changed: change_time(basic.ChangeTime),
        sort,
        owner: 0,
    })
}

/// Opens a file that exists, never truncating it.
pub(crate) fn open_existing(path: &Path, follow: bool, write: bool) -> io::Result<File> {
    let access = if write {
        GENERIC_READ | GENERIC_WRITE
    } else {
        GENERIC_READ
    };
    unless_vanishing(|| {
        OpenOptions::new()
            .access_mode(access)
            // Without sharing, whoever opens the file first would keep all others out.
            .share_mode(SHARE_ALL)
            // Overlapped, so that a request for a lock can be cancelled.
            .custom_flags(FILE_FLAG_OVERLAPPED | no_follow(follow))
            .open(path)
    })
}

/// Creates a file that does not exist yet. It inherits its rights from the directory, unless the mode gives it
/// to everybody.
pub(crate) fn create_new(path: &Path, mode: Option<u32>) -> io::Result<File> {
    const EVERYBODY_WRITES: u32 = 0o002;
    let flags = FILE_FLAG_OVERLAPPED | FILE_FLAG_OPEN_REPARSE_POINT;
    unless_vanishing(|| {
        if mode.is_some_and(|mode| mode & EVERYBODY_WRITES != 0) {
            let access = GENERIC_READ | GENERIC_WRITE;
            return public_file::create(path, flags, access, SHARE_ALL).map(File::from);
        }
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .share_mode(SHARE_ALL)
            .custom_flags(flags)
            .open(path)
    })
}

/// Removes the file at the path. Its name is free at once where the file system can do that.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new()
        .access_mode(DELETE)
        .share_mode(SHARE_ALL)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    let at_once = FILE_DISPOSITION_INFO_EX {
        Flags: FILE_DISPOSITION_FLAG_DELETE
            | FILE_DISPOSITION_FLAG_POSIX_SEMANTICS
            | FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE,
    };
    match set(&file, FileDispositionInfoEx, &at_once) {
        // FAT, network drives, and systems before Windows 10: the name is free when all handles are closed.
        Err(error) if is_not_known(&error) => {
            let at_last = FILE_DISPOSITION_INFO { DeleteFile: true };
            set(&file, FileDispositionInfo, &at_last)
        }
        done => done,
    }
}

/// Whether a file may be opened for reading after an open for writing failed with this error.
pub(crate) fn may_be_readable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// Always `false`: no program has a lease that others have to wait for.
pub(crate) fn is_leased(_error: &io::Error) -> bool {
    false
}

/// Always `false`: the limit is too high to be reached.
pub(crate) fn is_table_full(_error: &io::Error) -> bool {
    false
}

/// Returns no limit.
pub(crate) fn descriptor_limit() -> usize {
    usize::MAX
}

/// Always `false`: the link itself is opened, and its status shows that it is one.
pub(crate) fn refused_link(_error: &io::Error) -> bool {
    false
}

/// Returns a path to an open file.
pub(crate) fn path_of(file: &File) -> Option<PathBuf> {
    let mut path = vec![0_u16; 512];
    loop {
        let size = u32::try_from(path.len()).ok()?;
        // SAFETY: the handle is open, and the buffer is as long as the call says.
        let length =
            unsafe { GetFinalPathNameByHandleW(file.as_raw_handle(), path.as_mut_ptr(), size, 0) }
                as usize;
        match length {
            0 => return None,
            length if length < path.len() => {
                return Some(OsString::from_wide(&path[..length]).into());
            }
            needed => path.resize(needed, 0),
        }
    }
}

/// Reads up to the end of the file or of the buffer.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], start: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match request::read(file, &mut buffer[length..], start + length as u64)? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

/// Whether the first byte could not be read because somebody holds the lock.
pub(crate) fn is_first_hidden(error: &io::Error) -> bool {
    is(error, ERROR_LOCK_VIOLATION)
}

/// Writes all bytes.
pub(crate) fn write_at(file: &File, bytes: &[u8], start: u64) -> io::Result<()> {
    let mut length = 0;
    while length < bytes.len() {
        match request::write(file, &bytes[length..], start + length as u64)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => length += written,
        }
    }
    Ok(())
}

/// Whether a server keeps the locks, so that a grant is a message that can come late.
pub(super) fn is_remote(file: &File) -> bool {
    information::<FILE_REMOTE_PROTOCOL_INFO>(file, FileRemoteProtocolInfo).is_ok()
}

/// Always `None`: only a file system that is a process is doubted.
pub(crate) fn opened_again(_file: &File) -> Option<File> {
    None
}

/// Returns the number of the handle, which no other open file of the process has.
pub(crate) fn number(file: &File) -> u32 {
    // Handles have 32 significant bits on 64-bit systems too.
    u32::try_from(file.as_raw_handle().addr()).expect("a handle has 32 bits that count")
}

fn no_follow(follow: bool) -> u32 {
    if follow {
        0
    } else {
        FILE_FLAG_OPEN_REPARSE_POINT
    }
}

fn sort_of(attributes: u32) -> FileSort {
    // Every sort of reparse point can lead elsewhere.
    if attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        FileSort::Symlink
    } else if attributes & FILE_ATTRIBUTE_DIRECTORY != 0 {
        FileSort::Directory
    } else {
        FileSort::Regular
    }
}

/// Returns the identity of 128 bits, which `ReFS` needs, or of 64 bits on file systems without the other.
fn id(file: &File) -> io::Result<FileId> {
    if let Ok(id) = information::<FILE_ID_INFO>(file, FileIdInfo) {
        let number = u128::from_le_bytes(id.FileId.Identifier);
        return Ok(FileId {
            device: id.VolumeSerialNumber,
            inode: low(number),
            upper: low(number >> 64),
        });
    }
    let mut answer = MaybeUninit::<BY_HANDLE_FILE_INFORMATION>::uninit();
    // SAFETY: the handle is open, and the answer is as large as the call expects.
    check(unsafe { GetFileInformationByHandle(file.as_raw_handle(), answer.as_mut_ptr()) })?;
    // SAFETY: written by the call above, which did not fail.
    let answer = unsafe { answer.assume_init() };
    Ok(FileId {
        device: answer.dwVolumeSerialNumber.into(),
        inode: (u64::from(answer.nFileIndexHigh) << 32) | u64::from(answer.nFileIndexLow),
        upper: 0,
    })
}

fn low(number: u128) -> u64 {
    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    let low = number as u64;
    low
}

/// Converts units of 100 ns since 1601.
fn change_time(time: i64) -> ChangeTime {
    const A_SECOND: i64 = 10_000_000;
    const FROM_1601_TO_1970: i64 = 11_644_473_600;
    ChangeTime(
        time.div_euclid(A_SECOND) - FROM_1601_TO_1970,
        time.rem_euclid(A_SECOND) * 100,
    )
}

/// Asks for information of a class. The type must be that of the class, which is plain numbers.
fn information<T: Copy>(file: &File, class: FILE_INFO_BY_HANDLE_CLASS) -> io::Result<T> {
    let mut answer = MaybeUninit::<T>::zeroed();
    let size = u32::try_from(size_of::<T>()).expect("some bytes");
    let handle = file.as_raw_handle();
    let to = answer.as_mut_ptr().cast::<c_void>();
    // SAFETY: the handle is open, and the answer is as large as the call says.
    check(unsafe { GetFileInformationByHandleEx(handle, class, to, size) })?;
    // SAFETY: zeros at first, for which all of them have a meaning, and written by the call above.
    Ok(unsafe { answer.assume_init() })
}

fn set<T>(file: &File, class: FILE_INFO_BY_HANDLE_CLASS, what: &T) -> io::Result<()> {
    let size = u32::try_from(size_of::<T>()).expect("some bytes");
    let from = std::ptr::from_ref(what).cast::<c_void>();
    // SAFETY: the handle is open, and what is set is as large as the call says.
    check(unsafe { SetFileInformationByHandle(file.as_raw_handle(), class, from, size) })
}

/// Whether a system or a file system that does not know the request answers with this error.
fn is_not_known(error: &io::Error) -> bool {
    let answers = [
        ERROR_INVALID_PARAMETER,
        ERROR_INVALID_FUNCTION,
        ERROR_NOT_SUPPORTED,
    ];
    answers.into_iter().any(|number| is(error, number))
}

/// Retries an open for a while if the file is being deleted. A file that was deleted the old way keeps its
/// name until all handles are closed, and can't be opened meanwhile. Waiters soon notice and close theirs.
fn unless_vanishing(open: impl Fn() -> io::Result<File>) -> io::Result<File> {
    let begun = Instant::now();
    loop {
        match open() {
            Err(error) if is_delete_pending(&error) && begun.elapsed() < VANISHING => {
                std::thread::sleep(Duration::from_millis(1));
            }
            opened => return opened,
        }
    }
}

const VANISHING: Duration = Duration::from_secs(2);

/// Whether the open was refused because the file is being deleted. Must be called right after it, as older
/// systems answer "access denied" and only the thread's last status tells the difference.
fn is_delete_pending(error: &io::Error) -> bool {
    const STATUS_DELETE_PENDING: i32 = i32::from_ne_bytes(0xC000_0056_u32.to_ne_bytes());
    // SAFETY: takes nothing, and tells of this thread.
    let status = unsafe { RtlGetLastNtStatus() };
    is(error, ERROR_DELETE_PENDING)
        || (is(error, ERROR_ACCESS_DENIED) && status == STATUS_DELETE_PENDING)
}

windows_link::link!("ntdll.dll" "system" fn RtlGetLastNtStatus() -> i32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_recognized_and_not_confused_with_another() {
        let directory = tempfile::tempdir().expect("a directory");
        let (one, other) = (directory.path().join("one"), directory.path().join("other"));
        let file = create_new(&one, None).expect("created");
        create_new(&other, None).expect("created");
        let own = status(&file).expect("a status");
        assert_eq!((own.sort, own.links), (FileSort::Regular, 1));
        assert_eq!(status_at(&one, false).expect("it is there").id, own.id);
        assert_ne!(status_at(&other, false).expect("it is there").id, own.id);
        let again = create_new(&one, None).expect_err("it is there");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        let sort = status_at(directory.path(), false)
            .expect("it is there")
            .sort;
        assert_eq!(sort, FileSort::Directory);
    }

    #[test]
    fn a_removed_file_has_no_name_and_its_path_is_free_when_it_is_closed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.lock");
        let file = create_new(&path, None).expect("created");
        remove(&path).expect("removed");
        // Under Wine it stays as it was until it is closed.
        if std::env::var_os("LOCKFAST_TEST_WINE").is_none() {
            assert_eq!(status(&file).expect("a status").links, 0);
            let gone = status_at(&path, false).expect_err("it has no name");
            assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        }
        drop(file);
        create_new(&path, None).expect("created again");
    }

    #[test]
    fn written_bytes_are_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = create_new(&directory.path().join("a.lock"), None).expect("created");
        write_at(&file, b"content", 3).expect("written");
        let mut buffer = [1; 20];
        assert_eq!(read_at(&file, &mut buffer, 0).expect("read"), 10);
        assert_eq!(&buffer[..10], b"\0\0\0content");
    }

    #[test]
    fn devices_are_known() {
        let nul = File::open("NUL").expect("the null device");
        assert_eq!(status(&nul).expect("its status").sort, FileSort::Device);
    }

    #[test]
    fn times_are_counted_from_1970() {
        assert_eq!(change_time(116_444_736_000_000_001), ChangeTime(0, 100));
    }
}
