//! File systems, as far as it matters to a lock.

use std::fs::File;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::AsRawFd;

use crate::sys::FsTraits;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn traits(file: &File) -> FsTraits {
    // If the call fails, the file system counts as unknown, and no acquire relies on change times or watches.
    by_magic_number(magic_number(file).unwrap_or(0))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn traits(_file: &File) -> FsTraits {
    FsTraits {
        has_ranges: super::lock::HAS_RANGES,
        // Apple's kernel and those of the BSDs keep both kinds of locks in one table.
        has_one_lock_table: true,
        ..FsTraits::default()
    }
}

/// The facts by the number of the file system (statfs(2) has the numbers).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn by_magic_number(magic: u32) -> FsTraits {
    const SMB: u32 = 0x517b;
    const CIFS: u32 = 0xff53_4d42;
    const SMB2: u32 = 0xfe53_4d42;
    const NFS: u32 = 0x6969;
    const NINE_P: u32 = 0x0102_1997;
    const CEPH: u32 = 0x00c3_6400;
    const LUSTRE: u32 = 0x0bd0_0bd0;
    const AFS: u32 = 0x5346_414f;
    const GFS2: u32 = 0x0116_1970;
    const OCFS2: u32 = 0x7461_636f;
    const GPFS: u32 = 0x4750_4653;
    const FUSE: u32 = 0x6573_5546;
    const EXT: u32 = 0xef53;
    const XFS: u32 = 0x5846_5342;
    const BTRFS: u32 = 0x9123_683e;
    const F2FS: u32 = 0xf2f5_2010;
    const TMPFS: u32 = 0x0102_1994;
    const OVERLAY: u32 = 0x794c_7630;
    let other = FsTraits {
        has_ranges: true,
        ..FsTraits::default()
    };
    match magic {
        // A server releases only what was locked together, and converts nothing in place. Its client turns
        // a `flock` into a record lock, and waits for the server's answer until the thread is killed.
        SMB | CIFS | SMB2 => FsTraits {
            is_remote: true,
            has_ranges: false,
            has_one_lock_table: true,
            ignores_signals: true,
            ..other
        },
        // The client turns a `flock` into a record lock of the whole file.
        NFS => FsTraits {
            is_remote: true,
            has_one_lock_table: true,
            ..other
        },
        NINE_P | CEPH | LUSTRE | AFS | GFS2 | OCFS2 | GPFS => FsTraits {
            is_remote: true,
            ..other
        },
        // sshfs, or a file system of this machine.
        FUSE => FsTraits {
            is_remote: true,
            is_process: true,
            ..other
        },
        // This machine alone keeps their files, so a watch sees everybody. An overlay reports the times of
        // the file system below, which must be one of the others: it demands more than most have.
        EXT | XFS | BTRFS | F2FS | TMPFS | OVERLAY => FsTraits {
            rename_updates_ctime: true,
            supports_watch: true,
            ..other
        },
        _ => other,
    }
}

/// The number of the file system, by one call.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn magic_number(file: &File) -> Option<u32> {
    let mut answer = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open and the answer is as large as the call expects.
    if unsafe { libc::fstatfs(file.as_raw_fd(), answer.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: written by the call above, which answered 0.
    let answer = unsafe { answer.assume_init() };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::unnecessary_cast,
        reason = "a magic number of 32 bits in a field whose type differs among systems"
    )]
    let magic = answer.f_type as u32;
    Some(magic)
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn each_sort_of_file_system_is_known_by_its_number() {
        let (smb, nfs, tmpfs) = (0xfe53_4d42, 0x6969, 0x0102_1994);
        let [smb, nfs, tmpfs, other] = [smb, nfs, tmpfs, 7].map(by_magic_number);
        assert!(smb.is_remote && smb.has_one_lock_table);
        assert!(!smb.has_ranges && smb.ignores_signals);
        assert!(nfs.is_remote && nfs.has_one_lock_table && nfs.has_ranges);
        assert!(tmpfs.rename_updates_ctime && tmpfs.supports_watch && !tmpfs.is_remote);
        assert!(other.has_ranges && !other.is_remote && !other.supports_watch);
    }
}
