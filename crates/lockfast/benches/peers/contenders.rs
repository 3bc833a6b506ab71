//! Contenders: the ways of locking that are measured.

use std::fmt;

/// How many permits each semaphore has; also in `python/portalocker_semaphore.py`.
pub(crate) const PERMITS: u32 = 3;

/// A way of locking a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// The kernel's bare calls for a record lock, with an attempt that never waits.
    RawTry,
    /// As the one before, with an attempt that waits.
    Raw,
    /// A shared record lock.
    RawShared,
    RawFlock,
    Lockfast,
    /// With `try_lock_for`.
    LockfastTimed,
    /// With `lock_async`, on a runtime of one thread.
    LockfastTask,
    LockfastOff,
    LockfastPath,
    LockfastFlock,
    LockfastBoth,
    LockfastFifo,
    /// A `RwLock`, to read.
    LockfastRead,
    /// With `linger`.
    LockfastLinger,
    /// A `RwLock` with `linger`, to read.
    LockfastLingerRead,
    /// A `RwLock`, to write.
    LockfastWrite,
    /// A `ReentrantLock` that the thread has already.
    LockfastAgain,
    /// A permit of a `Semaphore`.
    LockfastPermit,
    /// A `ReentrantLock` that the thread does not have.
    LockfastReentrant,
    /// A `RwLock`, to read and perhaps to write.
    LockfastUpgradable,
    /// First to read and perhaps to write, then to write.
    LockfastUpgrade,
    /// With `Protocol::Flock` and `Verify::Off`.
    LockfastFlockOff,
    /// A handle for all threads of a process.
    LockfastThreads,
    /// flock(1), which scripts start to lock a descriptor of theirs.
    FlockTool,
    /// A `Mutex` of std, which no other process knows.
    Mutex,
    Std,
    Fs4,
    /// This and the next one in a thread of the runtime for what blocks.
    RawTask,
    Fs4Task,
    FdLock,
    /// Python's `fcntl.lockf`, which waits in the kernel.
    Lockf,
    Fasteners,
    /// In a `with`.
    FastenersWith,
    FastenersRead,
    FastenersWrite,
    Filelock,
    Portalocker,
    /// A slot of a `NamedBoundedSemaphore`.
    PortalockerPermit,
    /// The package for Python.
    Package,
    /// The package, in a `with`.
    PackageWith,
    /// The module of the package for programs of fasteners.
    DropIn,
    /// That module, in a `with`.
    DropInWith,
    DropInRead,
}

impl Contender {
    const ALL: [Self; 43] = [
        Self::RawTry,
        Self::Raw,
        Self::RawShared,
        Self::RawFlock,
        Self::Lockfast,
        Self::LockfastTimed,
        Self::LockfastTask,
        Self::LockfastOff,
        Self::LockfastPath,
        Self::LockfastFlock,
        Self::LockfastBoth,
        Self::LockfastFifo,
        Self::LockfastRead,
        Self::LockfastLinger,
        Self::LockfastLingerRead,
        Self::LockfastWrite,
        Self::LockfastAgain,
        Self::LockfastPermit,
        Self::LockfastReentrant,
        Self::LockfastUpgradable,
        Self::LockfastUpgrade,
        Self::LockfastFlockOff,
        Self::LockfastThreads,
        Self::FlockTool,
        Self::Mutex,
        Self::Std,
        Self::Fs4,
        Self::RawTask,
        Self::Fs4Task,
        Self::FdLock,
        Self::Lockf,
        Self::Fasteners,
        Self::FastenersWith,
        Self::FastenersRead,
        Self::FastenersWrite,
        Self::Filelock,
        Self::Portalocker,
        Self::PortalockerPermit,
        Self::Package,
        Self::PackageWith,
        Self::DropIn,
        Self::DropInWith,
        Self::DropInRead,
    ];

    /// The one that goes by that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|contender| contender.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RawTry => "raw F_OFD_SETLK",
            Self::Raw => "raw F_OFD_SETLKW",
            Self::RawShared => "raw F_OFD_SETLKW, shared",
            Self::RawFlock => "raw flock",
            Self::Lockfast => "lockfast",
            Self::LockfastTimed => "lockfast with a deadline",
            Self::LockfastTask => "lockfast lock_async on tokio",
            Self::LockfastOff => "lockfast with Verify::Off",
            Self::LockfastPath => "lockfast with Verify::Path",
            Self::LockfastFlock => "lockfast with Protocol::Flock",
            Self::LockfastBoth => "lockfast with Protocol::Both",
            Self::LockfastFifo => "lockfast with Fairness::Fifo",
            Self::LockfastRead => "lockfast RwLock::read",
            Self::LockfastLinger => "lockfast with linger",
            Self::LockfastLingerRead => "lockfast RwLock::read with linger",
            Self::LockfastWrite => "lockfast RwLock::write",
            Self::LockfastAgain => "lockfast ReentrantLock, again",
            Self::LockfastPermit => "lockfast Semaphore",
            Self::LockfastReentrant => "lockfast ReentrantLock",
            Self::LockfastUpgradable => "lockfast RwLock::upgradable_read",
            Self::LockfastUpgrade => "lockfast RwLock upgrade",
            Self::LockfastFlockOff => "lockfast with Protocol::Flock, Verify::Off",
            Self::LockfastThreads => "lockfast, threads of one handle",
            Self::FlockTool => "flock(1) on a descriptor",
            Self::Mutex => "std Mutex",
            Self::Std => "std File::lock",
            Self::Fs4 => "fs4",
            Self::RawTask => "raw F_OFD_SETLKW in tokio's spawn_blocking",
            Self::Fs4Task => "fs4 in tokio's spawn_blocking",
            Self::FdLock => "fd-lock",
            Self::Lockf => "fcntl.lockf of Python",
            Self::Fasteners => "fasteners",
            Self::FastenersWith => "fasteners, with",
            Self::FastenersRead => "fasteners reader",
            Self::FastenersWrite => "fasteners writer",
            Self::Filelock => "filelock",
            Self::Portalocker => "portalocker",
            Self::PortalockerPermit => "portalocker NamedBoundedSemaphore",
            Self::Package => "lockfast in Python",
            Self::PackageWith => "lockfast in Python, with",
            Self::DropIn => "lockfast.fasteners",
            Self::DropInWith => "lockfast.fasteners, with",
            Self::DropInRead => "lockfast.fasteners reader",
        }
    }

    /// How many may have it at once.
    pub(crate) fn permits(self) -> u32 {
        match self {
            Self::LockfastPermit | Self::PortalockerPermit => PERMITS,
            _ => 1,
        }
    }

    /// Whether it is for Python.
    pub(crate) fn is_python(self) -> bool {
        self.script().is_some()
    }

    /// The script that is its worker, if it is for Python.
    pub(crate) fn script(self) -> Option<&'static str> {
        match self {
            Self::Lockf => Some("lockf.py"),
            Self::Fasteners => Some("fasteners_.py"),
            Self::FastenersWith => Some("fasteners_with.py"),
            Self::FastenersRead => Some("fasteners_reader.py"),
            Self::FastenersWrite => Some("fasteners_writer.py"),
            Self::Filelock => Some("filelock_.py"),
            Self::Portalocker => Some("portalocker_.py"),
            Self::PortalockerPermit => Some("portalocker_semaphore.py"),
            Self::Package => Some("lockfast_.py"),
            Self::PackageWith => Some("lockfast_with.py"),
            Self::DropIn => Some("dropin.py"),
            Self::DropInWith => Some("dropin_with.py"),
            Self::DropInRead => Some("dropin_reader.py"),
            _ => None,
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
