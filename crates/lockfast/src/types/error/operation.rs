//! The operations that can fail, and the words for them.

/// An operation that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Opening the lock.
    Open,
    /// Opening a file on which another program has a lease.
    OpenLeased,
    /// Turning a name into a path.
    Name,
    /// Using the directory of named locks.
    UseDirectory,
    /// Creating the directory of the lock file.
    CreateDirs,
    /// Taking the lock.
    Lock,
    /// Acquiring permits.
    Acquire,
    /// Turning an upgradable reader into the writer.
    Upgrade,
    /// Turning a writer into a reader.
    Downgrade,
    /// Checking whether the file is still at its path.
    Check,
    /// Searching for holders and waiters.
    #[cfg_attr(
        not(feature = "inspect"),
        allow(dead_code, reason = "only that feature inspects")
    )]
    Inspect,
    /// Going on with a lock that was taken.
    Rely,
    /// Passing a fence with the token of a lock.
    Pass,
    /// Taking a lock away from its holder.
    Break,
    /// Opening a space of names.
    OpenSpace,
    /// Removing the lock file.
    Remove,
    /// Releasing the lock.
    Release,
    /// Writing the owner record.
    Record,
}

impl Operation {
    pub(super) fn failed(self) -> &'static str {
        match self {
            Self::Open | Self::OpenLeased => "cannot open lock file",
            Self::Name => "cannot name a lock",
            Self::UseDirectory => "cannot keep named locks in",
            Self::CreateDirs => "cannot create the directory of lock file",
            Self::Lock => "cannot take lock",
            Self::Acquire => "cannot acquire a permit of",
            Self::Upgrade => "cannot upgrade to a writer of lock",
            Self::Downgrade => "cannot downgrade to a reader of lock",
            Self::Inspect => "cannot tell who holds the locks of",
            Self::Check => "cannot check whether this is still the file of lock",
            Self::Rely => "cannot rely on lock",
            Self::Pass => "cannot pass fence",
            Self::Break => "cannot break lock",
            Self::OpenSpace => "cannot open space",
            Self::Remove => "cannot remove lock file",
            Self::Release => "cannot release lock",
            Self::Record => "cannot write the owner record of lock",
        }
    }

    /// The reason why it could not be had at once.
    pub(super) fn in_the_way(self) -> &'static str {
        match self {
            Self::Acquire => "too few are free, or others wait for one",
            Self::Open => "a program has locked the whole file",
            Self::OpenLeased => {
                "another program has a lease on its file (F_SETLEASE), and has not given it up yet"
            }
            _ => "it is held",
        }
    }

    /// The reason, before the name of a holder.
    pub(super) fn held(self) -> &'static str {
        match self {
            Self::Acquire => "too few are free, permits are held",
            _ => "it is held",
        }
    }

    /// The object of a wait.
    pub(super) fn awaited(self) -> &'static str {
        match self {
            Self::Upgrade => "the upgrade to a writer of lock",
            Self::Acquire => "a permit of",
            _ => "lock",
        }
    }
}
