//! How each file system is made and mounted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{self, Failure, Outcome};

/// A file system, and what is known of it.
#[derive(Debug)]
pub(super) struct FileSystem {
    pub(super) name: &'static str,
    /// Commands for the shell, in a directory of their own; at the end it is mounted on `here`.
    commands: &'static str,
    /// What `lockfast doctor` finds that is not kept there.
    pub(super) exceptions: &'static [(&'static str, &'static str)],
    /// Tests of several processes that it can't pass, and why; none is run if there is no list.
    pub(super) not_tested: Option<&'static [(&'static str, &'static str)]>,
}

const NO_LINGER: (&str, &str) = (
    "linger::",
    "inotify does not hear what is done behind it: lingering is unsupported",
);
const NO_LINGER_IN_MIXTURES: (&str, &str) = ("_lingers_", NO_LINGER.1);
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
        not_tested: Some(&[NO_LINGER, NO_LINGER_IN_MIXTURES, BETTER, ASKS_AGAIN]),
    },
    FileSystem {
        // It passes all locks on as those of one process, its own.
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
        // What would be ssh speaks for a server of this machine.
        name: "FUSE: sshfs",
        commands: "mkdir behind; printf '#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n' >ssh; chmod 755 ssh; \
                   sshfs -o ssh_command=$PWD/ssh nowhere:$PWD/behind here",
        exceptions: &[],
        not_tested: Some(&[
            NO_LINGER,
            NO_LINGER_IN_MIXTURES,
            NO_OTHER_USERS,
            BETTER,
            ASKS_AGAIN,
            NO_SOCKET_OF_FORK,
            NO_SOCKET_OF_COPIES,
        ]),
    },
];

/// One that is mounted, until this is dropped.
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
        // As other directories for temporary files: some tests are other users.
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
        // What is still mounted goes with the namespace.
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
