//! A connection to the server that holds at most one lock.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockfast_lease::{BootTime, Clock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Connection, Row, Statement};

use crate::address::Address;
use crate::failure::Failure;
use crate::integers::unsigned;
use crate::kept::Keeper;
use crate::pump::Pump;
use crate::sql;
use crate::wire::{Ear, Wire};

/// The time after which a statement is cancelled again.
const CANCELLED_AGAIN: Duration = Duration::from_millis(20);

/// A connection to the server, with all that locks rest on set.
pub(crate) struct Session {
    client: Client,
    address: Arc<Address>,
    /// The backend of the session. An answer of another one shows that a pooler is in between.
    pid: i32,
    /// A text that only this session has set in its backend.
    mark: String,
    pub(crate) version: u32,
    pub(crate) epoch: u64,
    pub(crate) role: String,
    statements: Mutex<HashMap<String, Statement>>,
    is_over: watch::Receiver<bool>,
    /// The address of the server; nothing if the driver chose it.
    server: Option<SocketAddr>,
    pump: Pump,
    pub(crate) keeper: Keeper,
    /// The name of the lock in the `application_name`; nothing while it is unknown.
    shown: Mutex<Option<String>>,
    /// Another session rang the bell of a semaphore.
    pub(crate) rung: Arc<Notify>,
    clock: Clock,
}

impl Session {
    /// Connects, within the time-out of the URL.
    pub(crate) async fn open(address: &Arc<Address>, clock: &Clock) -> Result<Self, Failure> {
        timeout(address.timeout, Self::connect(address, clock))
            .await
            .unwrap_or(Err(Failure::NoAnswer))
    }

    async fn connect(address: &Arc<Address>, clock: &Clock) -> Result<Self, Failure> {
        let mut connector = address.tls.connector();
        let config = &address.config;
        let Some((host, port)) = Wire::host(address) else {
            let (client, connection) = config.connect(connector).await?;
            return Self::begin(address, clock, client, connection, None).await;
        };
        let wire = Wire::connect((host, port), address).await?;
        let direct = Direct {
            server: wire.server()?,
            ear: wire.ear(),
        };
        let Ok(connector) = MakeTlsConnect::<Wire>::make_tls_connect(&mut connector, host);
        let (client, connection) = config.connect_raw(wire, connector).await?;
        Self::begin(address, clock, client, connection, Some(direct)).await
    }

    /// Sets all that locks rest on.
    async fn begin<S, T>(
        address: &Arc<Address>,
        clock: &Clock,
        client: Client,
        connection: Connection<S, T>,
        direct: Option<Direct>,
    ) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let version = connection.parameter("server_version").unwrap_or_default();
        let version = major(version).ok_or_else(|| Failure::TooOld(version.to_owned()))?;
        let (over, is_over) = watch::channel(false);
        let rung = Arc::new(Notify::new());
        let (server, ear) = direct.map(|direct| (direct.server, direct.ear)).unzip();
        let connection = run_connection(connection, over, Arc::clone(&rung));
        let pump = Pump::start(connection, ear);
        let mark = new_mark();
        let begin = sql::begin_session(version, address.ttl);
        let parameter: [(&(dyn ToSql + Sync), Type); 1] = [(&mark, Type::TEXT)];
        // All in one packet, and answered in this order.
        let (opened, noticed, beat) = tokio::join!(
            client.query_typed(&begin, &parameter),
            client.query_typed(sql::NOTICE_GONE, &[]),
            client.query_typed(sql::BEAT, &[]),
        );
        // A server without that setting finds out later.
        drop(noticed);
        let row = only(opened?)?;
        if row.get(3) {
            return Err(Failure::Standby);
        }
        let (pid, other_mark): (i32, String) = (row.get(0), row.get(1));
        let system: i64 = row.get(4);
        let segment: String = row.get(5);
        let timeline = segment
            .get(..8)
            .and_then(|hex| u64::from_str_radix(hex, 16).ok());
        let session = Self {
            client,
            address: Arc::clone(address),
            pid,
            mark,
            version,
            epoch: unsigned(system).wrapping_add(timeline.unwrap_or_default()),
            role: row.get(6),
            statements: Mutex::default(),
            is_over,
            server,
            pump,
            keeper: Keeper::default(),
            shown: Mutex::default(),
            rung,
            clock: clock.clone(),
        };
        // A fresh backend has no mark. One that has is shared with another client of this crate.
        if !other_mark.is_empty() {
            return Err(Failure::Pooled);
        }
        session.check_beat(&only(beat?)?)?;
        Ok(session)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn is_over(&self) -> bool {
        let is_told = *self.is_over.borrow() || self.is_over.has_changed().is_err();
        is_told || self.client.is_closed()
    }

    /// Closes the connection, whatever the server does.
    pub(crate) fn close(&self) {
        self.pump.stop();
    }

    /// Whether the `application_name` has the name of this lock.
    pub(crate) fn shows(&self, name: &str) -> bool {
        lock(&self.shown).as_deref() == Some(name)
    }

    /// Records the name of the lock in the `application_name`. An error of the server undoes the change.
    pub(crate) fn set_shown(&self, name: Option<&str>) {
        *lock(&self.shown) = name.map(str::to_owned);
    }

    /// Completes when the connection has ended.
    pub(crate) fn over(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut is_over = self.is_over.clone();
        async move {
            // An error is the end of the task, and so of the connection.
            let _ = is_over.wait_for(|is_over| *is_over).await;
        }
    }

    /// Runs a statement that is prepared once, and returns its only row. Waits as long as the server does.
    pub(crate) async fn query(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Failure> {
        only(self.rows(statement, parameters).await?)
    }

    /// Runs a statement that is prepared once, and returns its rows.
    pub(crate) async fn rows(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let prepared = self.prepare(statement).await?;
        let answer = pin!(self.client.query(&prepared, parameters));
        Ok(self.pump.wait_for(answer).await?)
    }

    /// Runs a statement without an answer.
    pub(crate) async fn execute(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<(), Failure> {
        self.rows(statement, parameters).await.map(drop)
    }

    /// Runs a statement that does not wait for a lock.
    pub(crate) async fn ask(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Failure> {
        self.within(self.query(statement, parameters)).await
    }

    /// Waits for an answer, within the time-out of the URL.
    pub(crate) async fn within<R>(
        &self,
        answer: impl Future<Output = Result<R, Failure>>,
    ) -> Result<R, Failure> {
        timeout(self.address.timeout, answer)
            .await
            .unwrap_or(Err(Failure::NoAnswer))
    }

    /// Prepares a statement, if it is not yet.
    pub(crate) async fn prepare(&self, statement: &str) -> Result<Statement, Failure> {
        let known = lock(&self.statements).get(statement).cloned();
        if let Some(prepared) = known {
            return Ok(prepared);
        }
        let prepared = self.client.prepare(statement).await?;
        lock(&self.statements).insert(statement.to_owned(), prepared.clone());
        Ok(prepared)
    }

    /// Asks the server for a sign of life. Returns when it was sent: from then on the server keeps the session
    /// for the time of the lease.
    pub(crate) async fn beat(&self) -> Result<BootTime, Failure> {
        let sent = self.clock.now();
        let row = self.query(sql::BEAT, &[]).await?;
        self.check_beat(&row)?;
        Ok(sent)
    }

    fn check_beat(&self, row: &Row) -> Result<(), Failure> {
        let mark: String = row.get(1);
        self.check_backend(row.get(0))?;
        if mark == self.mark {
            Ok(())
        } else {
            Err(Failure::Pooled)
        }
    }

    /// Checks that an answer is from the backend of this session.
    pub(crate) fn check_backend(&self, pid: i32) -> Result<(), Failure> {
        if pid == self.pid {
            Ok(())
        } else {
            Err(Failure::Pooled)
        }
    }

    /// Ends the statement that runs, if one does. The statement's answer says whether it was in time.
    pub(crate) async fn cancel(&self) {
        let token = self.client.cancel_token();
        let mut connector = self.address.tls.connector();
        let request = async {
            let (Some(server), Some((host, _))) = (self.server, Wire::host(&self.address)) else {
                return Ok(token.cancel_query(connector).await?);
            };
            let socket = TcpStream::connect(server).await.map_err(Failure::Connect)?;
            let Ok(connector) = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut connector, host);
            Ok(token.cancel_query_raw(socket, connector).await?)
        };
        // If it does not get through, the session is closed.
        let _ = self.within(request).await;
    }

    /// Frees whatever a failed statement took. Whether the session can be used again.
    pub(crate) async fn free_all(&self) -> bool {
        match self.ask(sql::UNLOCK_ALL, &[]).await {
            Ok(row) => self.check_backend(row.get(0)).is_ok(),
            Err(_) => false,
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("pid", &self.pid)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

async fn run_connection<S, T>(
    mut connection: Connection<S, T>,
    over: watch::Sender<bool>,
    rung: Arc<Notify>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(_) = message {
            rung.notify_one();
        }
    }
    // The socket is closed before anybody learns of the end.
    drop(connection);
    over.send_replace(true);
}

/// A connection whose socket a thread can wait for.
struct Direct {
    server: SocketAddr,
    ear: Ear,
}

/// Returns the only row of an answer.
fn only(mut rows: Vec<Row>) -> Result<Row, Failure> {
    // Each statement of this crate answers with one row, or its error is returned.
    rows.pop().ok_or(Failure::Closed)
}

/// Reads the first number of a version like `15.13 (Debian)` or `18beta1`.
fn major(version: &str) -> Option<u32> {
    let end = version
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(version.len());
    let major = version[..end].parse().ok()?;
    (major >= sql::OLDEST).then_some(major)
}

/// Returns a text that no other session has.
fn new_mark() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let time = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    format!(
        "{}@{}.{number}.{}",
        std::process::id(),
        crate::process::host(),
        time.as_nanos()
    )
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits for the answer, or ends it: cancels the statement when `end` completes, and waits for what the server
/// says then. Returns the answer, and whether it was ended.
pub(crate) async fn ended_by<R>(
    session: &Session,
    answer: impl Future<Output = Result<R, Failure>>,
    end: impl Future<Output = ()>,
) -> (Result<R, Failure>, bool) {
    let mut answer = pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => return (answer, false),
        () = end => {}
    }
    let cancelled = async {
        loop {
            session.cancel().await;
            // A request that overtakes its statement ends nothing.
            if let Ok(answer) = timeout(CANCELLED_AGAIN, &mut answer).await {
                return answer;
            }
        }
    };
    (session.within(cancelled).await, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_of_a_version_counts() {
        let cases = [
            ("15.13 (Debian 15.13-0+deb12u1)", Some(15)),
            ("18beta1", Some(18)),
            ("13", Some(13)),
            ("12.22", None),
            ("", None),
        ];
        for (version, expected) in cases {
            assert_eq!(major(version), expected, "{version}");
        }
    }

    #[test]
    fn no_two_marks_are_equal() {
        assert_ne!(new_mark(), new_mark());
    }
}
