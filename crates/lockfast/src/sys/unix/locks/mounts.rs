//! Which file system a mount is of, and how `/proc` is mounted.

use std::collections::{HashMap, HashSet};
use std::fs;

use super::scan::Numbers;
use crate::inspect::snapshot::FileKey;
use crate::sys::FileId;

/// Which file system a mount is of, and how `/proc` is mounted.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    devices: HashMap<u64, (u32, u32)>,
    looked_at: HashSet<Option<u32>>,
}

impl Mounts {
    /// How the kernel's table names the file.
    pub(super) fn key(&mut self, id: FileId, numbers: Numbers, pid: Option<u32>) -> FileKey {
        let (major, minor) = numbers
            .mount
            .and_then(|mount| self.device(mount, None).or_else(|| self.device(mount, pid)))
            .unwrap_or_else(|| (rustix::fs::major(id.device), rustix::fs::minor(id.device)));
        FileKey {
            major,
            minor,
            inode: numbers.inode.unwrap_or(id.inode),
        }
    }

    /// The numbers of mounts are the same in all namespaces, but each shows only its own.
    fn device(&mut self, mount: u64, pid: Option<u32>) -> Option<(u32, u32)> {
        if !self.devices.contains_key(&mount) && self.looked_at.insert(pid) {
            let who = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
            let text = fs::read(format!("/proc/{who}/mountinfo")).unwrap_or_default();
            self.devices
                .extend(text.split(|&byte| byte == b'\n').filter_map(parse_mount));
        }
        self.devices.get(&mount).copied()
    }

    /// Does `/proc` show only the processes of the same user?
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

/// As in `27 1 254:0 / / rw - ext4 /dev/root rw`.
fn parse_mount(line: &[u8]) -> Option<(u64, (u32, u32))> {
    let mut words = line.split(|&byte| byte == b' ');
    let mut word = || std::str::from_utf8(words.next()?).ok();
    let mount = word()?.parse().ok()?;
    word()?;
    let (major, minor) = word()?.split_once(':')?;
    Some((mount, (major.parse().ok()?, minor.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_has_the_number_of_its_file_system() {
        let line = b"27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw";
        assert_eq!(parse_mount(line), Some((27, (254, 0))));
        assert_eq!(parse_mount(b""), None);
    }
}
