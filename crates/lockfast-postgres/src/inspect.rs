//! Lists of holders and waiters, breaking a lock, and checks of a server.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lockfast::Result;
use lockfast::engine::{Mode, Operation};
use lockfast_lease::{Check, Entry, Kind, Party};
use tokio_postgres::Row;

use crate::client::{Client, Shared};
use crate::failure::Failure;
use crate::integers::{signed, unsigned, unsigned_count};
use crate::key::Key;
use crate::process;
use crate::session::Session;
use crate::sql;

impl Client {
    /// Lists the names that begin with this prefix and that have a holder or a waiter.
    ///
    /// The token of the holder of an exclusive lock or of permits is its fencing token. Readers and waiters have
    /// the number of their session, which [`break_token`](Self::break_token) takes too.
    ///
    /// # Errors
    ///
    /// If the server does not answer, or the role may not read the table.
    pub fn list(&self, prefix: &str) -> Result<Vec<Entry>> {
        let shared = &self.0;
        shared.ask(prefix, Operation::Inspect, async |session| {
            let statement = sql::parties(session.version);
            let namespace = &shared.address.namespace;
            let rows = session.rows(&statement, &[namespace, &prefix]).await?;
            Ok(entries(&rows, session.epoch))
        })
    }

    /// Takes the lock with this name away from the holder with this token, by ending its session. `false` if no
    /// holder or waiter has that token (any more).
    ///
    /// # Errors
    ///
    /// If the server does not answer, or the role may not end the session.
    pub fn break_token(&self, name: &str, token: u64) -> Result<bool> {
        let shared = &self.0;
        let key = Key::of(&shared.address.namespace, name);
        shared.ask(name, Operation::Break, async |session| {
            session.client().batch_execute("begin").await?;
            let broken = break_in_transaction(session, key, token).await;
            session.client().batch_execute("rollback").await?;
            broken
        })
    }

    /// Checks the server, for `lockfast doctor`.
    pub fn diagnose(&self) -> Vec<Check> {
        let shared = &self.0;
        let checked = shared.ask("diagnose", Operation::Inspect, async |session| {
            check(session, shared).await
        });
        checked.unwrap_or_else(|error| vec![Check::fail("server", error.to_string())])
    }
}

async fn break_in_transaction(
    session: &Session,
    key: Key,
    token: u64,
) -> std::result::Result<bool, Failure> {
    // Until the end of the transaction nobody gets a token, and the comparison stays true.
    let rows = session.rows(sql::STOP_GRANTS, &[&key.number()]).await?;
    let Some(row) = rows.first() else {
        return Ok(false);
    };
    let (permits, fence): (Option<i32>, i64) = (row.get(0), row.get(1));
    let is_lock = permits.is_none();
    let holder: Option<i32> = row.get(2);
    let holder = holder.filter(|_| is_lock && unsigned(fence) == token);
    let last = permits.map_or(key, |permits| key.plus(1 + unsigned_count(permits)));
    let (first, last, number) = (key.number(), last.number(), signed(token));
    let statement = sql::break_session();
    let ended = session
        .rows(&statement, &[&first, &last, &number, &holder])
        .await?;
    Ok(ended.iter().any(|row| row.get(0)))
}

/// Makes entries of rows that are in the order of names and queues.
fn entries(rows: &[Row], epoch: u64) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for group in rows.chunk_by(|one, next| one.get::<_, &str>(0) == next.get::<_, &str>(0)) {
        let parties: Vec<_> = group.iter().map(|row| PartyRow::read(row, epoch)).collect();
        let name: &str = group[0].get(0);
        let permits: Option<i32> = group[0].get(1);
        let kind = permits.map_or(Kind::Lock, |permits| {
            Kind::Semaphore(unsigned_count(permits))
        });
        let mut entry = Entry::new(name, kind);
        match permits {
            None => of_lock(&mut entry, parties),
            Some(_) => of_semaphore(&mut entry, parties),
        }
        for (waiter, place) in entry.waiters.iter_mut().zip(1..) {
            waiter.place = place;
        }
        entries.push(entry);
    }
    entries
}

fn of_lock(entry: &mut Entry, parties: Vec<PartyRow>) {
    for row in parties {
        let mut party = row.party;
        party.mode = Some(row.mode);
        if row.is_granted {
            entry.holders.push(party);
        } else {
            entry.waiters.push(party);
        }
    }
    entry.holders.sort_by_key(|holder| holder.token);
}

/// The session that has the gate is the first in line, and does not hold its slots yet.
fn of_semaphore(entry: &mut Entry, parties: Vec<PartyRow>) {
    let gate = |row: &PartyRow| row.offset == 0;
    let first = parties
        .iter()
        .find(|row| gate(row) && row.is_granted)
        .map(|row| row.backend);
    let mut holders: Vec<(Option<i32>, Party)> = Vec::new();
    for row in parties {
        if gate(&row) {
            entry.waiters.push(row.party);
        } else if row.offset >= 2 && row.is_granted && Some(row.backend) != first {
            let mut known = holders.iter_mut();
            if let Some((_, party)) = known.find(|(backend, _)| *backend == row.backend) {
                party.permits += 1;
            } else {
                let mut party = row.party;
                party.permits = 1;
                holders.push((row.backend, party));
            }
        }
    }
    entry
        .holders
        .extend(holders.into_iter().map(|(_, party)| party));
    entry.holders.sort_by_key(|holder| holder.token);
}

/// A row about a key that a session has or wants.
struct PartyRow {
    party: Party,
    mode: Mode,
    is_granted: bool,
    /// Nothing for a prepared transaction, which can have the key from another program.
    backend: Option<i32>,
    /// The number of the key among those of the name.
    offset: i32,
}

impl PartyRow {
    fn read(row: &Row, epoch: u64) -> Self {
        let is_lock = row.get::<_, Option<i32>>(1).is_none();
        let is_granted: bool = row.get(7);
        let mode = match row.get(8) {
            "ShareLock" => Mode::Read,
            _ => Mode::Exclusive,
        };
        let has_fence = is_lock && is_granted && mode == Mode::Exclusive && row.get(3);
        let fence: i64 = row.get(2);
        let session: Option<i64> = row.get(11);
        let shown = process::read(row.get(9));
        let permits = shown.as_ref().and_then(|shown| shown.token);
        let permits = permits.filter(|_| !is_lock && is_granted);
        let token = if has_fence { Some(fence) } else { session };
        let since: Option<i64> = match (has_fence, is_granted) {
            (true, _) => row.get(4),
            (false, false) => row.get(12),
            // The server does not know when a reader came.
            (false, true) => None,
        };
        let mut party = Party::default();
        party.token = permits.unwrap_or(unsigned(token.unwrap_or_default()));
        party.epoch = epoch;
        party.since = since.and_then(time);
        party.user = row.get(10);
        if let Some(shown) = shown {
            party.host = Some(shown.host.to_owned());
            party.pid = Some(shown.pid);
            party.command = Some(shown.program.to_owned());
        }
        Self {
            party,
            mode,
            is_granted,
            backend: row.get(6),
            offset: row.get(5),
        }
    }
}

fn time(micros: i64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_micros(u64::try_from(micros).ok()?))
}

/// Answers of a server to `diagnose`.
const ABOUT: &str = "select current_setting('server_version'), \
     current_setting('max_connections')::integer, (select count(*) from pg_stat_activity where backend_type = 'client backend'), \
     current_setting('fsync') = 'on' and current_setting('synchronous_commit') <> 'off', \
     current_setting('synchronous_standby_names') <> '', (select count(*) from pg_stat_replication), \
     coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false), \
     extract(epoch from clock_timestamp())::float8, \
     inet_server_addr() is null or host(inet_server_addr()) in ('127.0.0.1', '::1'), \
     has_table_privilege('lockfast.names', 'select') and has_table_privilege('lockfast.names', 'insert') \
     and has_table_privilege('lockfast.names', 'update')";

async fn check(session: &Session, shared: &Shared) -> std::result::Result<Vec<Check>, Failure> {
    let begin = Instant::now();
    session.beat().await?;
    // The first one prepares the statement.
    let mut latency = begin.elapsed();
    for _ in 0..3 {
        let begin = Instant::now();
        session.beat().await?;
        latency = latency.min(begin.elapsed());
    }
    let row = session.query(ABOUT, &[]).await?;
    let version: &str = row.get(0);
    let ttl = shared.address.ttl;
    let mut checks = vec![
        Check::ok(
            "server",
            format!("PostgreSQL {version}, epoch {}", session.epoch),
        ),
        lease(shared, ttl),
        if latency < ttl / 20 {
            Check::ok("latency", format!("{latency:.1?}"))
        } else {
            Check::warn(
                "latency",
                format!("{latency:.1?} is long for a lease of {ttl:?}; raise ?ttl="),
            )
        },
        Check::ok("clock", clock(row.get(7))),
        if row.get(9) {
            Check::ok(
                "permission",
                format!("{} may use lockfast.names", session.role),
            )
        } else {
            Check::fail(
                "permission",
                format!("{} may not use lockfast.names", session.role),
            )
        },
        connections(row.get(1), row.get(2)),
        if row.get(3) {
            Check::ok("durability", "a token is on disk before it is given")
        } else {
            let text = "fsync or synchronous_commit is off: tokens may come again after a crash";
            Check::warn("durability", text)
        },
    ];
    let (is_synchronous, standbys): (bool, i64) = (row.get(4), row.get(5));
    if standbys > 0 {
        checks.push(if is_synchronous {
            Check::ok(
                "failover",
                "tokens are on a synchronous standby; locks are lost in a failover",
            )
        } else {
            let text = "standbys are asynchronous: a failover loses locks and may lose tokens; \
                        set synchronous_standby_names";
            Check::warn("failover", text)
        });
    }
    let (is_encrypted, is_here): (bool, bool) = (row.get(6), row.get(8));
    checks.push(if is_encrypted {
        Check::ok("encryption", "TLS")
    } else if is_here {
        Check::ok("encryption", "none, on this machine")
    } else {
        Check::warn("encryption", "none: set ?sslmode=verify-full")
    });
    Ok(checks)
}

fn lease(shared: &Shared, ttl: Duration) -> Check {
    if shared.capabilities().lease {
        Check::ok(
            "lease",
            format!("a holder that is not heard from is freed after {ttl:?}"),
        )
    } else {
        let text = "PostgreSQL 13 has no idle_session_timeout: a stopped holder keeps its lock";
        Check::warn("lease", text)
    }
}

fn clock(server: f64) -> String {
    let here = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let apart = (here.as_secs_f64() - server).abs();
    format!("{apart:.1} s apart, which does not matter to leases")
}

fn connections(most: i32, used: i64) -> Check {
    let free = i64::from(most) - used;
    let text = format!(
        "{free} of {most} connections are free, and each lock that is held or waited for needs one"
    );
    if free > 20 {
        Check::ok("connections", text)
    } else {
        Check::warn("connections", text)
    }
}
