//! Sessions that hold nothing at the moment.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::session::{Session, lock};

#[derive(Debug, Default)]
struct Free {
    /// Free sessions, and since when each is free.
    sessions: Vec<(Arc<Session>, Instant)>,
    /// Whether a task closes old ones.
    is_watched: bool,
}

/// The number of free sessions that are kept.
const MOST: usize = 8;

/// Sessions that hold nothing at the moment, the last used one at the end.
///
/// They send no heartbeat. The server ends them after the time of a lease, and the pool before that.
#[derive(Debug)]
pub(crate) struct Pool {
    free: Arc<Mutex<Free>>,
    /// The time for which a session is kept.
    kept_for: Duration,
}

impl Pool {
    pub(crate) fn new(ttl: Duration) -> Self {
        let free = Arc::default();
        let kept_for = ttl / 2;
        Self { free, kept_for }
    }

    /// Takes the session that was used last.
    pub(crate) fn take(&self) -> Option<Arc<Session>> {
        let mut free = lock(&self.free);
        loop {
            let (session, since) = free.sessions.pop()?;
            if since.elapsed() < self.kept_for && !session.is_over() {
                return Some(session);
            }
        }
    }

    /// Keeps a session that holds nothing. Must be called in the context of the runtime.
    pub(crate) fn put(&self, session: Arc<Session>) {
        if session.is_over() {
            return;
        }
        let mut free = lock(&self.free);
        let mut sessions = free.sessions.iter();
        let is_kept = sessions.any(|(kept, _)| Arc::ptr_eq(kept, &session));
        debug_assert!(!is_kept, "a session is kept twice");
        if is_kept || free.sessions.len() >= MOST {
            return;
        }
        free.sessions.push((session, Instant::now()));
        let was_watched = std::mem::replace(&mut free.is_watched, true);
        drop(free);
        if !was_watched {
            tokio::spawn(close_old(Arc::clone(&self.free), self.kept_for));
        }
    }
}

/// Closes sessions that were not used for that long, until none is left when it looks.
async fn close_old(free: Arc<Mutex<Free>>, kept_for: Duration) {
    loop {
        let oldest = {
            let mut free = lock(&free);
            let oldest = free.sessions.first().map(|(_, since)| *since);
            free.is_watched = oldest.is_some();
            oldest
        };
        let Some(oldest) = oldest else {
            return;
        };
        tokio::time::sleep(kept_for.saturating_sub(oldest.elapsed())).await;
        let mut free = lock(&free);
        free.sessions
            .retain(|(_, since)| since.elapsed() < kept_for);
    }
}
