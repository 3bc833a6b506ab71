//! File systems, and how to create and mount them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{self, Failure, Outcome};

/// A file system, with its known exceptions.
#[derive(Debug)]
pub(super) struct FileSystem {
    pub(super) name: &'static str,
    /// Shell commands that mount the file system on `here`, in an empty folder.
    commands: &'static str,
    /// Promises that `lockfast doctor` finds not kept, with the verdicts.
    pub(super) exceptions: &'static [(&'static str, &'static str)],
    /// Tests of several processes that can't pass, with the reasons. `None`: no test runs.
    pub(super) not_tested: Option<&'static [(&'static str, &'static str)]>,
}

const NO_LINGER: (&str, &str) = (
    "linger::",
    "inotify does not hear what is done behind it: lingering is unsupported",
);
const NO_LINGER_IN_MIXTURES: (&str, &str) = ("_lingers_", NO_LINGER.1);
const NO_LINE: [(&str, &str); 3] = {
    let reason = "a server or process keeps the locks: newcomers do not look for those that wait";
    [
        ("overtaken_by_what_is_on_its_way", reason),
        ("readers_do_not_overtake_a_writer_that_waits", reason),
        ("is_overtaken_rarely", reason),
    ]
};
const NO_OTHER_USERS: (&str, &str) = ("ownership::", "only the user who has mounted it gets in");
const BETTER: (&str, &str) = (
    "identity::a_moved_directory_is_noticed_when_asked",
    "that is noticed there without being asked for, too",
);
const ASKS_AGAIN: (&str, &str) = (
    "waiting::waiters_sleep_until_the_release",
    "a wait asks a file system that may be a server's again each second",
);
const NO_SOCKET: &str = "the test puts a socket beside the lock file, and it has none";
const NO_SOCKET_OF_FORK: (&str, &str) = (
    "waiting::a_fork_leaves_the_waits_of_the_parent_to_it",
    NO_SOCKET,
);
const NO_SOCKET_OF_COPIES: (&str, &str) = (
    "semaphore::a_childs_copies_hold_nothing_and_its_handle_works",
    NO_SOCKET,
);

pub(super) const ALL: [FileSystem; 8] = [
    FileSystem {
        name: "tmpfs",
        commands: "mount -t tmpfs none here",
        exceptions: &[],
        not_tested: Some(&[]),
    },
    FileSystem {
        name: "ext4",
        commands: "truncate --size 64M image; mkfs.ext4 -q image; mount -o loop image here",
        exceptions: &[],
        not_tested: Some(&[]),
    },
    FileSystem {
        name: "xfs",
        commands: "truncate --size 320M image; mkfs.xfs -q image; mount -o loop image here",
        exceptions: &[],
        not_tested: Some(&[]),
    },
    FileSystem {
        name: "btrfs",
        commands: "truncate --size 256M image; mkfs.btrfs -q image; mount -o loop image here",
        exceptions: &[],
        not_tested: Some(&[]),
    },
    FileSystem {
        name: "overlay",
        commands: "mkdir all; mount -t tmpfs none all; mkdir all/lower all/upper all/work; \
                   mount -t overlay none -o lowerdir=all/lower,upperdir=all/upper,workdir=all/work here",
        exceptions: &[],
        not_tested: Some(&[]),
    },
    FileSystem {
        name: "FUSE: bindfs",
        commands: "mkdir behind; bindfs behind here",
        exceptions: &[],
        not_tested: Some(&[
            NO_LINGER,
            NO_LINGER_IN_MIXTURES,
            NO_LINE[0],
            NO_LINE[1],
            NO_LINE[2],
            BETTER,
            ASKS_AGAIN,
        ]),
    },
    FileSystem {
        // Passes all locks on as locks of one process, its own.
        name: "FUSE: bindfs, locks passed on",
        commands: "mkdir behind; bindfs --multithreaded --enable-lock-forwarding behind here",
        exceptions: &[
            ("exclusion", "unsupported"),
            ("shared", "untested"),
            ("upgrade", "untested"),
            ("deadline", "untested"),
            ("wake-after-release", "untested"),
            ("wake-after-kill", "untested"),
            ("identity", "untested"),
        ],
        not_tested: None,
    },
    FileSystem {
        // The script in place of ssh starts a server on this machine.
        name: "FUSE: sshfs",
        commands: "mkdir behind; printf '#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n' >ssh; chmod 755 ssh; \
                   sshfs -o ssh_command=$PWD/ssh nowhere:$PWD/behind here",
        exceptions: &[],
        not_tested: Some(&[
            NO_LINGER,
            NO_LINGER_IN_MIXTURES,
            NO_LINE[0],
            NO_LINE[1],
            NO_LINE[2],
            NO_OTHER_USERS,
            BETTER,
            ASKS_AGAIN,
            NO_SOCKET_OF_FORK,
            NO_SOCKET_OF_COPIES,
        ]),
    },
];

/// A mounted file system; dropping it unmounts it.
#[derive(Debug)]
pub(super) struct Mounted {
    folder: PathBuf,
    directory: PathBuf,
}

impl Mounted {
    pub(super) fn mount(system: &FileSystem) -> Result<Self, Failure> {
        let folder = crate::platforms::folder().join("local");
        empty(&folder)?;
        let directory = folder.join("here");
        let fail = |error| step::failed("create", &directory, &error);
        fs::create_dir(&directory).map_err(fail)?;
        let mut shell = Command::new("sh");
        step::run_in(&folder, shell.args(["-e", "-c", system.commands]))?;
        let mounted = Self { folder, directory };
        // As for other temporary files: some tests run as other users.
        let all = fs::Permissions::from_mode(0o777);
        fs::set_permissions(&mounted.directory, all)
            .map_err(|error| step::failed("open", &mounted.directory, &error))?;
        Ok(mounted)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // The namespace ends with this process, and other mounts with it.
        for name in ["here", "all"] {
            let mut unmount = Command::new("umount");
            let path = self.folder.join(name);
            if path.exists() {
                let _ = unmount.args(["--lazy", "--quiet"]).arg(path).status();
            }
        }
    }
}

fn empty(folder: &Path) -> Outcome {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| step::failed("remove", folder, &error))?;
    }
    fs::create_dir_all(folder).map_err(|error| step::failed("create", folder, &error))
}
