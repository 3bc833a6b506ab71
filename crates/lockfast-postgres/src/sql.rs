//! The statements of a session. `$1` is the key, and each answer names the backend that it comes from.

use std::time::Duration;

use lockfast::engine::Mode;

/// The oldest release that has all the functions.
pub(crate) const OLDEST: u32 = 13;

/// Returns the statement that begins a session.
///
/// It reads the identity of the server, and sets the limits that the locks rest on. A role or database may have defaults of its own
/// that would end a wait or refuse a write.
pub(crate) fn begin_session(version: u32, ttl: Duration) -> String {
    let millis = ttl.as_millis();
    let mut settings = vec![
        ("lock_timeout", "0".to_owned()),
        ("statement_timeout", "0".to_owned()),
        ("default_transaction_isolation", "read committed".to_owned()),
        ("default_transaction_read_only", "off".to_owned()),
        ("tcp_user_timeout", millis.to_string()),
        ("tcp_keepalives_idle", seconds(ttl / 2)),
        ("tcp_keepalives_interval", seconds(ttl / 5)),
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

/// Rounds up: a server without `tcp_user_timeout` ends a silent connection after the probes, and not before the lease.
fn seconds(time: Duration) -> String {
    time.as_nanos().div_ceil(1_000_000_000).to_string()
}

/// Has the server notice that a waiting client is gone. Some platforms of servers don't have it.
pub(crate) const NOTICE_GONE: &str =
    "select set_config('client_connection_check_interval', '1000', false)";

/// Shows that the session is the same as before.
pub(crate) const BEAT: &str =
    "select pg_backend_pid(), coalesce(current_setting('lockfast.session', true), '')";

/// Frees all that a failed statement took.
pub(crate) const UNLOCK_ALL: &str =
    "select pg_backend_pid() from (select pg_advisory_unlock_all()) as freed";

/// Whether a statement waits for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    No,
    Forever,
    /// The server ends the wait.
    Limited,
}

/// The function that takes a lock, and whether it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Take {
    pub(crate) mode: Mode,
    pub(crate) wait: Wait,
    /// Whether the `application_name` is set before.
    pub(crate) shows: bool,
    pub(crate) has_fence: bool,
}

impl Take {
    /// The statement that takes the lock, and the fence in the same exchange.
    ///
    /// Parameters: key; with a fence namespace and name; `application_name` and `lock_timeout`, as far as they are
    /// set. Answer: whether it was granted, the backend, the fence (null if the key is that of another name).
    ///
    /// The row is written when the lock is granted, because its insertion reads the output of `taken`. An
    /// upsert updates the newest version of a row, even one that was committed after this statement began.
    pub(crate) fn statement(self) -> String {
        let suffix = if self.mode == Mode::Read {
            "_shared"
        } else {
            ""
        };
        let granted = match self.wait {
            Wait::No => format!("pg_try_advisory_lock{suffix}($1)"),
            _ => format!("pg_advisory_lock{suffix}($1) is not null"),
        };
        let is_limited = self.wait == Wait::Limited;
        if !self.has_fence && !self.shows && !is_limited {
            return format!("select {granted}, pg_backend_pid(), null::bigint");
        }
        // The functions are called from left to right. `lock_timeout` ends with the transaction.
        let mut settings = Vec::new();
        let mut last = if self.has_fence { 3 } else { 1 };
        if self.shows {
            last += 1;
            let set = format!("set_config('application_name', ${last}, false) as shown, ");
            settings.push(set);
        }
        if is_limited {
            last += 1;
            let set = format!("set_config('lock_timeout', ${last}, true) as patience, ");
            settings.push(set);
        }
        let settings = settings.concat();
        let taken = format!("taken as materialized (select {settings}{granted} as granted)");
        if !self.has_fence {
            return format!(
                "with {taken} select granted, pg_backend_pid(), null::bigint from taken"
            );
        }
        format!(
            "with {taken}, fenced as (\
             insert into lockfast.names as n (key, namespace, name, fence, pid, since) \
             select $1, $2, $3, 1, pg_backend_pid(), clock_timestamp() from taken where granted \
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

/// Selects the holders of the key $1.
pub(crate) fn holders() -> String {
    format!(
        "select coalesce(a.application_name, '') \
         from pg_locks l left join pg_stat_activity a on a.pid = l.pid \
         where {ADVISORY_HERE} and l.granted and {KEY_OF_ROW} = $1"
    )
}

/// Holders and waiters of the names with a prefix ($1: the namespace, $2: the prefix), in the order of the queue.
///
/// A lock has one key, and a semaphore the keys up to that of its last slot.
pub(crate) fn parties(version: u32) -> String {
    let waits_since = if version >= 14 {
        "coalesce(l.waitstart, a.query_start)"
    } else {
        "a.query_start"
    };
    format!(
        "select n.name, n.permits, n.fence, n.pid is not distinct from l.pid, {since}, \
         (l.key - n.key)::integer, l.pid, l.granted, l.mode, coalesce(a.application_name, ''), \
         a.usename::text, {session}, {waited} \
         from (select l.*, {KEY_OF_ROW} as key from pg_locks l where {ADVISORY_HERE}) l \
         join (select key, key as last, * from lockfast.names where permits is null \
         union all select key, key + 1 + permits, * from lockfast.names where permits is not null) \
         n (key, last, key_again, namespace, name, permits, fence, pid, since) \
         on l.key between n.key and n.last \
         left join pg_stat_activity a on a.pid = l.pid \
         where n.namespace = $1 and starts_with(n.name, $2) \
         order by n.name, n.key, not l.granted, {waits_since}, l.pid",
        since = micros("n.since"),
        session = micros("a.backend_start"),
        waited = micros(waits_since),
    )
}

/// Returns the expression of a time in microseconds.
pub(crate) fn micros(time: &str) -> String {
    format!("(extract(epoch from {time}) * 1000000)::bigint")
}

/// Reads the row of the key $1 and keeps it until the end of the transaction: nobody gets a token meanwhile.
pub(crate) const STOP_GRANTS: &str =
    "select permits, fence, pid from lockfast.names where key = $1 for update";

/// Ends the sessions that have or want a key from $1 to $2, and that are the one with the number $3, are the holder
/// with the backend $4, or hold permits with the token $3.
pub(crate) fn break_session() -> String {
    let session = micros("a.backend_start");
    format!(
        "select pg_terminate_backend(pid) from (select distinct l.pid \
         from pg_locks l join pg_stat_activity a on a.pid = l.pid \
         where {ADVISORY_HERE} and {KEY_OF_ROW} between $1 and $2 \
         and ({session} = $3 or (l.pid = $4 and l.granted and l.mode = 'ExclusiveLock') \
         or (l.granted and a.application_name ~ ('^lockfast [0-9]+#' || $3::bigint || '@')))) as broken"
    )
}

/// The key of a row of `pg_locks`.
pub(crate) const KEY_OF_ROW: &str = "((l.classid::bigint << 32) | l.objid::bigint)";

/// The rows of `pg_locks` that are keys of this database.
pub(crate) const ADVISORY_HERE: &str = "l.locktype = 'advisory' and l.objsubid = 1 and \
     l.database = (select oid from pg_database where datname = current_database())";

/// Takes up to $3 of the $2 slots that begin at $1, without those that the session has ($4): it would get them a
/// second time. Answers with those that were free.
pub(crate) const TAKE_SLOTS: &str = "select slot from \
     (select $1::bigint + nth as slot from generate_series(0, $2::integer - 1) as nth \
     where not $1::bigint + nth = any($4::bigint[]) offset 0) as slots \
     where pg_try_advisory_lock(slot) limit $3";

/// Rings, if the session that has the gate waits for slots ($1: the bell, $2: its channel).
const RING: &str = "case when pg_try_advisory_lock_shared($1) then pg_advisory_unlock_shared($1) \
     else pg_notify($2, '') is not null end";

/// Frees slots ($3) and rings.
pub(crate) fn free_slots() -> String {
    // The slots are free before the bell is looked at: who takes the bell after that finds them.
    format!(
        "with freed as materialized \
         (select bool_and(pg_advisory_unlock(slot)) as was_held from unnest($3::bigint[]) as slot) \
         select was_held, pg_backend_pid(), {RING} from freed"
    )
}

/// Counts a semaphore's grants, and shows the token in the `application_name`, between $3 and $4: the row has room
/// for that of one holder only.
pub(crate) const NEXT_FENCE: &str = "with counted as (update lockfast.names \
     set fence = fence + 1, pid = pg_backend_pid(), since = clock_timestamp() \
     where key = $1 and permits = $2 returning fence) \
     select fence, set_config('application_name', $3::text || fence || $4::text, false) \
     from counted";

/// Whether a waiter has the bell.
pub(crate) const IS_BELL_TAKEN: &str = "select not \
     case when pg_try_advisory_lock_shared($1) then pg_advisory_unlock_shared($1) else false end";

/// The number of slots from $1 to $2 that are taken.
pub(crate) fn taken_slots() -> String {
    format!(
        "select count(*) from pg_locks l \
         where {ADVISORY_HERE} and l.granted and {KEY_OF_ROW} between $1 and $2"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_connection_outlives_its_lease() {
        for millis in (2_000..60_000).step_by(100) {
            let ttl = Duration::from_millis(millis);
            let statement = begin_session(15, ttl);
            let setting = |name: &str| {
                let (_, value) = statement.split_once(&format!("'{name}', '")).expect("set");
                let (value, _) = value.split_once('\'').expect("quoted");
                value.parse::<u64>().expect("a number")
            };
            let [idle, interval, count] = ["idle", "interval", "count"]
                .map(|part| setting(&format!("tcp_keepalives_{part}")));
            assert!(idle + interval * count >= millis.div_ceil(1_000), "{ttl:?}");
        }
    }
}
