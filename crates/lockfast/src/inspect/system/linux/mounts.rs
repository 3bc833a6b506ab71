//! The file systems of mounts, and how `/proc` is mounted.

use std::collections::{HashMap, HashSet};
use std::fs;

use super::scan::Numbers;
use crate::inspect::snapshot::FileKey;
use crate::sys::FileId;

/// The mounts that were looked up, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    known: HashMap<u64, Mount>,
    looked_at: HashSet<Option<u32>>,
}

/// A mount, as `mountinfo` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mount {
    device: (u32, u32),
    is_served: bool,
}

impl Mounts {
    /// Returns the name of the file in the kernel's table.
    pub(super) fn key(&mut self, id: FileId, numbers: Numbers, pid: Option<u32>) -> FileKey {
        let (major, minor) = numbers
            .mount
            .and_then(|mount| self.find(mount, None).or_else(|| self.find(mount, pid)))
            .map_or_else(
                || (rustix::fs::major(id.device), rustix::fs::minor(id.device)),
                |mount| mount.device,
            );
        FileKey {
            major,
            minor,
            inode: numbers.inode.unwrap_or(id.inode),
        }
    }

    /// Whether a server or a process keeps the files of the mount, which may not answer. An unknown mount may be
    /// one of these.
    pub(super) fn is_served(&mut self, mount: Option<u64>, pid: Option<u32>) -> bool {
        mount
            .and_then(|mount| self.find(mount, None).or_else(|| self.find(mount, pid)))
            .is_none_or(|mount| mount.is_served)
    }

    /// Looks a mount up. Its number is the same in all namespaces, but each namespace shows only its own mounts.
    fn find(&mut self, mount: u64, pid: Option<u32>) -> Option<Mount> {
        // Each table is read once. A mount that came later stays unknown, and so counts as served.
        if !self.known.contains_key(&mount) && self.looked_at.insert(pid) {
            let who = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
            let text = fs::read(format!("/proc/{who}/mountinfo")).unwrap_or_default();
            self.known
                .extend(text.split(|&byte| byte == b'\n').filter_map(parse_mount));
        }
        self.known.get(&mount).copied()
    }

    /// Whether `/proc` shows only the processes of the same user.
    pub(super) fn hides_processes() -> bool {
        let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
        text.split(|&byte| byte == b'\n')
            .map(String::from_utf8_lossy)
            .filter(|line| line.split(' ').nth(4) == Some("/proc"))
            .filter_map(|line| Some(line.split_once(" - ")?.1.to_owned()))
            .any(|options| {
                options
                    .split([' ', ','])
                    .filter_map(|option| option.strip_prefix("hidepid="))
                    .any(|value| !matches!(value, "0" | "off"))
            })
    }
}

/// Parses a line like `27 1 254:0 / / rw - ext4 /dev/root rw`.
fn parse_mount(line: &[u8]) -> Option<(u64, Mount)> {
    let mut words = line.split(|&byte| byte == b' ');
    let mut word = || std::str::from_utf8(words.next()?).ok();
    let mount = word()?.parse().ok()?;
    word()?;
    let (major, minor) = word()?.split_once(':')?;
    let device = (major.parse().ok()?, minor.parse().ok()?);
    // Any number of fields may come before the dash.
    words.find(|word| *word == b"-")?;
    let is_served = words.next().is_none_or(is_served);
    Some((mount, Mount { device, is_served }))
}

/// Whether a server or a process keeps the files of file systems of this type.
fn is_served(file_system: &[u8]) -> bool {
    const SERVED: [&str; 20] = [
        "9p",
        "afs",
        "autofs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "smb3",
        "smbfs",
        "virtiofs",
    ];
    file_system.starts_with(b"fuse") || SERVED.iter().any(|name| name.as_bytes() == file_system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_has_the_number_of_its_file_system() {
        let line = b"27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw";
        let mount = |device, is_served| Mount { device, is_served };
        assert_eq!(parse_mount(line), Some((27, mount((254, 0), false))));
        assert_eq!(parse_mount(b""), None);
        let served = b"31 1 0:52 / /mnt rw - fuse.sshfs x:/ rw";
        assert_eq!(parse_mount(served), Some((31, mount((0, 52), true))));
    }
}
