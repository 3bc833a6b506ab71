//! A file system with one file, whose lock calls a test answers.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation,
    INodeNo, InitFlags, KernelConfig, LockOwner, ReplyAttr, ReplyCreate, ReplyEmpty, ReplyEntry,
    Request,
};

/// Answers to lock calls.
pub(crate) trait Locks: Send + Sync + 'static {
    /// Answers a call. It fails with the number of an error.
    fn set(&self, call: &Call) -> Result<(), i32>;
}

/// A lock call of the kernel.
pub(crate) struct Call {
    pub(crate) owner: u64,
    pub(crate) start: u64,
    /// The last byte.
    pub(crate) end: u64,
    /// `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
    pub(crate) sort: i32,
    pub(crate) waits: bool,
}

/// The number of the present file; 0 before it was created. Others are stale.
pub(crate) type Present = Arc<AtomicU64>;

/// Mounts the file system in that directory until the session is dropped.
pub(crate) fn mount(
    directory: &Path,
    present: Present,
    locks: impl Locks,
) -> io::Result<BackgroundSession> {
    fuser::spawn_mount(OneFile { present, locks }, directory, &Config::default())
}

struct OneFile<L> {
    present: Present,
    locks: L,
}

const FIRST: u64 = 2;
const AT_ONCE: Duration = Duration::ZERO;

impl<L> OneFile<L> {
    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        let is_there = inode == INodeNo::ROOT || inode.0 == self.present.load(Ordering::SeqCst);
        is_there.then(|| lockfast_testing::fuse::attributes(inode, 0))
    }
}

impl<L: Locks> Filesystem for OneFile<L> {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Otherwise the kernel would keep the locks itself.
        config
            .add_capabilities(InitFlags::FUSE_POSIX_LOCKS | InitFlags::FUSE_FLOCK_LOCKS)
            .map_err(|missing| io::Error::other(format!("the kernel lacks {missing:?}")))
    }

    fn lookup(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        let inode = INodeNo(self.present.load(Ordering::SeqCst));
        match self.attributes(inode) {
            Some(attributes) if inode.0 != 0 => {
                reply.entry(&AT_ONCE, &attributes, Generation(0));
            }
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode) {
            Some(attributes) => reply.attr(&AT_ONCE, &attributes),
            None => reply.error(Errno::ESTALE),
        }
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
        self.present.store(FIRST, Ordering::SeqCst);
        let attributes = self.attributes(INodeNo(FIRST)).expect("it is there now");
        reply.created(
            &AT_ONCE,
            &attributes,
            Generation(0),
            FileHandle(0),
            FopenFlags::empty(),
        );
    }

    fn setlk(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        owner: LockOwner,
        start: u64,
        end: u64,
        sort: i32,
        _: u32,
        waits: bool,
        reply: ReplyEmpty,
    ) {
        if inode.0 != self.present.load(Ordering::SeqCst) {
            return reply.error(Errno::ESTALE);
        }
        let call = Call {
            owner: owner.0,
            start,
            end,
            sort,
            waits,
        };
        match self.locks.set(&call) {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(Errno::from_i32(errno)),
        }
    }
}
