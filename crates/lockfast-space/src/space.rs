//! Spaces of names.

use std::env;
use std::fmt;

use lockfast::engine::{self, Capabilities, Cause, Operation};
use lockfast::{Error, Resource, Result};
use lockfast_lease::options::shown;
use lockfast_lease::{Check, Entry};

use crate::any::{AnyLock, AnySemaphore};
use crate::directory::Directory;
use crate::url::Scheme;
#[cfg(any(not(feature = "etcd"), not(feature = "postgres")))]
use crate::url::refused;
use crate::{Lock, RwLock, Semaphore};

/// The environment variable with the URL of a program's space.
pub const SPACE: &str = "LOCKFAST_SPACE";

/// A space of names, each of which is a lock. Clones share the connection.
///
/// # Examples
///
/// See [the crate](crate).
#[derive(Clone)]
pub struct Space {
    /// Without a password.
    url: String,
    server: Server,
}

/// The system that keeps the locks.
#[derive(Clone, Debug)]
enum Server {
    Directory(Directory),
    #[cfg(feature = "etcd")]
    Etcd(lockfast_etcd::Client),
    #[cfg(feature = "postgres")]
    Postgres(lockfast_postgres::Client),
}

/// The wait of an open.
#[derive(Clone, Copy)]
enum Wait {
    ForServer,
    /// None: the first lock has to wait anyway.
    ForLock,
}

/// Evaluates the expression for whichever client.
macro_rules! of_server {
    ($space:expr, $client:ident => $value:expr) => {
        match &$space.server {
            Server::Directory($client) => $value,
            #[cfg(feature = "etcd")]
            Server::Etcd($client) => $value,
            #[cfg(feature = "postgres")]
            Server::Postgres($client) => $value,
        }
    };
}

impl Space {
    /// Opens the space at that URL. Passwords are taken from the environment or a file, as the engine describes.
    ///
    /// # Blocking
    ///
    /// Until the server has answered, or the time-out of the URL has passed.
    ///
    /// # Errors
    ///
    /// If the URL has an option that the engine does not have, or a scheme whose feature was not built
    /// ([`is_unsupported`](Error::is_unsupported)); when the server can't be reached
    /// ([`Unreachable`](lockfast::ErrorKind::Unreachable)) or refuses. The error names the URL without a password.
    ///
    /// # Examples
    ///
    /// ```
    /// use lockfast_space::Space;
    ///
    /// let error = Space::open("file:///tmp?speed=high").unwrap_err();
    /// assert_eq!(error.kind(), lockfast::ErrorKind::InvalidOption);
    /// ```
    pub fn open(url: &str) -> Result<Self> {
        Self::with(url, Wait::ForServer)
    }

    /// Opens the space for a program that takes a lock at once: errors about the server may then be those of that
    /// lock, and it is reached once and not twice.
    ///
    /// # Blocking
    ///
    /// As [`open`](Self::open), unless the engine can leave the wait to the first lock, as that on etcd.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> lockfast::Result<()> {
    /// use lockfast_space::Space;
    ///
    /// let guard = Space::connect("etcd://localhost/jobs")?.lock("nightly")?.lock()?;
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect(url: &str) -> Result<Self> {
        Self::with(url, Wait::ForLock)
    }

    fn with(url: &str, wait: Wait) -> Result<Self> {
        let server = match (Scheme::of(url)?, wait) {
            (Scheme::File, _) => Server::Directory(Directory::open(url)?),
            #[cfg(feature = "etcd")]
            (Scheme::Etcd, Wait::ForServer) => Server::Etcd(lockfast_etcd::Client::open(url)?),
            #[cfg(feature = "etcd")]
            (Scheme::Etcd, Wait::ForLock) => Server::Etcd(lockfast_etcd::Client::connect(url)?),
            #[cfg(feature = "postgres")]
            (Scheme::Postgres, _) => Server::Postgres(lockfast_postgres::Client::open(url)?),
            #[cfg(not(feature = "etcd"))]
            (Scheme::Etcd, _) => return Err(not_built(url, "etcd")),
            #[cfg(not(feature = "postgres"))]
            (Scheme::Postgres, _) => return Err(not_built(url, "postgres")),
        };
        let url = shown(url);
        Ok(Self { url, server })
    }

    /// Opens the space that the environment variable [`LOCKFAST_SPACE`](SPACE) names; `None` if it is not set.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), lockfast::Error> {
    /// use lockfast_space::Space;
    ///
    /// let space = match Space::from_env()? {
    ///     Some(space) => space,
    ///     None => Space::open("file:///tmp/my-locks")?,
    /// };
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_env() -> Result<Option<Self>> {
        let url = env::var(SPACE).ok().filter(|url| !url.is_empty());
        url.map(|url| Self::open(&url)).transpose()
    }

    /// The URL, without password and options.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Opens the exclusive lock with that name. Nothing is locked yet.
    ///
    /// A name has up to 200 bytes, no `/` and no control characters, and does not begin with a dot: the same
    /// in each engine, so that a program can change its engine.
    ///
    /// # Errors
    ///
    /// If there can't be such a name ([`is_invalid_path`](Error::is_invalid_path)), or the engine refuses.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let space = lockfast_space::Space::open(&format!("file://{}", dir.path().display()))?;
    /// let guard = space.lock("nightly")?.lock()?;
    /// assert!(space.lock("nightly")?.try_lock().unwrap_err().is_contended());
    /// assert!(space.lock("a/b").unwrap_err().is_invalid_path());
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lock(&self, name: &str) -> Result<Lock> {
        self.raw_lock(name).map(Lock::from_raw)
    }

    /// Opens the readers-writer lock with that name. Nothing is locked yet.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let space = lockfast_space::Space::open(&format!("file://{}", dir.path().display()))?;
    /// let cache = space.rwlock("cache")?;
    /// let (one, other) = (cache.read()?, cache.read()?);
    /// assert!(cache.try_write().unwrap_err().is_contended());
    /// # drop((one, other));
    /// # Ok(())
    /// # }
    /// ```
    pub fn rwlock(&self, name: &str) -> Result<RwLock> {
        self.raw_lock(name).map(RwLock::from_raw)
    }

    /// Opens the semaphore with that name and number of permits, which all users of the name must pass.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock); when others use another number.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let space = lockfast_space::Space::open(&format!("file://{}", dir.path().display()))?;
    /// let pool = space.semaphore("gpu", 2)?;
    /// let (one, other) = (pool.acquire()?, pool.acquire()?);
    /// assert!(pool.try_acquire().unwrap_err().is_contended());
    /// # drop((one, other));
    /// # Ok(())
    /// # }
    /// ```
    pub fn semaphore(&self, name: &str, permits: u32) -> Result<Semaphore> {
        self.check(name)?;
        let raw = match &self.server {
            Server::Directory(directory) => {
                AnySemaphore::File(directory.semaphore(name, permits)?.into_raw())
            }
            #[cfg(feature = "etcd")]
            Server::Etcd(client) => AnySemaphore::Etcd(client.semaphore(name, permits)?),
            #[cfg(feature = "postgres")]
            Server::Postgres(client) => AnySemaphore::Postgres(client.semaphore(name, permits)?),
        };
        Ok(Semaphore::from_raw(raw))
    }

    /// The features that the locks of this space have of those that not every engine has.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let space = lockfast_space::Space::open(&format!("file://{}", dir.path().display()))?;
    /// let capabilities = space.capabilities();
    /// assert!(capabilities.shared && capabilities.token && !capabilities.lease);
    /// # Ok(())
    /// # }
    /// ```
    pub fn capabilities(&self) -> Capabilities {
        of_server!(self, client => client.capabilities())
    }

    /// Returns the names with that prefix that somebody holds or waits for, with holders and waiters.
    ///
    /// It is a snapshot. Do not use it to decide whether to go on: take the lock.
    ///
    /// # Errors
    ///
    /// If the engine can't be asked.
    pub fn list(&self, prefix: &str) -> Result<Vec<Entry>> {
        of_server!(self, client => client.list(prefix))
    }

    /// Returns the holders and waiters of that name; `None` if there are none.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock) and [`list`](Self::list).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let space = lockfast_space::Space::open(&format!("file://{}", dir.path().display()))?;
    /// assert_eq!(space.holders("nightly")?, None);
    /// let guard = space.lock("nightly")?.lock()?;
    /// let entry = space.holders("nightly")?.ok_or("it is held")?;
    /// assert_eq!(entry.holders[0].pid, Some(std::process::id()));
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(target_os = "linux"))] fn main() {}
    /// ```
    pub fn holders(&self, name: &str) -> Result<Option<Entry>> {
        self.check(name)?;
        match &self.server {
            // The list would look at each file.
            Server::Directory(directory) => directory.entry(name),
            #[cfg(any(feature = "etcd", feature = "postgres"))]
            _ => {
                let entries = self.list(name)?;
                Ok(entries.into_iter().find(|entry| entry.name == name))
            }
        }
    }

    /// Takes the lock away from the holder with that token, or a waiter out of the line; `false` if nobody has
    /// that token any more.
    ///
    /// The holder learns it by [`lost`](lockfast::LockGuard::lost).
    ///
    /// # Errors
    ///
    /// [`is_unsupported`](Error::is_unsupported) for a directory: the kernel keeps the lock until its holder ends.
    pub fn break_token(&self, name: &str, token: u64) -> Result<bool> {
        self.check(name)?;
        of_server!(self, client => client.break_token(name, token))
    }

    /// Tries what locks need of the server, and returns what was found.
    pub fn diagnose(&self) -> Vec<Check> {
        of_server!(self, client => client.diagnose())
    }

    fn raw_lock(&self, name: &str) -> Result<AnyLock> {
        self.check(name)?;
        Ok(match &self.server {
            Server::Directory(directory) => AnyLock::File(directory.lock(name)?.into_raw()),
            #[cfg(feature = "etcd")]
            Server::Etcd(client) => AnyLock::Etcd(client.lock(name)?),
            #[cfg(feature = "postgres")]
            Server::Postgres(client) => AnyLock::Postgres(client.lock(name)?),
        })
    }

    /// Fails if a lock can't have that name in some engine.
    fn check(&self, name: &str) -> Result<()> {
        let why = match engine::file_of(name) {
            Ok(_) => return Ok(()),
            Err(_) if name.contains('/') => {
                "a name in a space has no `/`: use a dot or a colon, or another space for each level"
            }
            Err(why) => why,
        };
        // An error is a line, and a name of any length may be given.
        let name: String = name.chars().take(80).collect();
        Err(Error::new(
            Resource::named(format!("{name:?} in {}", self.url)),
            Operation::Name,
            Cause::InvalidPath(why),
        ))
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Space");
        debug.field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(any(not(feature = "etcd"), not(feature = "postgres")))]
fn not_built(url: &str, feature: &str) -> Error {
    let why = format!(
        "this program was built without the feature `{feature}`: build it with that feature"
    );
    refused(url, lockfast::ErrorKind::Unsupported, &why)
}
