//! Warnings of `lockfast doctor`.

/// A limitation that can't be tested from this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Warning {
    /// A stable name.
    pub(super) about: &'static str,
    pub(super) text: &'static str,
}

pub(super) const NFS_LOCAL: Warning = Warning {
    about: "nfs-nolock",
    text: "locks stay on this machine (nolock or local_lock): other clients are not excluded. \
           Mount it without that option.",
};

pub(super) const NFS_3: Warning = Warning {
    about: "nfs-3",
    text: "NFS 3 releases the locks of a crashed machine only when that machine starts again. \
           Version 4 releases them when its lease expires.",
};

pub(super) const NFS_FLOCK: Warning = Warning {
    about: "nfs-flock",
    text: "flock and fcntl locks conflict with each other here, but a flock taken on the server \
           itself excludes no client.",
};

pub(super) const PLAN_9: Warning = Warning {
    about: "9p",
    text: "locks are granted, but only within this guest: neither the host nor other guests are \
           excluded, unless the server supports locks.",
};

pub(super) const VIRTIOFS: Warning = Warning {
    about: "virtiofs",
    text: "locks are granted, but only within this guest: neither the host nor other guests are \
           excluded, unless the server is configured to pass locks on.",
};

pub(super) const SMB_LOCAL: Warning = Warning {
    about: "smb-nobrl",
    text: "locks stay on this machine (nobrl): other clients are not excluded. Mount it without \
           that option.",
};

pub(super) const SMB_MANDATORY: Warning = Warning {
    about: "smb-mandatory",
    text: "locks are mandatory here: other processes cannot even read locked bytes. Signals and \
           timeouts may not end a wait.",
};

pub(super) const OVERLAY: Warning = Warning {
    about: "overlay-lower",
    text: "a lock excludes only processes that use this overlay, not those that open the file in \
           its lower or upper directory.",
};

pub(super) const FUSE: Warning = Warning {
    about: "fuse",
    text: "the kernel may keep the locks itself: then they exclude only processes that use this \
           mount, not other machines or users of the underlying directory.",
};

pub(super) const SERVER: Warning = Warning {
    about: "server",
    text: "a server keeps the locks: whether they exclude other machines depends on it.",
};

pub(super) const SLOW: Warning = Warning {
    about: "slow",
    text: "waiters are woken late: the machine is busy, or the file system polls a server.",
};
