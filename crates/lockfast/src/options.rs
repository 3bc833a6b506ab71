//! How a lock is opened.

use std::fmt;
use std::fs::File;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::identity::Verify;
use crate::named::{self, Directory, Scope};
use crate::protocol::Protocol;
use crate::wait::Waiting;
use crate::{Lock, ReentrantLock, RwLock, handle::Handle};

/// Everything about a lock that can be chosen, ending in [`open`](Self::open).
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("run/demo.lock");
/// use lockfast::{Lock, Verify};
///
/// let lock = Lock::options()
///     .mode(0o660)
///     .create_dirs(true)
///     .verify(Verify::Path)
///     .open(&path)?;
/// drop(lock.lock()?);
/// # Ok(())
/// # }
/// ```
///
/// `Options` is for a [`Lock`], `Options<RwLock>` for an [`RwLock`], `Options<Semaphore>` for a
/// [`Semaphore`](crate::Semaphore); each comes from its type's `options()`.
#[must_use = "options do nothing until `open` is called"]
pub struct Options<L = Lock> {
    settings: Settings,
    primitive: PhantomData<fn() -> L>,
}

/// What was chosen, whatever it is for.
#[derive(Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct Settings {
    pub(crate) mode: Option<u32>,
    pub(crate) create_dirs: bool,
    pub(crate) follow_symlinks: bool,
    pub(crate) protocol: Protocol,
    pub(crate) verify: Verify,
    pub(crate) remove_on_release: bool,
    pub(crate) on_wait: Option<WaitHook>,
    pub(crate) wait_interval: Option<Duration>,
    pub(crate) on_interrupt: Option<InterruptHook>,
    pub(crate) scope: Scope,
    /// Where the file is, if the lock was opened by a name.
    pub(crate) directory: Option<Directory>,
    /// Can it be held beside others, so that a file that can only be read will do?
    pub(crate) shares: bool,
    /// How many permits there are, for a semaphore.
    pub(crate) permits: Option<u32>,
}

pub(crate) type WaitHook = Arc<dyn Fn(&Waiting<'_>) -> ControlFlow<()> + Send + Sync>;
pub(crate) type InterruptHook = Arc<dyn Fn() -> ControlFlow<()> + Send + Sync>;

impl<L> Options<L> {
    pub(crate) fn new() -> Self {
        let settings = Settings {
            mode: None,
            create_dirs: true,
            follow_symlinks: false,
            protocol: Protocol::default(),
            verify: Verify::default(),
            remove_on_release: false,
            on_wait: None,
            wait_interval: None,
            on_interrupt: None,
            scope: Scope::default(),
            directory: None,
            shares: false,
            permits: None,
        };
        Self {
            settings,
            primitive: PhantomData,
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Creates the lock file with exactly this mode, whatever the umask.
    ///
    /// Without it the mode is what the umask leaves of `0o666`. A file that exists keeps its mode.
    ///
    /// # Errors
    ///
    /// [`open`](Self::open) refuses a mode above `0o7777`.
    ///
    /// # Platform-specific behaviour
    ///
    /// On Linux the file has that mode from the moment that others can see it, where its file
    /// system has `O_TMPFILE`; elsewhere it is corrected right after it was created.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("shared.lock");
    /// // All users of the group may take the lock.
    /// lockfast::Lock::options().mode(0o660).open(&path)?;
    /// # #[cfg(unix)] {
    /// use std::os::unix::fs::PermissionsExt;
    /// assert_eq!(path.metadata()?.permissions().mode() & 0o7777, 0o660);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn mode(mut self, mode: u32) -> Self {
        self.settings.mode = Some(mode);
        self
    }

    /// Creates the directories that the path needs; `true` unless set.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("missing/demo.lock");
    /// let error = lockfast::Lock::options().create_dirs(false).open(&path).unwrap_err();
    /// assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::NotFound);
    ///
    /// lockfast::Lock::options().create_dirs(true).open(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_dirs(mut self, create_dirs: bool) -> Self {
        self.settings.create_dirs = create_dirs;
        self
    }

    /// Follows a symbolic link at the end of the path; `false` unless set.
    ///
    /// In a directory that others can write to, a link could make the program create a file
    /// anywhere, so it is refused. Links in the directories of the path are always followed.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(unix)]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let link = dir.path().join("link.lock");
    /// std::os::unix::fs::symlink("target.lock", &link)?;
    /// assert!(lockfast::Lock::open(&link).unwrap_err().is_invalid_path());
    ///
    /// lockfast::Lock::options().follow_symlinks(true).open(&link)?;
    /// assert!(dir.path().join("target.lock").exists());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(unix))] fn main() {}
    /// ```
    pub fn follow_symlinks(mut self, follow_symlinks: bool) -> Self {
        self.settings.follow_symlinks = follow_symlinks;
        self
    }

    /// Chooses the kernel locks, and so the programs that are excluded; [`Protocol::Fcntl`] unless
    /// set.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// use lockfast::{Lock, Protocol};
    /// let lock = Lock::options().protocol(Protocol::Both).open(&path)?;
    /// drop(lock.lock()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.settings.protocol = protocol;
        self
    }

    /// Chooses how each acquire checks that the file is still the one at the path;
    /// [`Verify::Links`] unless set.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// use lockfast::{Lock, Verify};
    /// let lock = Lock::options().verify(Verify::Off).open(&path)?;
    /// drop(lock.lock()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn verify(mut self, verify: Verify) -> Self {
        self.settings.verify = verify;
        self
    }

    /// Removes the lock file at each release; `false` unless set.
    ///
    /// The file is removed while the lock is held, and those who waited for it notice and go on
    /// with a new file: nobody gets in twice, and nobody sees the file missing. This holds among
    /// users of lockfast (with or without this option, unless their [`Verify`] is off); programs
    /// that lock a file without checking that it is still there must not share a path whose file
    /// is removed.
    ///
    /// # Errors
    ///
    /// [`open`](Self::open) refuses the combination with [`Verify::Off`], and
    /// [`from_file`](Self::from_file) refuses it altogether. A file that can't be removed is an
    /// error of [`LockGuard::release`](crate::LockGuard::release); the lock is released
    /// nevertheless.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// let lock = lockfast::Lock::options().remove_on_release(true).open(&path)?;
    /// lock.lock()?.release()?;
    /// assert!(!path.exists());
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove_on_release(mut self, remove_on_release: bool) -> Self {
        self.settings.remove_on_release = remove_on_release;
        self
    }

    /// Calls a function when a wait begins: when the lock turns out to be held.
    ///
    /// It is called once a wait, by the thread that waits, and again at each
    /// [`wait_interval`](Self::wait_interval). When it returns [`ControlFlow::Break`] the wait ends
    /// with an error whose [`is_cancelled`](crate::Error::is_cancelled) is true. A panic of the
    /// function ends the wait and goes on in the thread that waits. Attempts that do not wait
    /// (`try_lock`) do not call it.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// use lockfast::Lock;
    /// use std::ops::ControlFlow;
    ///
    /// let other = Lock::open(&path)?;
    /// let guard = other.lock()?;
    ///
    /// let lock = Lock::options()
    ///     .on_wait(|waiting| {
    ///         println!("waiting for {}", waiting.path().display());
    ///         ControlFlow::Break(()) // do not wait, after all
    ///     })
    ///     .open(&path)?;
    /// assert!(lock.lock().unwrap_err().is_cancelled());
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_wait(
        mut self,
        hook: impl Fn(&Waiting<'_>) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.settings.on_wait = Some(Arc::new(hook));
        self
    }

    /// How long after the last call, at the earliest, [`on_wait`](Self::on_wait) is called again;
    /// never unless set.
    ///
    /// The further calls are made by a thread that lives while the wait lasts, so that the waiting
    /// thread keeps its place in the kernel's queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// use lockfast::Lock;
    /// use std::ops::ControlFlow;
    /// use std::time::Duration;
    ///
    /// let other = Lock::open(&path)?;
    /// let guard = other.lock()?;
    ///
    /// let enough = Duration::from_millis(20);
    /// let lock = Lock::options()
    ///     .wait_interval(Duration::from_millis(5))
    ///     .on_wait(move |waiting| {
    ///         if waiting.waited() < enough { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    ///     })
    ///     .open(&path)?;
    /// assert!(lock.lock().unwrap_err().is_cancelled());
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_interval(mut self, interval: Duration) -> Self {
        self.settings.wait_interval = Some(interval);
        self
    }

    /// Asks a function, each time that a signal interrupted a wait, whether to give up.
    ///
    /// Without it a signal that the program handles does not end a wait: the handler runs and the
    /// wait goes on. Language bindings use this to let their interpreter handle the signal (Ctrl-C)
    /// and to end the wait when it raised an exception: [`ControlFlow::Break`] ends it with an
    /// error whose [`is_cancelled`](crate::Error::is_cancelled) is true.
    ///
    /// # Platform-specific behaviour
    ///
    /// A handler installed with `SA_RESTART` does not interrupt, so the function is not asked. Among
    /// the threads of one process it is asked ten times a second on systems other than Linux.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// use std::ops::ControlFlow;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// static CTRL_C: AtomicBool = AtomicBool::new(false);
    /// let lock = lockfast::Lock::options()
    ///     .on_interrupt(|| match CTRL_C.load(Ordering::Relaxed) {
    ///         true => ControlFlow::Break(()),
    ///         false => ControlFlow::Continue(()),
    ///     })
    ///     .open(&path)?;
    /// drop(lock.lock()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_interrupt(
        mut self,
        hook: impl Fn() -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.settings.on_interrupt = Some(Arc::new(hook));
        self
    }

    /// With whom a lock that is opened by a name is shared; [`Scope::User`] unless set.
    ///
    /// [`open`](Self::open) does not look at it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # fn main() -> Result<(), lockfast::Error> {
    /// use lockfast::{Lock, Scope};
    /// let printer = Lock::options().scope(Scope::Machine).open_named("lockfast-docs-printer")?;
    /// drop(printer.lock()?);
    /// # std::fs::remove_file(printer.path()).ok();
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))] fn main() {}
    /// ```
    pub fn scope(mut self, scope: Scope) -> Self {
        self.settings.scope = scope;
        self
    }
}

impl Options<Lock> {
    /// Opens the lock at that path, creating the file if it is not there. Nothing is locked yet.
    ///
    /// A relative path is made absolute now: a later change of the working directory does not
    /// change which lock this is.
    ///
    /// # Errors
    ///
    /// When the file can't be opened or created, with the reason; in particular
    /// [`is_invalid_path`](crate::Error::is_invalid_path) for a path that is empty or at which
    /// something other than a regular file stands,
    /// [`is_permission_denied`](crate::Error::is_permission_denied), and
    /// [`is_unsupported`](crate::Error::is_unsupported) on a platform without file locks.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// let lock = lockfast::Lock::options().mode(0o600).open(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Lock> {
        Handle::open(path.as_ref(), self.settings.clone()).map(Lock::from_handle)
    }

    /// Opens the lock with that name, creating its file if it is not there. Nothing is locked yet.
    ///
    /// [`scope`](Self::scope) says with whom it is shared, and [`Scope`] where its file is. A name
    /// has 1 to 200 bytes, does not begin with a dot, and has neither `/` nor control characters.
    /// Names that differ in case only are different names, if the file system tells them apart.
    ///
    /// The file has mode `0o600`, or `0o666` for the machine, unless [`mode`](Self::mode) says
    /// otherwise. No link is followed, and no directory is created but the user's own,
    /// whatever the other options say.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open); with [`is_invalid_path`](crate::Error::is_invalid_path) for a
    /// name that breaks the rules, and when the directory is not safe because somebody else could
    /// enter it or replace what is in it. With [`is_unsupported`](crate::Error::is_unsupported) on
    /// a system that has no directory for the scope.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockfast::Error> {
    /// let lock = lockfast::Lock::options().open_named("lockfast-docs-nightly")?;
    /// drop(lock.lock()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_named(&self, name: impl AsRef<str>) -> Result<Lock> {
        let (path, settings) = named::locate(name.as_ref(), &self.settings)?;
        Handle::open(&path, settings).map(Lock::from_handle)
    }

    /// Locks a file that is already open. Nothing is locked yet.
    ///
    /// The lock is on that file wherever it is, even when it was deleted: `verify` does not apply,
    /// nor do the options about opening. See [`Lock::from_file`].
    ///
    /// # Errors
    ///
    /// When it is not a regular file, or with [`remove_on_release`](Self::remove_on_release).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use lockfast::{Lock, Protocol};
    /// let file = tempfile::tempfile()?;
    /// let lock = Lock::options().protocol(Protocol::Flock).from_file(file)?;
    /// drop(lock.lock()?);
    /// # Ok(())
    /// # }
    /// ```
    #[allow(
        clippy::wrong_self_convention,
        reason = "the fixed name; this is a builder"
    )]
    pub fn from_file(&self, file: File) -> Result<Lock> {
        Handle::from_file(file, self.settings.clone()).map(Lock::from_handle)
    }
}

impl Options<RwLock> {
    /// Opens the lock at that path, creating the file if it is not there. Nothing is locked yet.
    ///
    /// A file that the user may only read can be opened too: then [`read`](RwLock::read) works and
    /// what needs to write is an error. A relative path is made absolute now.
    ///
    /// # Errors
    ///
    /// As for a [`Lock`](Options::open).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cache.lock");
    /// let cache = lockfast::RwLock::options().mode(0o644).open(&path)?;
    /// drop(cache.read()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(&self, path: impl AsRef<Path>) -> Result<RwLock> {
        Handle::open(path.as_ref(), self.sharing()).map(RwLock::from_handle)
    }

    /// Opens the lock with that name, creating its file if it is not there. Nothing is locked yet.
    ///
    /// What a name is and where its file is: see there for a [`Lock`](Options::open_named). The
    /// two share the names: a `Lock` excludes the readers and writers of an `RwLock` of its name.
    ///
    /// # Errors
    ///
    /// As for a [`Lock`](Options::open_named).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockfast::Error> {
    /// let cache = lockfast::RwLock::options().open_named("lockfast-docs-cache")?;
    /// drop(cache.read()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_named(&self, name: impl AsRef<str>) -> Result<RwLock> {
        let (path, settings) = named::locate(name.as_ref(), &self.sharing())?;
        Handle::open(&path, settings).map(RwLock::from_handle)
    }

    /// Locks a file that is already open. Nothing is locked yet. See [`RwLock::from_file`].
    ///
    /// # Errors
    ///
    /// When it is not a regular file, or with [`remove_on_release`](Self::remove_on_release).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use lockfast::{Protocol, RwLock};
    /// let file = tempfile::tempfile()?;
    /// let lock = RwLock::options().protocol(Protocol::Flock).from_file(file)?;
    /// drop(lock.read()?);
    /// # Ok(())
    /// # }
    /// ```
    #[allow(
        clippy::wrong_self_convention,
        reason = "the fixed name; this is a builder"
    )]
    pub fn from_file(&self, file: File) -> Result<RwLock> {
        Handle::from_file(file, self.sharing()).map(RwLock::from_handle)
    }

    fn sharing(&self) -> Settings {
        Settings {
            shares: true,
            ..self.settings.clone()
        }
    }
}

impl Options<ReentrantLock> {
    /// Opens the lock at that path, creating the file if it is not there. Nothing is locked yet.
    ///
    /// # Errors
    ///
    /// As for a [`Lock`](Options::open).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("state.lock");
    /// let lock = lockfast::ReentrantLock::options().mode(0o600).open(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn open(&self, path: impl AsRef<Path>) -> Result<ReentrantLock> {
        Handle::open(path.as_ref(), self.settings.clone())
            .map(Lock::from_handle)
            .map(ReentrantLock::from_lock)
    }
}

impl<L> Clone for Options<L> {
    fn clone(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            primitive: PhantomData,
        }
    }
}

impl<L> Default for Options<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L> fmt::Debug for Options<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("mode", &self.mode)
            .field("create_dirs", &self.create_dirs)
            .field("follow_symlinks", &self.follow_symlinks)
            .field("protocol", &self.protocol)
            .field("verify", &self.verify)
            .field("remove_on_release", &self.remove_on_release)
            .field("on_wait", &self.on_wait.is_some())
            .field("wait_interval", &self.wait_interval)
            .field("on_interrupt", &self.on_interrupt.is_some())
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
