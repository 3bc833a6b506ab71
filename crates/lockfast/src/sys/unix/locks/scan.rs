//! Who has which file open.

use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, StatxFlags};
use rustix::io::Errno;

use super::table::{self, Line};
use crate::sys::FileId;

/// A descriptor of a process.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) pid: u32,
    pub(super) descriptor: i32,
    /// As `stat` tells.
    pub(super) id: FileId,
    /// As the kernel knows it itself.
    pub(super) numbers: Numbers,
    pub(super) deleted: bool,
    pub(super) locks: Vec<Line>,
}

/// Which mount and which inode a descriptor is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) mount: Option<u64>,
    pub(super) inode: Option<u64>,
}

/// What was found of all the processes.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) open: Vec<Open>,
    /// Processes whose descriptors may not be looked at.
    pub(super) unreadable: Vec<u32>,
}

impl Scan {
    pub(super) fn add(&mut self, more: Self) {
        self.open.extend(more.open);
        self.unreadable.extend(more.unreadable);
    }
}

/// Looks at all processes for descriptors of one file, or of every file that can be locked.
pub(super) fn scan(only: Option<FileId>) -> io::Result<Scan> {
    Ok(in_parallel(&pids()?, |pids| scan_some(pids, only)))
}

/// All processes that can be seen.
pub(super) fn pids() -> io::Result<Vec<u32>> {
    Ok(fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect())
}

/// Gives each processor a share of the work.
pub(super) fn in_parallel(pids: &[u32], act: impl Fn(&[u32]) -> Scan + Sync) -> Scan {
    let helpers = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(8);
    let mut shares = pids.chunks(pids.len().div_ceil(helpers).max(16));
    let act = &act;
    thread::scope(|scope| {
        // The first one is this thread's own.
        let own = shares.next().unwrap_or_default();
        let parts: Vec<_> = shares
            .map(|pids| {
                let helper = thread::Builder::new().spawn_scoped(scope, move || act(pids));
                (pids, helper)
            })
            .collect();
        let mut all = act(own);
        for (pids, helper) in parts {
            all.add(match helper {
                Ok(helper) => helper.join().unwrap_or_else(|panic| resume_unwind(panic)),
                // There may be no more threads.
                Err(_) => act(pids),
            });
        }
        all
    })
}

/// Looks at these processes.
pub(super) fn scan_some(pids: &[u32], only: Option<FileId>) -> Scan {
    let mut scan = Scan::default();
    for &pid in pids {
        // What has ended in the meantime has no locks.
        let refused = matches!(
            scan_one(pid, only, &mut scan.open),
            Err(Errno::ACCESS | Errno::PERM)
        );
        if refused && has_program(pid) {
            scan.unreadable.push(pid);
        }
    }
    scan
}

/// Does the kernel tell how many descriptors a process has? Since Linux 6.2 it does.
pub(super) fn counts_descriptors() -> bool {
    fs::metadata("/proc/self/fd").is_ok_and(|directory| directory.len() > 0)
}

/// How many descriptors it has.
pub(super) fn descriptors_of(pid: u32) -> u64 {
    fs::metadata(format!("/proc/{pid}/fd")).map_or(0, |directory| directory.len())
}

/// Is it neither one of the kernel's threads nor a process that has ended?
fn has_program(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

fn scan_one(pid: u32, only: Option<FileId>, found: &mut Vec<Open>) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(format!("/proc/{pid}/fd"), flags, Mode::empty())?;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        let Some(descriptor) = name.to_str().ok().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A server that does not answer must not hold this up: what is cached will do.
        let cached = AtFlags::from_bits_retain(0x4000); // `AT_STATX_DONT_SYNC`, not defined everywhere
        let wanted = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::NLINK;
        let Ok(stat) = rustix::fs::statx(&directory, name, cached, wanted) else {
            continue;
        };
        let id = FileId {
            device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            upper: 0,
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
        let Ok(text) = fs::read(format!("/proc/{pid}/fdinfo/{descriptor}")) else {
            continue;
        };
        let (numbers, locks) = parse(&text);
        found.push(Open {
            pid,
            descriptor,
            id,
            numbers,
            deleted: stat.stx_nlink == 0,
            locks,
        });
    }
    Ok(())
}

/// What a descriptor's `fdinfo` tells.
pub(super) fn parse(text: &[u8]) -> (Numbers, Vec<Line>) {
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

/// A path to what the descriptor is of.
pub(super) fn path_of(open: &Open) -> Option<PathBuf> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    const DELETED: &[u8] = b" (deleted)";
    let Open {
        pid, descriptor, ..
    } = open;
    let path = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()?;
    let bytes = path.as_os_str().as_bytes();
    match bytes.strip_suffix(DELETED) {
        Some(name) if open.deleted => Some(std::ffi::OsString::from_vec(name.to_vec()).into()),
        _ => Some(path),
    }
}

/// Which mount and inode a file is of that this process has open.
pub(super) fn numbers_of(file: &File) -> io::Result<Numbers> {
    use std::os::fd::AsRawFd;
    let text = fs::read(format!("/proc/thread-self/fdinfo/{}", file.as_raw_fd()))?;
    Ok(parse(&text).0)
}

#[cfg(test)]
mod tests {
    use super::*;

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
