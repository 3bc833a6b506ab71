//! Open descriptors of all processes.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Statx, StatxFlags};
use rustix::io::Errno;

use super::process;
use super::table::{self, LockLine};
use crate::sys::FileId;
use crate::sys::alarm::without_signals;

/// A descriptor of a process.
#[derive(Clone, Debug)]
pub(super) struct OpenDescriptor {
    pub(super) pid: u32,
    /// The thread that shows its descriptors: the first one, unless that has ended.
    pub(super) task: u32,
    pub(super) descriptor: i32,
    /// The identity that `stat` reports.
    pub(super) id: FileId,
    /// The numbers in the kernel's own tables.
    pub(super) numbers: Numbers,
    pub(super) deleted: bool,
    /// The length in bytes.
    pub(super) length: u64,
    pub(super) locks: Vec<LockLine>,
}

/// The mount and the inode of a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) mount: Option<u64>,
    pub(super) inode: Option<u64>,
}

/// The result of a scan.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) open: Vec<OpenDescriptor>,
    /// The processes whose descriptors may not be looked at.
    pub(super) unreadable: Vec<u32>,
}

impl Scan {
    pub(super) fn add(&mut self, more: Self) {
        self.open.extend(more.open);
        self.unreadable.extend(more.unreadable);
    }
}

/// Finds the descriptors of one file, or of every file that can be locked, in all processes.
pub(super) fn scan(only: Option<FileId>) -> io::Result<Scan> {
    Ok(in_parallel(&pids()?, |pids| scan_some(pids, only)))
}

/// Returns all processes that can be seen.
pub(super) fn pids() -> io::Result<Vec<u32>> {
    Ok(fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect())
}

/// The error of a machine without `/proc`. It must not look like that of a file that does not exist, which
/// nobody can have locked.
#[allow(clippy::needless_pass_by_value, reason = "so `map_err` passes it")]
pub(super) fn without_proc(error: io::Error) -> io::Error {
    io::Error::other(format!(
        "/proc, which shows the locks, cannot be read: {error}; mount it"
    ))
}

/// Gives each processor a share of the work.
pub(super) fn in_parallel(pids: &[u32], act: impl Fn(&[u32]) -> Scan + Sync) -> Scan {
    let helpers = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(8);
    // To start a thread for fewer takes longer than to look at them here.
    let mut shares = pids.chunks(pids.len().div_ceil(helpers).max(16));
    let act = &act;
    thread::scope(|scope| {
        // This thread takes the first share.
        let own = shares.next().unwrap_or_default();
        let helpers = shares.map(|pids| {
            let helper = thread::Builder::new().spawn_scoped(scope, move || act(pids));
            (pids, helper)
        });
        let parts: Vec<_> = without_signals(|| helpers.collect());
        let mut all = act(own);
        for (pids, helper) in parts {
            all.add(match helper {
                Ok(helper) => helper.join().unwrap_or_else(|panic| resume_unwind(panic)),
                // The system has no thread left.
                Err(_) => act(pids),
            });
        }
        all
    })
}

/// Finds the descriptors in these processes.
pub(super) fn scan_some(pids: &[u32], only: Option<FileId>) -> Scan {
    let mut scan = Scan::default();
    for &pid in pids {
        // A process that has ended in the meantime has no locks.
        let looked = scan_one((pid, pid), only, &mut scan.open);
        let refused = match looked {
            // It has no descriptors, or its first thread has ended and shows none.
            Ok(0) => match process::living_thread(pid).filter(|&task| task != pid) {
                Some(task) => scan_one((pid, task), only, &mut scan.open).is_err(),
                None => false,
            },
            looked => matches!(looked, Err(Errno::ACCESS | Errno::PERM)),
        };
        if refused && has_program(pid) {
            scan.unreadable.push(pid);
        }
    }
    scan
}

/// Whether the kernel reports how many descriptors a process has, as it does since Linux 6.2.
pub(super) fn counts_descriptors() -> bool {
    fs::metadata("/proc/self/fd").is_ok_and(|directory| directory.len() > 0)
}

/// Returns the number of descriptors of a process.
pub(super) fn descriptors_of(pid: u32) -> u64 {
    fs::metadata(format!("/proc/{pid}/fd")).map_or(0, |directory| directory.len())
}

/// Whether it is neither a kernel thread nor a process that has ended.
pub(super) fn has_program(pid: u32) -> bool {
    let has_words = |task| {
        let path = format!("/proc/{pid}/task/{task}/cmdline");
        fs::read(path).is_ok_and(|line| !line.is_empty())
    };
    has_words(pid) || process::living_thread(pid).is_some_and(has_words)
}

/// Finds the descriptors in one process, as one of its threads shows them. Returns how many there are.
fn scan_one(
    (pid, task): (u32, u32),
    only: Option<FileId>,
    found: &mut Vec<OpenDescriptor>,
) -> rustix::io::Result<usize> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let path = directory_of(pid, task);
    let directory = rustix::fs::open(format!("{path}/fd"), flags, Mode::empty())?;
    let mut count = 0;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        let Some(descriptor) = name.to_str().ok().and_then(|name| name.parse().ok()) else {
            continue;
        };
        count += 1;
        let Ok((id, stat)) = status_of(&directory, name) else {
            continue;
        };
        let lockable = match only {
            Some(only) => id == only,
            None => matches!(
                FileType::from_raw_mode(stat.stx_mode.into()),
                FileType::RegularFile
                    | FileType::Directory
                    | FileType::BlockDevice
                    | FileType::CharacterDevice
            ),
        };
        if !lockable {
            continue;
        }
        // After `statx`, which sorts out most descriptors at a smaller price.
        let Ok(text) = fs::read(format!("{path}/fdinfo/{descriptor}")) else {
            continue;
        };
        let (numbers, locks) = parse(&text);
        // The number may be another file's by now. On an overlay, the inodes of one file may differ.
        let is_same = || status_of(&directory, name).is_ok_and(|(now, _)| now == id);
        if numbers.inode != Some(id.inode) && !is_same() {
            continue;
        }
        found.push(OpenDescriptor {
            pid,
            task,
            descriptor,
            id,
            numbers,
            deleted: stat.stx_nlink == 0,
            length: stat.stx_size,
            locks,
        });
    }
    Ok(count)
}

/// Returns the identity and the facts of the file behind an entry of that directory.
fn status_of(directory: &OwnedFd, name: &CStr) -> rustix::io::Result<(FileId, Statx)> {
    // A server that does not answer must not block this: cached facts are enough.
    let cached = AtFlags::from_bits_retain(0x4000); // `AT_STATX_DONT_SYNC`, not defined everywhere
    let wanted = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::NLINK | StatxFlags::SIZE;
    let stat = rustix::fs::statx(directory, name, cached, wanted)?;
    let id = FileId {
        device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
        upper: 0,
    };
    Ok((id, stat))
}

/// Returns the directory of a thread; that of the process, if it is the first one.
fn directory_of(pid: u32, task: u32) -> String {
    if pid == task {
        format!("/proc/{pid}")
    } else {
        format!("/proc/{pid}/task/{task}")
    }
}

/// Returns the link in `/proc` to the file of a descriptor. Opening it looks up no other path.
pub(super) fn link_of(open: &OpenDescriptor) -> PathBuf {
    let directory = directory_of(open.pid, open.task);
    format!("{directory}/fd/{}", open.descriptor).into()
}

/// Parses the `fdinfo` of a descriptor.
pub(super) fn parse(text: &[u8]) -> (Numbers, Vec<LockLine>) {
    let mut numbers = Numbers::default();
    let mut locks = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let number = || std::str::from_utf8(value).ok()?.trim().parse().ok();
        match name {
            b"mnt_id" => numbers.mount = number(),
            b"ino" => numbers.inode = number(),
            b"lock" => locks.extend(table::parse_line(value)),
            _ => {}
        }
    }
    (numbers, locks)
}

/// Returns the path of the file of a descriptor.
pub(super) fn path_of(open: &OpenDescriptor) -> Option<PathBuf> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    const DELETED: &[u8] = b" (deleted)";
    let path = fs::read_link(link_of(open)).ok()?;
    let bytes = path.as_os_str().as_bytes();
    match bytes.strip_suffix(DELETED) {
        Some(name) if open.deleted => Some(std::ffi::OsString::from_vec(name.to_vec()).into()),
        // It was opened without a name and got one later, which the kernel does not show.
        Some(name) if is_unnamed(name, open) => None,
        _ => Some(path),
    }
}

/// Whether the last part of the path is the placeholder for a file that was opened without a name.
fn is_unnamed(name: &[u8], open: &OpenDescriptor) -> bool {
    let inode = open.numbers.inode.unwrap_or(open.id.inode);
    name.ends_with(format!("/#{inode}").as_bytes())
}

/// Returns the mount and the inode of a file that this process has open.
pub(super) fn numbers_of(file: &File) -> io::Result<Numbers> {
    use std::os::fd::AsRawFd;
    // Not `self`, which is the first thread: once that has ended, it shows no descriptors.
    let text = fs::read(format!("/proc/thread-self/fdinfo/{}", file.as_raw_fd()))?;
    Ok(parse(&text).0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::sync::Mutex;
    use std::sync::mpsc;

    use super::*;
    use crate::sys::{self, Access, Range, Target};

    /// The number of a descriptor may be another file's between two questions about it.
    #[test]
    fn a_file_does_not_have_the_locks_of_the_next_one_with_its_number() {
        let (free, locked) = (file(), file());
        let granted = sys::lock::try_lock(&locked, Access::Exclusive, Target::Bytes(Range::ALL));
        assert!(granted.expect("no error"), "nobody else has it");
        let id = FileId {
            device: free.metadata().expect("its metadata").dev(),
            inode: free.metadata().expect("its metadata").ino(),
            upper: 0,
        };
        let changing: Mutex<OwnedFd> = Mutex::new(file().into());
        let (rounds, round) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in round {
                    // At another moment of the scan each time.
                    (0..round).for_each(|_| std::hint::spin_loop());
                    become_(&changing, &locked);
                }
            });
            for round in 0..3000 {
                become_(&changing, &free);
                rounds.send(round).expect("it goes on");
                let open = scan_some(&[std::process::id()], Some(id)).open;
                assert!(open.iter().all(|open| open.locks.is_empty()), "{open:?}");
            }
            drop(rounds);
        });
    }

    fn file() -> File {
        tempfile::tempfile().expect("a file")
    }

    fn become_(descriptor: &Mutex<OwnedFd>, file: &File) {
        let mut descriptor = descriptor.lock().expect("no panic");
        rustix::io::dup2(file, &mut descriptor).expect("its number");
    }

    #[test]
    fn the_threads_of_a_scan_handle_no_signals_of_the_program() {
        let own = thread::current().id();
        let pids: Vec<u32> = (0..64).collect();
        in_parallel(&pids, |_| {
            let status = fs::read_to_string("/proc/thread-self/status").expect("its status");
            let mut lines = status.lines();
            let mask = lines.find_map(|line| line.strip_prefix("SigBlk:\t"));
            let mask = u64::from_str_radix(mask.expect("its mask"), 16).expect("a number");
            for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGTERM] {
                let is_blocked = mask & 1 << (signal - 1) != 0;
                assert_eq!(is_blocked, thread::current().id() != own, "{signal}");
            }
            Scan::default()
        });
    }

    #[test]
    fn the_locks_of_a_descriptor_are_read_with_its_numbers() {
        let text = b"pos:\t0\nflags:\t02100002\nmnt_id:\t27\nino:\t10534991\n\
            lock:\t1: OFDLCK ADVISORY  WRITE -1 fe:00:10534991 0 EOF\n";
        let (numbers, locks) = parse(text);
        assert_eq!(numbers.mount, Some(27));
        assert_eq!(numbers.inode, Some(10_534_991));
        assert_eq!(locks.len(), 1);
    }
}
