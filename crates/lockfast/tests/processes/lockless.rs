//! A file system with one file, that answers every lock call with an error of the test's choice, or
//! grants it to everybody.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, InitFlags, KernelConfig, LockOwner, ReplyAttr, ReplyCreate, ReplyEmpty,
    ReplyEntry, Request,
};

struct Lockless {
    errno: i32,
    created: AtomicBool,
}

const FILE: INodeNo = INodeNo(2);
const AT_ONCE: Duration = Duration::ZERO;

/// Mounts it there until the session is dropped. The error 0 grants.
pub(crate) fn mount(directory: &Path, errno: i32) -> io::Result<BackgroundSession> {
    let lockless = Lockless {
        errno,
        created: AtomicBool::new(false),
    };
    fuser::spawn_mount(lockless, directory, &Config::default())
}

fn attributes(inode: INodeNo) -> FileAttr {
    let (kind, perm) = if inode == INodeNo::ROOT {
        (FileType::Directory, 0o755)
    } else {
        (FileType::RegularFile, 0o644)
    };
    FileAttr {
        ino: inode,
        size: 0,
        blocks: 0,
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

impl Filesystem for Lockless {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Otherwise the kernel would do the locks itself.
        config
            .add_capabilities(InitFlags::FUSE_POSIX_LOCKS | InitFlags::FUSE_FLOCK_LOCKS)
            .map_err(|missing| io::Error::other(format!("the kernel lacks {missing:?}")))
    }

    fn lookup(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        if self.created.load(Ordering::SeqCst) {
            reply.entry(&AT_ONCE, &attributes(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&AT_ONCE, &attributes(inode));
    }

    fn create(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        self.created.store(true, Ordering::SeqCst);
        reply.created(
            &AT_ONCE,
            &attributes(FILE),
            Generation(0),
            FileHandle(0),
            FopenFlags::empty(),
        );
    }

    fn setlk(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: LockOwner,
        _: u64,
        _: u64,
        _: i32,
        _: u32,
        _: bool,
        reply: ReplyEmpty,
    ) {
        match self.errno {
            0 => reply.ok(),
            errno => reply.error(Errno::from_i32(errno)),
        }
    }
}
