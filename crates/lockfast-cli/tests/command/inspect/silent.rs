//! A file system with one file, which stops answering on request.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEntry, ReplyOpen, Request,
};

/// The name of its file.
pub(crate) const NAME: &str = "job.lock";

/// Its length, which is that of a lock file with an owner record.
pub(crate) const LENGTH: usize = 89 + 384;

const FILE: INodeNo = INodeNo(2);
const AT_ONCE: Duration = Duration::ZERO;

struct Silent {
    is_silent: Arc<AtomicBool>,
}

/// Mounts the file system until the session is dropped. It does not answer while the flag is set.
pub(crate) fn mount(directory: &Path) -> io::Result<(BackgroundSession, Arc<AtomicBool>)> {
    let is_silent = Arc::new(AtomicBool::new(false));
    let silent = Silent {
        is_silent: Arc::clone(&is_silent),
    };
    let session = fuser::spawn_mount(silent, directory, &Config::default())?;
    Ok((session, is_silent))
}

impl Silent {
    fn keep_silent(&self) {
        while self.is_silent.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn attributes(inode: INodeNo) -> FileAttr {
    lockfast_testing::fuse::attributes(inode, LENGTH as u64)
}

impl Filesystem for Silent {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.keep_silent();
        if name == NAME {
            reply.entry(&AT_ONCE, &attributes(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.keep_silent();
        reply.attr(&AT_ONCE, &attributes(inode));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.keep_silent();
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    /// The content is the structure that a program passes to the kernel to request an exclusive
    /// lock of a whole file.
    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.keep_silent();
        let mut content = vec![0; LENGTH];
        content[..2].copy_from_slice(&1_i16.to_ne_bytes());
        let start = usize::try_from(offset).unwrap_or(LENGTH).min(LENGTH);
        let end = start.saturating_add(size as usize).min(LENGTH);
        reply.data(&content[start..end]);
    }
}
