//! The statements of a session. `$1` is the key, and each answer names the backend that it comes from.

use std::time::Duration;

use lockfast::engine::Mode;

/// The oldest release that has all the functions.
pub(crate) const OLDEST: u32 = 13;

/// Returns the statement that begins a session.
///
/// It answers who is there, and sets what the locks rest on. A role or database may have defaults of its own
/// that would end a wait or refuse a write.
pub(crate) fn begin_session(version: u32, ttl: Duration) -> String {
    let millis = ttl.as_millis();
    let mut settings = vec![
        ("lock_timeout", "0".to_owned()),
        ("statement_timeout", "0".to_owned()),
        ("default_transaction_isolation", "read committed".to_owned()),
        ("default_transaction_read_only", "off".to_owned()),
        ("tcp_user_timeout", millis.to_string()),
        (
            "tcp_keepalives_idle",
            (ttl / 2).as_secs().max(1).to_string(),
        ),
        (
            "tcp_keepalives_interval",
            (ttl / 5).as_secs().max(1).to_string(),
        ),
        ("tcp_keepalives_count", "3".to_owned()),
    ];
    if version >= 14 {
        settings.push(("idle_session_timeout", millis.to_string()));
    }
    if version >= 17 {
        settings.push(("transaction_timeout", "0".to_owned()));
    }
    let set: Vec<_> = settings
        .iter()
        .map(|(name, value)| format!("set_config('{name}', '{value}', false)"))
        .collect();
    // The mark is read before it is set.
    format!(
        "select pg_backend_pid(), coalesce(current_setting('lockfast.session', true), ''), \
         set_config('lockfast.session', $1, false), pg_is_in_recovery(), \
         (select system_identifier from pg_control_system()), \
         case when pg_is_in_recovery() then '' else pg_walfile_name(pg_current_wal_lsn()) end, \
         session_user::text, {}",
        set.join(", ")
    )
}

/// Has the server notice that a waiting client is gone. Some platforms of servers don't have it.
pub(crate) const NOTICE_GONE: &str =
    "select set_config('client_connection_check_interval', '1000', false)";

/// Shows that the session is the same as before.
pub(crate) const BEAT: &str =
    "select pg_backend_pid(), coalesce(current_setting('lockfast.session', true), '')";

/// Frees whatever a failed statement took.
pub(crate) const UNLOCK_ALL: &str =
    "select pg_backend_pid() from (select pg_advisory_unlock_all()) as freed";

/// The function that takes a lock, and whether it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Take {
    pub(crate) mode: Mode,
    pub(crate) waits: bool,
    pub(crate) has_fence: bool,
}

impl Take {
    /// The statement that takes the lock, and the fence in the same exchange.
    ///
    /// Parameters: key, `lock_timeout`, `application_name`, and for the fence namespace and name. Answer: whether
    /// it was granted, the backend, the fence (null if the key is that of another name).
    ///
    /// The row is written when the lock is granted, because its insertion reads the output of `taken`. An
    /// upsert updates the newest version of a row, even one that was committed after this statement began.
    pub(crate) fn statement(self) -> String {
        let suffix = if self.mode == Mode::Read {
            "_shared"
        } else {
            ""
        };
        let granted = if self.waits {
            format!("pg_advisory_lock{suffix}($1) is not null")
        } else {
            format!("pg_try_advisory_lock{suffix}($1)")
        };
        // The functions are called from left to right. `lock_timeout` ends with the transaction.
        let taken = format!(
            "taken as materialized (select set_config('application_name', $3, false) as shown, \
             set_config('lock_timeout', $2, true) as patience, {granted} as granted)"
        );
        if !self.has_fence {
            return format!(
                "with {taken} select granted, pg_backend_pid(), null::bigint from taken"
            );
        }
        format!(
            "with {taken}, fenced as (\
             insert into lockfast.names as n (key, namespace, name, fence, pid, since) \
             select $1, $4, $5, 1, pg_backend_pid(), clock_timestamp() from taken where granted \
             on conflict (key) do update \
             set fence = n.fence + 1, pid = excluded.pid, since = excluded.since \
             where n.namespace = excluded.namespace and n.name = excluded.name and n.permits is null \
             returning fence) \
             select granted, pg_backend_pid(), (select fence from fenced) from taken"
        )
    }
}

/// Returns the statement that frees a lock.
pub(crate) fn free(mode: Mode) -> &'static str {
    if mode == Mode::Read {
        "select pg_advisory_unlock_shared($1), pg_backend_pid()"
    } else {
        "select pg_advisory_unlock($1), pg_backend_pid()"
    }
}

/// Finds the row of a key.
pub(crate) const FIND_NAME: &str =
    "select namespace, name, permits from lockfast.names where key = $1";

/// Writes the row of a key that has none.
pub(crate) const ADD_NAME: &str = "insert into lockfast.names (key, namespace, name, permits) \
     values ($1, $2, $3, $4) on conflict (key) do nothing";

/// Holders and waiters of the keys from $1 to $2, in the order of the queue.
pub(crate) fn parties(version: u32) -> String {
    let waiting_since = if version >= 14 { "l.waitstart" } else { "null" };
    format!(
        "select {KEY_OF_ROW} as key, l.pid, l.granted, l.mode, \
         coalesce(a.application_name, ''), \
         (extract(epoch from a.backend_start) * 1000000)::bigint, \
         (extract(epoch from coalesce({waiting_since}, a.query_start)) * 1000000)::bigint, \
         coalesce(cardinality(pg_blocking_pids(case when l.granted then 0 else l.pid end)), 0) \
         from pg_locks l left join pg_stat_activity a on a.pid = l.pid \
         where {ADVISORY_HERE} and {KEY_OF_ROW} between $1 and $2"
    )
}

/// The key of a row of `pg_locks`.
pub(crate) const KEY_OF_ROW: &str = "((l.classid::bigint << 32) | l.objid::bigint)";

/// The rows of `pg_locks` that are keys of this database.
pub(crate) const ADVISORY_HERE: &str = "l.locktype = 'advisory' and l.objsubid = 1 and \
     l.database = (select oid from pg_database where datname = current_database())";
