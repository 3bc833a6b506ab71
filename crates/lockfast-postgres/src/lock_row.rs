//! The row of a held lock, for data in the same database.

use lockfast::engine::{Engine, RawHold, RawLock};
use lockfast::{
    LockGuard, MemberGuard, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard,
};

use crate::hold::PgHold;
use crate::integers::signed;

/// The row of a held lock in the table `lockfast.names`.
///
/// It is the fence of data in the same database. Each exclusive hold writes a greater number into `fence`. So a
/// statement that compares it, and keeps the row until the end of its transaction (`for share`), writes only until
/// the next holder comes. PostgreSQL decides at the moment of the write, and a writer that was stopped comes too late.
///
/// # Examples
///
/// See [`OnPostgres::postgres_row`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LockRow {
    /// The primary key of the row: [`Client::key`](crate::Client::key).
    pub key: i64,
    /// The number in the column `fence`, which is the fencing token.
    pub fence: i64,
}

/// Guards whose lock may be on PostgreSQL.
pub trait OnPostgres {
    /// Returns the row of the lock; `None` for a lock that is not on PostgreSQL, and for holds without a token:
    /// readers, permits, and all with `?fence=off`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn main() -> lockfast::Result<()> {
    /// use lockfast::Lock;
    /// use lockfast_postgres::{Client, OnPostgres, Postgres};
    ///
    /// let client = Client::open("postgres://me@db.internal/jobs")?;
    /// let lock: Lock<Postgres> = Lock::from_raw(client.lock("balance")?);
    /// let guard = lock.lock()?;
    /// let row = guard.postgres_row().expect("an exclusive hold has a row");
    /// // It writes no row once another one holds the lock.
    /// println!(
    ///     "with held as materialized \
    ///      (select 1 from lockfast.names where key = {} and fence = {} for share) \
    ///      update balance set amount = 200 where exists (select from held)",
    ///     row.key, row.fence,
    /// );
    /// # Ok(())
    /// # }
    /// ```
    fn postgres_row(&self) -> Option<LockRow>;
}

impl OnPostgres for PgHold {
    fn postgres_row(&self) -> Option<LockRow> {
        Some(LockRow {
            key: self.key().number(),
            fence: signed(self.token()?),
        })
    }
}

macro_rules! on_postgres {
    ($($guard:ident),*) => {$(
        impl<E: Engine> OnPostgres for $guard<E>
        where
            <E::Lock as RawLock>::Hold: OnPostgres,
        {
            fn postgres_row(&self) -> Option<LockRow> {
                self.as_raw().postgres_row()
            }
        }
    )*};
}

on_postgres!(
    LockGuard,
    RwLockReadGuard,
    RwLockUpgradableReadGuard,
    RwLockWriteGuard
);

impl<E: Engine> OnPostgres for MemberGuard<E>
where
    <E::Lock as RawLock>::Hold: OnPostgres,
{
    fn postgres_row(&self) -> Option<LockRow> {
        match self {
            Self::Lock(guard) => guard.postgres_row(),
            Self::Read(guard) => guard.postgres_row(),
            Self::Upgradable(guard) => guard.postgres_row(),
            Self::Write(guard) => guard.postgres_row(),
            _ => None,
        }
    }
}
