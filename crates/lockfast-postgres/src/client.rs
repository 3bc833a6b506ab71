//! A space of names on PostgreSQL: its thread, its sessions, and the locks in it.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use lockfast::engine::{Capabilities, Cause, Operation};
use lockfast::{Error, ErrorKind, Resource, Result};
use lockfast_lease::runtime::Runtime;
use lockfast_lease::{Clock, Threads};
use tokio_postgres::types::ToSql;

use crate::address::Address;
use crate::failure::{self, Failure};
use crate::flight::Granted;
use crate::integers::{signed_count, unsigned_count};
use crate::key::{Key, check_name};
use crate::lock::PgLock;
use crate::park;
use crate::pool::Pool;
use crate::schema;
use crate::semaphore::PgSemaphore;
use crate::session::Session;
use crate::sql;

/// The first release whose sessions end by themselves (`idle_session_timeout`).
const FIRST_WITH_LEASE: u32 = 14;

/// A space of names on PostgreSQL. Clones are the same client.
///
/// It has a thread of its own, and a connection for each lock that is held or waited for. A free connection is
/// kept for a while.
///
/// # Examples
///
/// ```no_run
/// use lockfast::Lock;
/// use lockfast_postgres::{Client, Postgres};
///
/// # fn main() -> lockfast::Result<()> {
/// let client = Client::open("postgres://me@db.internal/jobs?ttl=15s")?;
/// let lock: Lock<Postgres> = Lock::from_raw(client.lock("nightly")?);
/// let guard = lock.lock()?;
/// println!("fencing token {:?}", guard.token());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Shared>);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client")
            .field(&self.0.address.shown)
            .finish()
    }
}

/// The parts of a client that its locks share.
pub(crate) struct Shared {
    pub(crate) address: Arc<Address>,
    pub(crate) runtime: Runtime,
    pub(crate) clock: Clock,
    pub(crate) pool: Pool,
    pub(crate) threads: Threads<Key>,
    /// The server that the first session found.
    server: Mutex<Server>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Server {
    version: u32,
    epoch: u64,
}

impl Client {
    /// Connects to the server in the URL, and creates the table `lockfast.names` if it is not there.
    ///
    /// # Blocking
    ///
    /// Blocks until the server has answered, at most for the time in `?timeout=`.
    ///
    /// # Errors
    ///
    /// By kind: `InvalidOption` for a URL that can't be understood, `Unreachable`, `PermissionDenied` for a wrong
    /// password and for a role that may not use the table (the text has the SQL to run), `Unsupported` for an old
    /// server and behind a pooler in transaction mode. No error has the password in it.
    pub fn open(url: &str) -> Result<Self> {
        let shown = lockfast_lease::options::shown(url);
        let resource = || Resource::named(shown.clone());
        let address = Address::parse(url).map_err(|text| {
            let kind = ErrorKind::InvalidOption;
            failure::refused(&shown, resource(), Operation::OpenSpace, kind, text)
        })?;
        let runtime = Runtime::start("lockfast-postgres")
            .map_err(|error| Error::new(resource(), Operation::OpenSpace, Cause::System(error)))?;
        let address = Arc::new(address);
        let client = Self(Arc::new(Shared {
            pool: Pool::new(address.ttl),
            address,
            runtime,
            clock: Clock::boot(),
            threads: Threads::default(),
            server: Mutex::default(),
        }));
        client.0.block_on(client.0.first_session())?;
        Ok(client)
    }

    /// Opens the lock with this name. It has the modes exclusive and shared.
    ///
    /// # Blocking
    ///
    /// Blocks until the server has answered.
    ///
    /// # Errors
    ///
    /// `InvalidPath` for a name that no lock can have or that has the key of another; `InvalidOption` for the name
    /// of a semaphore; when the server does not answer.
    pub fn lock(&self, name: &str) -> Result<PgLock> {
        let key = self.0.register(name, None)?;
        Ok(PgLock::new(Arc::clone(&self.0), name, key))
    }

    /// Opens the semaphore with this name and number of permits.
    ///
    /// # Blocking
    ///
    /// Blocks until the server has answered.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock); `OtherPermits` if the semaphore has another number; `InvalidOption` for 0 and for
    /// more than 1000.
    pub fn semaphore(&self, name: &str, permits: u32) -> Result<PgSemaphore> {
        if permits == 0 || permits > PgSemaphore::MOST_PERMITS {
            let text = "a semaphore has between 1 and 1000 permits";
            return Err(self.0.refused(name, ErrorKind::InvalidOption, text));
        }
        let key = self.0.register(name, Some(permits))?;
        Ok(PgSemaphore::new(Arc::clone(&self.0), name, key, permits))
    }

    /// The key of the lock with this name: the primary key of its row in `lockfast.names`, and the number of its
    /// advisory lock. For the fence of data in the same database.
    pub fn key(&self, name: &str) -> i64 {
        Key::of(&self.0.address.namespace, name).number()
    }

    /// The features of the locks on this server.
    pub fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    /// The epoch of the tokens when this was opened: the server's system identifier and timeline, as a sum. It changes
    /// when a standby is promoted or a backup is recovered, not when a copy of the files is started. Tokens of
    /// different epochs can't be compared.
    pub fn epoch(&self) -> u64 {
        self.0.server().epoch
    }
}

impl Shared {
    pub(crate) fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.shared = true;
        capabilities.fifo = true;
        capabilities.token = self.address.has_fence;
        capabilities.lease = self.server().version >= FIRST_WITH_LEASE;
        capabilities
    }

    fn server(&self) -> Server {
        *crate::session::lock(&self.server)
    }

    /// Opens the session that finds out what the server is, and keeps it for the first lock.
    async fn first_session(&self) -> Result<()> {
        let resource = || Resource::named(self.address.shown.clone());
        let operation = Operation::OpenSpace;
        let session = Session::open(&self.address, &self.clock)
            .await
            .map_err(|failure| failure.error(&self.address.shown, resource(), operation))?;
        *crate::session::lock(&self.server) = Server {
            version: session.version,
            epoch: session.epoch,
        };
        let ensured = async { Ok(schema::ensure(session.client()).await?) };
        session.within(ensured).await.map_err(|failure| {
            failure::of_table(
                failure,
                &session.role,
                &self.address.shown,
                resource(),
                operation,
            )
        })?;
        self.pool.put(Arc::new(session));
        // Behind a pooler in transaction mode, the second session is likely to get the backend of the first.
        let second = Session::open(&self.address, &self.clock)
            .await
            .map_err(|failure| failure.error(&self.address.shown, resource(), operation))?;
        self.pool.put(Arc::new(second));
        Ok(())
    }

    /// Returns a session that holds nothing, and whether it is new.
    pub(crate) async fn session(&self) -> std::result::Result<(Arc<Session>, bool), Failure> {
        match self.pool.take() {
            Some(session) => Ok((session, false)),
            None => Ok((
                Arc::new(Session::open(&self.address, &self.clock).await?),
                true,
            )),
        }
    }

    /// Runs statements that take no lock, a second time if the kept session was closed meanwhile.
    pub(crate) async fn with_session<R>(
        &self,
        run: impl AsyncFn(&Session) -> std::result::Result<R, Failure>,
    ) -> std::result::Result<R, (Failure, String)> {
        loop {
            let (session, is_new) = self
                .session()
                .await
                .map_err(|failure| (failure, String::new()))?;
            match session.within(run(&session)).await {
                Ok(result) => {
                    self.pool.put(session);
                    return Ok(result);
                }
                Err(failure) if failure.is_closed() && !is_new => {}
                Err(failure) => {
                    let role = session.role.clone();
                    // A statement without an answer may be running still.
                    if !matches!(failure, Failure::NoAnswer) {
                        self.pool.put(session);
                    }
                    return Err((failure, role));
                }
            }
        }
    }

    /// Runs the future on this thread. Its sockets and timers are those of the client's own thread.
    pub(crate) fn block_on<R>(&self, future: impl Future<Output = R>) -> R {
        let _context = self.runtime.handle().enter();
        park::until(future)
    }

    /// Gives back what was granted. Blocks for at most that long; the rest is done by the client's own thread.
    pub(crate) fn release_within(&self, limit: Duration, granted: impl Granted) {
        let (running, over) = mpsc::channel::<()>();
        self.runtime.spawn(async move {
            let _running = running;
            granted.give_back().await;
        });
        if !self.runtime.is_current() {
            // Nothing is ever sent: this waits for the end of the task.
            let _ = over.recv_timeout(limit);
        }
    }

    /// Runs statements that take no lock, and waits for the result.
    pub(crate) fn ask<R>(
        &self,
        name: &str,
        operation: Operation,
        run: impl AsyncFn(&Session) -> std::result::Result<R, Failure>,
    ) -> Result<R> {
        self.refuse_forked(name, operation)?;
        self.block_on(self.with_session(run))
            .map_err(|(failure, role)| {
                let resource = Resource::named(name);
                failure::of_table(failure, &role, &self.address.shown, resource, operation)
            })
    }

    /// Fails in a forked child, which has neither the thread nor connections of its own.
    pub(crate) fn refuse_forked(&self, name: &str, operation: Operation) -> Result<()> {
        if !self.runtime.is_forked_child() {
            return Ok(());
        }
        let cause = Cause::NotHeld("it was opened before this process was forked; open it again");
        Err(Error::new(Resource::named(name), operation, cause))
    }

    pub(crate) fn refused(&self, name: &str, kind: ErrorKind, text: impl Into<String>) -> Error {
        let resource = Resource::named(name);
        failure::refused(&self.address.shown, resource, Operation::Name, kind, text)
    }

    /// Writes the name into the table, if it is not there; `permits` for a semaphore.
    fn register(&self, name: &str, permits: Option<u32>) -> Result<Key> {
        check_name(name).map_err(|reason| self.refused(name, ErrorKind::InvalidPath, reason))?;
        let namespace = &self.address.namespace;
        let key = Key::of(namespace, name);
        let columns = permits.map(signed_count);
        let found = self.ask(name, Operation::Name, async |session| {
            if let Some(found) = find_name(session, key).await? {
                return Ok(Some(found));
            }
            let values: [&(dyn ToSql + Sync); 4] = [&key.number(), namespace, &name, &columns];
            session.execute(sql::ADD_NAME, &values).await?;
            // Another client may have been first.
            find_name(session, key).await
        })?;
        let Some(found) = found else {
            let text = "its row in lockfast.names was deleted at this moment";
            return Err(self.refused(name, ErrorKind::System, text));
        };
        if (&found.namespace, found.name.as_str()) != (namespace, name) {
            let other = Failure::Collision(found.name).to_string();
            return Err(self.refused(name, ErrorKind::InvalidPath, other));
        }
        match (permits, found.permits.map(unsigned_count)) {
            (Some(wanted), Some(theirs)) if wanted != theirs => {
                let cause = Cause::OtherPermits { wanted, theirs };
                Err(Error::new(Resource::named(name), Operation::Name, cause))
            }
            (Some(_), None) => {
                let text = "others use this name for a lock, and not for a semaphore";
                Err(self.refused(name, ErrorKind::InvalidOption, text))
            }
            (None, Some(_)) => {
                let text = "others use this name for a semaphore, and not for a lock";
                Err(self.refused(name, ErrorKind::InvalidOption, text))
            }
            _ => Ok(key),
        }
    }
}

/// A row of the table.
struct NameRow {
    namespace: String,
    name: String,
    permits: Option<i32>,
}

async fn find_name(session: &Session, key: Key) -> std::result::Result<Option<NameRow>, Failure> {
    let rows = session.rows(sql::FIND_NAME, &[&key.number()]).await?;
    Ok(rows.first().map(|row| NameRow {
        namespace: row.get(0),
        name: row.get(1),
        permits: row.get(2),
    }))
}
