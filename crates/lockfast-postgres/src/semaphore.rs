//! An opened semaphore.
//!
//! A semaphore has a gate and as many slots as it has permits, each an advisory lock:
//!
//! | key | is | held by |
//! |---|---|---|
//! | k | the gate | the first in line, until it has its slots: so the line is first come, first served |
//! | k + 1 | the bell | the first in line, while it sleeps because too few slots are free |
//! | k + 2 … k + 1 + n | the slots | those who have permits |
//!
//! A release frees its slots and then looks at the bell; if that is taken, it sends a notification. The first in
//! line takes the bell before it looks at the slots for the last time, so no release is missed. A holder that
//! died sends nothing, so the first in line also looks at the slots every half second.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lockfast::engine::{Mode, Operation, RawSemaphore, WaitLimit, block_on};
use lockfast::{Resource, Result};
use lockfast_lease::BootTime;
use tokio_postgres::types::ToSql;

use crate::attempt::{Attempt, NotTaken};
use crate::client::Shared;
use crate::failure::Failure;
use crate::flight::{Cancelled, Flight};
use crate::integers::{signed_count, unsigned};
use crate::key::Key;
use crate::park;
use crate::permits::{Issued, PgPermits};
use crate::process;
use crate::session::Session;
use crate::sql;

/// The time after which the first in line looks for the slots of a holder that died.
const LOOKS_AGAIN: Duration = Duration::from_millis(500);

/// The time for which an attempt without a wait gives way to those who are just passing the gate.
const PASSING: Duration = Duration::from_millis(20);

/// An opened semaphore on PostgreSQL. Clones are the same semaphore.
#[derive(Clone)]
pub struct PgSemaphore(Arc<Slots>);

/// A name whose locks are the slots of a semaphore.
pub(crate) struct Slots {
    pub(crate) shared: Arc<Shared>,
    pub(crate) name: String,
    key: Key,
    permits: u32,
}

/// Slots and the token that a wait got.
pub(crate) struct Got {
    pub(crate) slots: Vec<i64>,
    pub(crate) token: u64,
    /// The time of a request after which the server showed that they are held.
    pub(crate) sent: BootTime,
}

impl fmt::Debug for PgSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PgSemaphore")
            .field(&self.0.name)
            .field(&self.0.permits)
            .finish()
    }
}

impl PgSemaphore {
    /// Each permit that is taken needs a place in the server's table of locks.
    pub(crate) const MOST_PERMITS: u32 = 1000;

    pub(crate) fn new(shared: Arc<Shared>, name: &str, key: Key, permits: u32) -> Self {
        let name = name.to_owned();
        Self(Arc::new(Slots {
            shared,
            name,
            key,
            permits,
        }))
    }

    fn refuse_forked(&self) -> Result<()> {
        let shared = &self.0.shared;
        shared.refuse_forked(&self.0.name, Operation::Acquire)
    }
}

impl RawSemaphore for PgSemaphore {
    type Permits = PgPermits;

    fn resource(&self) -> Resource {
        Resource::named(&self.0.name)
    }

    fn permits(&self) -> u32 {
        self.0.permits
    }

    fn available_permits(&self) -> Result<u32> {
        let slots = &self.0;
        let (first, last) = slots.range();
        let statement = sql::taken_slots();
        let taken = slots
            .shared
            .ask(&slots.name, Operation::Acquire, async |session| {
                let row = session
                    .query(&statement, &[&first.number(), &last.number()])
                    .await?;
                Ok(row.get::<_, i64>(0))
            })?;
        let taken = u32::try_from(taken).unwrap_or(u32::MAX);
        Ok(slots.permits.saturating_sub(taken))
    }

    fn acquire(&self, count: u32, limit: WaitLimit) -> Result<PgPermits> {
        self.refuse_forked()?;
        let slots = Arc::clone(&self.0);
        let flight = Flight::here(&self.0.shared, |cancelled| {
            slots.acquire(count, limit, cancelled)
        });
        // The wait ends by itself at its limit.
        block_on(
            self.resource(),
            Operation::Acquire,
            WaitLimit::Forever,
            flight,
        )
        .map(PgPermits::new)
    }

    async fn acquire_async(&self, count: u32, limit: WaitLimit) -> Result<PgPermits> {
        self.refuse_forked()?;
        let slots = Arc::clone(&self.0);
        let flight = Flight::start(&self.0.shared, |cancelled| {
            slots.acquire(count, limit, cancelled)
        });
        flight.await.map(PgPermits::new)
    }
}

impl Slots {
    pub(crate) fn bell(&self) -> Key {
        self.key.plus(1)
    }

    /// The channel of notifications about freed slots.
    pub(crate) fn channel(&self) -> String {
        format!("lockfast_{:016x}", self.key.number())
    }

    /// The first and the last slot.
    fn range(&self) -> (Key, Key) {
        (self.key.plus(2), self.key.plus(1 + self.permits))
    }

    async fn acquire(
        self: Arc<Self>,
        count: u32,
        limit: WaitLimit,
        cancelled: Cancelled,
    ) -> Result<Issued> {
        let (shared, name) = (&self.shared, &self.name);
        let mut attempt =
            Attempt::new(shared, name, self.key, Operation::Acquire, limit, cancelled);
        let taken = loop {
            match self.take(&mut attempt, count).await {
                Ok(taken) => break Ok(taken),
                // A kept session that the server has closed; see `Attempt::take`.
                Err((NotTaken::Failed(failure), false))
                    if failure.is_closed() && limit == WaitLimit::None => {}
                Err((reason, _)) => break Err(reason),
            }
        };
        match taken {
            Ok((session, got)) => Ok(Issued::new(&self, session, got)),
            Err(reason) => Err(attempt.error(reason)),
        }
    }

    /// Takes slots in a session of its own. With the error: whether the session was new.
    async fn take(
        &self,
        attempt: &mut Attempt<'_>,
        count: u32,
    ) -> std::result::Result<(Arc<Session>, Got), (NotTaken, bool)> {
        let opened = attempt.session().await;
        let (session, is_new) = opened.map_err(|failure| (failure.into(), true))?;
        let entered = match attempt.limit {
            WaitLimit::None => self.try_enter(attempt, &session).await,
            limit => self.enter(attempt, &session, limit).await,
        };
        match entered {
            Ok(true) => {}
            Ok(false) | Err(Failure::TimedOut) => {
                return Err((attempt.held(&session).await, is_new));
            }
            Err(failure) => return Err((NotTaken::in_session(failure, attempt.limit), is_new)),
        }
        match self.take_behind_gate(attempt, &session, count).await {
            Ok(got) => Ok((session, got)),
            Err(Failure::TimedOut) => {
                self.leave(&session).await;
                Err((NotTaken::Held(None), true))
            }
            Err(failure) => {
                self.leave(&session).await;
                Err((NotTaken::in_session(failure, attempt.limit), true))
            }
        }
    }

    /// Waits for the gate. After an error, the session holds nothing.
    async fn enter(
        &self,
        attempt: &mut Attempt<'_>,
        session: &Arc<Session>,
        limit: WaitLimit,
    ) -> std::result::Result<bool, Failure> {
        let own = std::mem::replace(&mut attempt.limit, limit);
        let entered = attempt.run(session, Mode::Exclusive, false).await;
        attempt.limit = own;
        entered.map(|granted| granted.is_some())
    }

    /// Takes the gate, unless the one that has it waits for slots itself.
    async fn try_enter(
        &self,
        attempt: &mut Attempt<'_>,
        session: &Arc<Session>,
    ) -> std::result::Result<bool, Failure> {
        loop {
            if self.enter(attempt, session, WaitLimit::None).await? {
                return Ok(true);
            }
            let row = session
                .ask(sql::IS_BELL_TAKEN, &[&self.bell().number()])
                .await?;
            if row.get(0) {
                return Ok(false);
            }
            // Somebody passes the gate, and there may be slots for both.
            let soon = WaitLimit::Until(Instant::now() + PASSING);
            match self.enter(attempt, session, soon).await {
                Err(Failure::TimedOut) => {}
                entered => return entered,
            }
        }
    }

    /// Takes slots and a token, and opens the gate for the next in line.
    async fn take_behind_gate(
        &self,
        attempt: &mut Attempt<'_>,
        session: &Arc<Session>,
        count: u32,
    ) -> std::result::Result<Got, Failure> {
        let mut slots = Vec::new();
        self.take_slots(session, count, &mut slots).await?;
        let has_to_wait = slots.len() < count as usize;
        if has_to_wait {
            if attempt.limit == WaitLimit::None {
                return Err(Failure::TimedOut);
            }
            self.wait_for_slots(attempt, session, count, &mut slots)
                .await?;
        }
        let permits = signed_count(self.permits);
        let (key, bell) = (self.key.number(), self.bell().number());
        let sent = self.shared.clock.now();
        // Prepared beforehand, so that the server runs these in this order.
        session.within(session.prepare(sql::NEXT_FENCE)).await?;
        session.set_shown(None);
        let (begin, end) = process::around_token(&self.name);
        let parameters: [&(dyn ToSql + Sync); 4] = [&key, &permits, &begin, &end];
        let count_grant = async { session.rows(sql::NEXT_FENCE, &parameters).await };
        let open = async { session.query(sql::free(Mode::Exclusive), &[&key]).await };
        let silence = async {
            if has_to_wait {
                session.query(sql::free(Mode::Exclusive), &[&bell]).await?;
            }
            Ok(())
        };
        let all = pin!(async { Ok(tokio::join!(count_grant, open, silence)) });
        let (token, opened, silent): (_, _, std::result::Result<(), Failure>) =
            session.within(park::together(all)).await?;
        silent?;
        session.check_backend(opened?.get(1))?;
        let token = token?;
        let token = token.first().map(|row| row.get::<_, i64>(0));
        let token = token.ok_or_else(|| Failure::Collision("of another primitive".to_owned()))?;
        Ok(Got {
            slots,
            token: unsigned(token),
            sent,
        })
    }

    /// Adds free slots, until there are that many.
    async fn take_slots(
        &self,
        session: &Session,
        count: u32,
        slots: &mut Vec<i64>,
    ) -> std::result::Result<(), Failure> {
        let first = self.range().0.number();
        let all = signed_count(self.permits);
        let missing = i64::from(count) - i64::try_from(slots.len()).unwrap_or_default();
        let own: &[i64] = slots;
        let parameters: [&(dyn ToSql + Sync); 4] = [&first, &all, &missing, &own];
        let taken = async { session.rows(sql::TAKE_SLOTS, &parameters).await };
        let taken = session.within(taken).await?;
        slots.extend(taken.iter().map(|row| row.get::<_, i64>(0)));
        Ok(())
    }

    async fn wait_for_slots(
        &self,
        attempt: &mut Attempt<'_>,
        session: &Arc<Session>,
        count: u32,
        slots: &mut Vec<i64>,
    ) -> std::result::Result<(), Failure> {
        let listen = format!("listen {}", self.channel());
        session
            .within(async { Ok(session.client().batch_execute(&listen).await?) })
            .await?;
        // Only those who ring hold it besides, and not for long.
        let bell = "select pg_advisory_lock($1) is not null";
        session.ask(bell, &[&self.bell().number()]).await?;
        let deadline = match attempt.limit {
            WaitLimit::Until(deadline) => Some(deadline),
            _ => None,
        };
        loop {
            self.take_slots(session, count, slots).await?;
            if slots.len() >= count as usize {
                break;
            }
            let now = Instant::now();
            let left = deadline.map_or(LOOKS_AGAIN, |deadline| {
                deadline.saturating_duration_since(now)
            });
            if left.is_zero() {
                return Err(Failure::TimedOut);
            }
            let mut rung = pin!(session.rung.notified());
            tokio::select! {
                _ = &mut attempt.cancelled => return Err(Failure::Cancelled),
                () = session.over() => return Err(Failure::Closed),
                () = &mut rung => {}
                () = tokio::time::sleep(left.min(LOOKS_AGAIN)) => {}
            }
        }
        session
            .within(async { Ok(session.client().batch_execute("unlisten *").await?) })
            .await
    }

    /// Frees the gate, the bell and the slots of a wait that has ended.
    async fn leave(&self, session: &Arc<Session>) {
        // The slots may be what the next in line waits for.
        let ring = format!("unlisten *; notify {}", self.channel());
        let begun = async { Ok(session.client().batch_execute(&ring).await?) };
        if session.free_all().await && session.within(begun).await.is_ok() {
            self.shared.pool.put(Arc::clone(session));
        } else {
            session.close();
        }
    }
}
