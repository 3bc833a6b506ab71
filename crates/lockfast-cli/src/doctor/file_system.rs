//! The file system of a directory, and the known limits of its locks.

use std::ffi::OsString;
use std::path::Path;

#[cfg(any(target_os = "linux", target_os = "android"))]
use std::{fs, os::fd::AsRawFd, os::unix::ffi::OsStringExt};

use super::warning::{self, Warning};

/// A mounted file system.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileSystem {
    /// Type, as the kernel names it, for example `ext4`, `fuse.sshfs` or `NTFS`.
    pub(super) kind: String,
    pub(super) source: OsString,
    pub(super) mounted_on: OsString,
    /// Options of the mount and of the file system.
    pub(super) options: Vec<String>,
}

impl FileSystem {
    /// Finds the mount of the directory.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn of(directory: &Path) -> Option<Self> {
        // By mount id: on some file systems the device number differs from that of the mount.
        let directory = fs::File::open(directory).ok()?;
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", directory.as_raw_fd()));
        let info = info.ok()?;
        let number = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
        let mounts = fs::read("/proc/self/mountinfo").ok()?;
        Self::in_table(&mounts, number.trim())
    }

    /// Finds the volume of the directory.
    #[cfg(windows)]
    pub(super) fn of(directory: &Path) -> Option<Self> {
        let volume = crate::sys::volume(directory)?;
        let remote = volume.is_remote.then(|| "remote".to_owned());
        Some(Self {
            kind: volume.file_system,
            source: volume.name,
            mounted_on: volume.root,
            options: remote.into_iter().collect(),
        })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
    pub(super) fn of(_directory: &Path) -> Option<Self> {
        None
    }

    /// Finds a mount by its id in a table like /proc/self/mountinfo.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn in_table(table: &[u8], number: &str) -> Option<Self> {
        let line = table.split(|&byte| byte == b'\n').find(|line| {
            line.strip_prefix(number.as_bytes())
                .is_some_and(|rest| rest.starts_with(b" "))
        })?;
        let words: Vec<_> = line.split(|&byte| byte == b' ').collect();
        // A dash separates the two parts, after any number of optional fields.
        let dash = words.iter().skip(6).position(|word| *word == b"-")? + 6;
        let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
        let [kind, source, of_system] = *words.get(dash + 1..dash + 4)? else {
            return None;
        };
        let options = [words[5], of_system];
        let options = options
            .iter()
            .flat_map(|options| options.split(|&byte| byte == b','))
            .map(text);
        Some(Self {
            kind: text(kind),
            source: OsString::from_vec(unescape(source)),
            mounted_on: OsString::from_vec(unescape(words[4])),
            options: options.collect(),
        })
    }

    /// Returns the known limits that can't be tested from one machine.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        match self.kind.as_str() {
            "nfs" | "nfs4" => self.of_nfs(),
            "cifs" | "smb3" => self.of_smb(),
            "9p" => vec![warning::PLAN_9],
            "virtiofs" => vec![warning::VIRTIOFS],
            "overlay" => vec![warning::OVERLAY],
            // Not fuseblk: its device can only be mounted once.
            kind if kind == "fuse" || kind.starts_with("fuse.") => vec![warning::FUSE],
            // On Windows the type of a remote drive is that of the server's file system.
            _ if self.has("remote") => vec![warning::SERVER],
            _ => Vec::new(),
        }
    }

    fn of_nfs(&self) -> Vec<Warning> {
        let local = [
            "nolock",
            "local_lock=all",
            "local_lock=posix",
            "local_lock=flock",
        ];
        let is_local = local.into_iter().any(|option| self.has(option));
        let local = is_local.then_some(warning::NFS_LOCAL);
        let version = self.has("vers=3").then_some(warning::NFS_3);
        let warnings = [local, version, Some(warning::NFS_FLOCK)];
        warnings.into_iter().flatten().collect()
    }

    fn of_smb(&self) -> Vec<Warning> {
        let local = self.has("nobrl").then_some(warning::SMB_LOCAL);
        let warnings = [local, Some(warning::SMB_MANDATORY)];
        warnings.into_iter().flatten().collect()
    }

    fn has(&self, wanted: &str) -> bool {
        self.options.iter().any(|option| option == wanted)
    }
}

/// Decodes `\040` and the like.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let number = after.get(..3).filter(|_| first == b'\\');
        let number = number.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = number.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            plain.push(byte);
            rest = &after[3..];
        } else {
            plain.push(first);
        }
    }
    plain
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    const TABLE: &[u8] = br"22 27 0:21 / /proc rw,nosuid - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
271 27 0:44 / /srv/a\040b rw,relatime shared:1 master:2 - nfs server:/export rw,vers=3,nolock,local_lock=all
";

    fn about(kind: &str, options: &[&str]) -> Vec<&'static str> {
        let file_system = FileSystem {
            kind: kind.to_owned(),
            source: OsString::new(),
            mounted_on: OsString::new(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
        };
        let warnings = file_system.warnings().into_iter();
        warnings.map(|warning| warning.about).collect()
    }

    #[test]
    fn a_mount_is_found_by_its_number() {
        let root = FileSystem::in_table(TABLE, "27").expect("a mount");
        assert_eq!(
            (root.kind.as_str(), root.mounted_on.to_str()),
            ("ext4", Some("/"))
        );
        assert_eq!(root.options, ["rw", "relatime", "rw", "discard"]);
        let other = FileSystem::in_table(TABLE, "271").expect("a mount");
        assert_eq!(other.mounted_on.to_str(), Some("/srv/a b"));
        assert_eq!(other.source.to_str(), Some("server:/export"));
        assert_eq!(FileSystem::in_table(TABLE, "2"), None);
    }

    #[test]
    fn limits_that_cannot_be_tested_are_warnings() {
        assert_eq!(about("ext4", &["rw"]), [""; 0]);
        assert_eq!(about("tmpfs", &["nolock"]), [""; 0]);
        assert_eq!(about("fuseblk", &[]), [""; 0]);
        assert_eq!(
            about("nfs4", &["vers=4.2", "local_lock=none"]),
            ["nfs-flock"]
        );
        assert_eq!(about("nfs", &["vers=3"]), ["nfs-3", "nfs-flock"]);
        for option in [
            "nolock",
            "local_lock=all",
            "local_lock=flock",
            "local_lock=posix",
        ] {
            assert_eq!(
                about("nfs", &[option]),
                ["nfs-nolock", "nfs-flock"],
                "{option}"
            );
        }
        assert_eq!(about("9p", &[]), ["9p"]);
        assert_eq!(about("virtiofs", &[]), ["virtiofs"]);
        assert_eq!(about("cifs", &["nobrl"]), ["smb-nobrl", "smb-mandatory"]);
        assert_eq!(about("smb3", &[]), ["smb-mandatory"]);
        assert_eq!(about("overlay", &[]), ["overlay-lower"]);
        assert_eq!(about("NTFS", &[]), [""; 0]);
        assert_eq!(about("NTFS", &["remote"]), ["server"]);
        assert_eq!(about("fuse", &[]), ["fuse"]);
        assert_eq!(about("fuse.sshfs", &[]), ["fuse"]);
    }
}
