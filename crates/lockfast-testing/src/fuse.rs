//! The parts that test file systems have in common.

use std::time::UNIX_EPOCH;

use fuser::{FileAttr, FileType, INodeNo};

/// Returns the attributes of the root, or of a regular file with this length.
pub fn attributes(inode: INodeNo, length: u64) -> FileAttr {
    let (kind, perm, size) = if inode == INodeNo::ROOT {
        (FileType::Directory, 0o755, 0)
    } else {
        (FileType::RegularFile, 0o644, length)
    };
    FileAttr {
        ino: inode,
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm,
        nlink: 1,
        uid: nix::unistd::getuid().as_raw(),
        gid: nix::unistd::getgid().as_raw(),
        rdev: 0,
        blksize: 512,
        flags: 0,
    }
}
