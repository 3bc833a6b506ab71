//! A file system with one file, whose locks it keeps, as some servers do: nobody can wait for them, and the
//! file may be gone for those who have it open.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, InitFlags, KernelConfig, LockOwner, ReplyAttr, ReplyCreate, ReplyEmpty,
    ReplyEntry, Request,
};

/// The part of it that is seen from outside.
pub(crate) struct Server {
    shared: Arc<Shared>,
    _session: BackgroundSession,
}

struct Shared {
    /// The answer to calls that wait; 0 if they are answered as the others.
    waits: i32,
    /// The file that is there now; 0 before it was created. Others are stale.
    inode: AtomicU64,
    locks: Mutex<Vec<Held>>,
}

#[derive(Clone, Copy)]
struct Held {
    owner: u64,
    start: u64,
    /// The last byte.
    end: u64,
    is_exclusive: bool,
}

const FIRST: u64 = 2;
const AT_ONCE: Duration = Duration::ZERO;

impl Server {
    /// Mounts it there until it is dropped.
    pub(crate) fn mount(directory: &Path, waits: i32) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            waits,
            inode: AtomicU64::new(0),
            locks: Mutex::default(),
        });
        let session =
            fuser::spawn_mount(Answers(Arc::clone(&shared)), directory, &Config::default())?;
        Ok(Self {
            shared,
            _session: session,
        })
    }

    /// As if another client had deleted the file and created it again.
    pub(crate) fn replace(&self) {
        self.shared.inode.fetch_add(1, Ordering::SeqCst);
        self.shared.locks.lock().expect("no panic").clear();
    }
}

struct Answers(Arc<Shared>);

impl Shared {
    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        let is_root = inode == INodeNo::ROOT;
        if !is_root && inode.0 != self.inode.load(Ordering::SeqCst) {
            return None;
        }
        let (kind, perm) = if is_root {
            (FileType::Directory, 0o755)
        } else {
            (FileType::RegularFile, 0o644)
        };
        Some(FileAttr {
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
        })
    }

    fn lock(&self, wanted: Option<Held>, (owner, start, end): (u64, u64, u64)) -> bool {
        let mut locks = self.locks.lock().expect("no panic");
        let meets = |held: &Held| held.start <= end && start <= held.end;
        let conflicts = |held: &Held| {
            let may_share = wanted.is_none_or(|wanted| !wanted.is_exclusive && !held.is_exclusive);
            held.owner != owner && meets(held) && !may_share
        };
        if wanted.is_some() && locks.iter().any(conflicts) {
            return false;
        }
        // What the owner has there is replaced, and what sticks out stays.
        let own = |held: &Held| held.owner == owner && meets(held);
        let replaced: Vec<_> = locks.iter().copied().filter(own).collect();
        locks.retain(|held| !own(held));
        for held in replaced {
            if held.start < start {
                locks.push(Held {
                    end: start - 1,
                    ..held
                });
            }
            if held.end > end {
                locks.push(Held {
                    start: end + 1,
                    ..held
                });
            }
        }
        locks.extend(wanted);
        true
    }
}

impl Filesystem for Answers {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Otherwise the kernel would do the locks itself.
        config
            .add_capabilities(InitFlags::FUSE_POSIX_LOCKS | InitFlags::FUSE_FLOCK_LOCKS)
            .map_err(|missing| io::Error::other(format!("the kernel lacks {missing:?}")))
    }

    fn lookup(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        let inode = INodeNo(self.0.inode.load(Ordering::SeqCst));
        match self.0.attributes(inode) {
            Some(attributes) if inode.0 != 0 => {
                reply.entry(&AT_ONCE, &attributes, Generation(0));
            }
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.0.attributes(inode) {
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
        self.0.inode.store(FIRST, Ordering::SeqCst);
        let attributes = self.0.attributes(INodeNo(FIRST)).expect("it is there now");
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
        if inode.0 != self.0.inode.load(Ordering::SeqCst) {
            return reply.error(Errno::ESTALE);
        }
        // To give back a `flock` is a call that waits, to the kernel.
        if waits && self.0.waits != 0 && sort != libc::F_UNLCK {
            return reply.error(Errno::from_i32(self.0.waits));
        }
        let wanted = (sort != libc::F_UNLCK).then_some(Held {
            owner: owner.0,
            start,
            end,
            is_exclusive: sort == libc::F_WRLCK,
        });
        if self.0.lock(wanted, (owner.0, start, end)) {
            reply.ok();
        } else {
            reply.error(Errno::EAGAIN);
        }
    }
}
