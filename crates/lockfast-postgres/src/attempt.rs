//! Taking a lock: one statement that waits at the server.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lockfast::engine::{Cause, Mode, Operation, WaitLimit};
use lockfast::{Error, ErrorKind, Holder, Resource};
use lockfast_lease::BootTime;
use tokio::time::{sleep_until, timeout_at};
use tokio_postgres::types::ToSql;

use crate::client::Shared;
use crate::failure::{self, Failure};
use crate::flight::Cancelled;
use crate::integers::unsigned;
use crate::key::Key;
use crate::process;
use crate::session::{Session, ended_by};
use crate::sql::{self, Take, Wait};

/// The time after the limit of a wait in which the server's own time-out should have answered.
const GRACE: Duration = Duration::from_secs(1);

/// A lock, and what ends the wait for it.
pub(crate) struct Attempt<'a> {
    shared: &'a Arc<Shared>,
    name: &'a str,
    key: Key,
    operation: Operation,
    begin: Instant,
    pub(crate) limit: WaitLimit,
    pub(crate) cancelled: Cancelled,
}

/// A lock that was granted.
pub(crate) struct Taken {
    pub(crate) session: Arc<Session>,
    pub(crate) token: Option<u64>,
    /// The time of a request after which the server showed that it is held.
    pub(crate) sent: BootTime,
}

/// The reason why nothing was granted.
pub(crate) enum NotTaken {
    /// It is held, perhaps by that process: the attempt had no time, or no time is left.
    Held(Option<Holder>),
    /// The session ended during the wait, and with it the place in the line.
    PlaceLost(Failure),
    Failed(Failure),
}

impl From<Failure> for NotTaken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl NotTaken {
    /// Returns the reason for a failure in a session that had begun to take something.
    pub(crate) fn in_session(failure: Failure, limit: WaitLimit) -> Self {
        if limit != WaitLimit::None && failure.is_closed() {
            Self::PlaceLost(failure)
        } else {
            Self::Failed(failure)
        }
    }
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(
        shared: &'a Arc<Shared>,
        name: &'a str,
        key: Key,
        operation: Operation,
        limit: WaitLimit,
        cancelled: Cancelled,
    ) -> Self {
        Self {
            shared,
            name,
            key,
            operation,
            begin: Instant::now(),
            limit,
            cancelled,
        }
    }

    /// Waits for the lock in a session of its own.
    pub(crate) async fn take(&mut self, mode: Mode) -> Result<Taken, NotTaken> {
        let has_fence = self.shared.address.has_fence && mode != Mode::Read;
        let waits = self.limit != WaitLimit::None;
        loop {
            let (session, is_new) = self.session().await?;
            match self.take_in(&session, mode, has_fence).await {
                // The server closed a session that was kept, perhaps before it read the statement. A wait is not
                // begun again: it may have been ended by `break_token`.
                Err(NotTaken::Failed(failure)) if failure.is_closed() && !is_new && !waits => {}
                taken => return taken,
            }
        }
    }

    /// Returns a session, unless the wait ends before.
    pub(crate) async fn session(&mut self) -> Result<(Arc<Session>, bool), Failure> {
        let opened = async {
            match self.limit {
                // A short wait is no proof that the server can't be reached.
                WaitLimit::Until(deadline) => {
                    let until = deadline.max(Instant::now() + GRACE);
                    timeout_at(until.into(), self.shared.session())
                        .await
                        .unwrap_or(Err(Failure::NoAnswer))
                }
                _ => self.shared.session().await,
            }
        };
        tokio::select! {
            opened = opened => opened,
            _ = &mut self.cancelled => Err(Failure::Cancelled),
        }
    }

    async fn take_in(
        &mut self,
        session: &Arc<Session>,
        mode: Mode,
        has_fence: bool,
    ) -> Result<Taken, NotTaken> {
        let mut sent = self.shared.clock.now();
        let token = match self.run(session, mode, has_fence).await {
            Ok(Some(token)) => token,
            Ok(None) | Err(Failure::TimedOut) => return Err(self.held(session).await),
            Err(failure) => return Err(NotTaken::in_session(failure, self.limit)),
        };
        // The server may have granted it long ago, if this process was stopped meanwhile.
        if self.shared.clock.now().since(sent) > self.shared.address.ttl / 4 {
            match session.within(session.beat()).await {
                Ok(beat) => sent = beat,
                Err(failure) => {
                    session.close();
                    return Err(NotTaken::in_session(failure, self.limit));
                }
            }
        }
        if has_fence && token.is_none() {
            self.shared.put_back(session).await;
            return Err(
                Failure::Collision("of a semaphore or of another namespace".to_owned()).into(),
            );
        }
        Ok(Taken {
            session: Arc::clone(session),
            token,
            sent,
        })
    }

    /// Runs the statement. Returns the fence, or nothing if it was not granted at once. After an error, the session
    /// holds nothing and is kept for others, or ends; after `TimedOut`, the caller still has it.
    pub(crate) async fn run(
        &mut self,
        session: &Arc<Session>,
        mode: Mode,
        has_fence: bool,
    ) -> Result<Option<Option<u64>>, Failure> {
        let number = self.key.number();
        let patience = patience(self.limit);
        let is_shown = session.shows(self.name);
        let shown = (!is_shown).then(|| process::application_name(self.name));
        let statement = Take {
            mode,
            wait: match (self.limit, &patience) {
                (WaitLimit::None, _) => Wait::No,
                (_, None) => Wait::Forever,
                (_, Some(_)) => Wait::Limited,
            },
            shows: shown.is_some(),
            has_fence,
        }
        .statement();
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&number];
        if has_fence {
            parameters.push(&self.shared.address.namespace);
            parameters.push(&self.name);
        }
        for setting in shown.iter().chain(&patience) {
            parameters.push(setting);
        }
        if !is_shown {
            session.set_shown(None);
        }
        let timeout = self.shared.address.timeout;
        let limit = self.limit;
        let mut is_cancelled = false;
        let end = async {
            tokio::select! {
                _ = &mut self.cancelled => is_cancelled = true,
                () = after(limit, timeout) => {}
            }
        };
        let (answer, was_ended) =
            ended_by(session, session.query(&statement, &parameters), end).await;
        let answer = answer.and_then(|row| {
            session.check_backend(row.get(1))?;
            Ok((row.get::<_, bool>(0), row.get::<_, Option<i64>>(2)))
        });
        match (&answer, is_shown) {
            (Ok(_), false) => session.set_shown(Some(self.name)),
            (Ok(_), true) => {}
            (Err(_), _) => session.set_shown(None),
        }
        match answer {
            Ok((true, fence)) if !was_ended => Ok(Some(fence.map(unsigned))),
            Ok((false, _)) if !was_ended => Ok(None),
            // The session stays with the caller: kept a second time, two would use it, and hold the same lock.
            Err(Failure::TimedOut) if !was_ended => {
                if session.free_all().await {
                    Err(Failure::TimedOut)
                } else {
                    session.close();
                    Err(Failure::Closed)
                }
            }
            Err(failure) if !was_ended => {
                self.shared.put_back_after(session, &failure).await;
                Err(failure)
            }
            answer => {
                // Not kept for others: a cancel request that is late would end their statement.
                if matches!(answer, Err(Failure::NoAnswer)) || !session.free_all().await {
                    session.close();
                }
                Err(match answer {
                    _ if is_cancelled => Failure::Cancelled,
                    Err(failure) if failure.is_closed() => failure,
                    _ => Failure::NoAnswer,
                })
            }
        }
    }

    /// Returns the error about a lock that is held, and keeps the session for others.
    pub(crate) async fn held(&self, session: &Arc<Session>) -> NotTaken {
        let holder = session.within(find_holder(session, self.key)).await;
        self.shared.pool.put(Arc::clone(session));
        NotTaken::Held(holder.unwrap_or_default())
    }

    /// Returns the error of an attempt that ended without a lock.
    pub(crate) fn error(&self, reason: NotTaken) -> Error {
        let (resource, operation) = (Resource::named(self.name), self.operation);
        let (url, waited) = (&self.shared.address.shown, self.begin.elapsed());
        let cause = match reason {
            NotTaken::Held(holder) if self.limit == WaitLimit::None => Cause::Contended(holder),
            NotTaken::Held(holder) => Cause::TimedOut(waited, holder),
            NotTaken::PlaceLost(failure) => {
                let text = format!(
                    "its place in the line is lost ({failure}): someone broke it, or the server or the connection \
                     ended; try again"
                );
                return failure::refused(url, resource, operation, ErrorKind::NotHeld, text);
            }
            NotTaken::Failed(Failure::Cancelled) => Cause::Cancelled(waited),
            NotTaken::Failed(failure) => return failure.error(url, resource, operation),
        };
        Error::new(resource, operation, cause)
    }
}

impl Shared {
    /// Frees what a session may hold, and keeps it for others.
    pub(crate) async fn put_back(&self, session: &Arc<Session>) {
        if session.free_all().await {
            self.pool.put(Arc::clone(session));
        } else {
            session.close();
        }
    }

    /// As [`put_back`](Self::put_back), unless the session can't be used after that failure.
    async fn put_back_after(&self, session: &Arc<Session>, failure: &Failure) {
        if matches!(failure, Failure::Server(_) | Failure::TimedOut) && !failure.is_closed() {
            self.put_back(session).await;
        } else {
            session.close();
        }
    }
}

/// Completes when the server should have answered long ago.
async fn after(limit: WaitLimit, timeout: Duration) {
    match limit {
        WaitLimit::Forever => pending().await,
        WaitLimit::Until(deadline) => sleep_until((deadline + GRACE).into()).await,
        WaitLimit::None => tokio::time::sleep(timeout).await,
    }
}

/// Returns the server's `lock_timeout`, in milliseconds; nothing is for ever.
fn patience(limit: WaitLimit) -> Option<String> {
    let WaitLimit::Until(deadline) = limit else {
        return None;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    // Rounded up: a wait that ends early would be a short one.
    let millis = left.as_nanos().div_ceil(1_000_000).max(1);
    // What the setting can't say is ended from here.
    let millis = i32::try_from(millis).ok()?;
    Some(millis.to_string())
}

/// Finds a process that holds the lock.
async fn find_holder(session: &Session, key: Key) -> Result<Option<Holder>, Failure> {
    let rows = session.rows(&sql::holders(), &[&key.number()]).await?;
    let holder = rows.iter().find_map(|row| {
        let process = process::read(row.get(0))?;
        let label = Some(process.program.to_owned());
        Some(Holder::on_host(process.host, process.pid, label, None))
    });
    Ok(holder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patience_of_the_server_is_never_for_ever_by_mistake() {
        assert_eq!(patience(WaitLimit::Forever), None);
        let now = WaitLimit::Until(Instant::now());
        assert_eq!(patience(now).as_deref(), Some("1"));
        let day = Duration::from_secs(24 * 60 * 60);
        let hundred_days = WaitLimit::Until(Instant::now() + 100 * day);
        assert_eq!(patience(hundred_days), None, "it is ended from here");
    }
}
