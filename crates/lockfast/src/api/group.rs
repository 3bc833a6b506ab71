//! Several locks at once: all or none.

mod guards;
mod member;

use std::time::{Duration, Instant};

use crate::api::engine::Engine;
use crate::types::error::{Cause, Error, Operation, Result};
use crate::types::wait_limit::WaitLimit;

pub use guards::{Guards, MemberGuard};
pub use member::Member;

use member::Owned;

/// Takes all of these locks, waiting as long as it takes; if one can't be had, none is held.
///
/// They are taken in the order of their paths or names, whatever order they are given in: two callers that
/// take the same locks this way never wait for each other. (Two *names* of one file, hard links,
/// are two paths: give each file one name.)
///
/// # Blocking
///
/// As [`Lock::lock`](crate::Lock::lock), for one after the other; those that come first in the order are held
/// meanwhile.
///
/// # Errors
///
/// As [`Lock::lock`](crate::Lock::lock) and [`RwLock::write`](crate::RwLock::write). With [`is_deadlock`](crate::Error::is_deadlock) when one
/// lock is given twice, unless both times to read.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = |name: &str| dir.path().join(name);
/// use lockfast::Lock;
///
/// let (a, b) = (Lock::open(path("a.lock"))?, Lock::open(path("b.lock"))?);
/// let guards = lockfast::lock_all([&b, &a])?;
/// assert!(a.try_lock().is_err() && b.try_lock().is_err());
/// guards.release()?;
/// # Ok(())
/// # }
/// ```
pub fn lock_all<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
) -> Result<Guards<E>> {
    take_all(&owned(members), WaitLimit::Forever)
}

/// As [`lock_all`], without waiting.
///
/// # Errors
///
/// With [`is_contended`](crate::Error::is_contended) when one of them can't be had at once; the
/// error names it.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = |name: &str| dir.path().join(name);
/// use lockfast::Lock;
///
/// let (a, b) = (Lock::open(path("a.lock"))?, Lock::open(path("b.lock"))?);
/// let guard = b.lock()?;
/// let error = lockfast::try_lock_all([&a, &b]).unwrap_err();
/// assert!(error.is_contended());
/// assert_eq!(error.path(), b.path());
/// assert!(a.try_lock().is_ok());
/// # drop(guard);
/// # Ok(())
/// # }
/// ```
pub fn try_lock_all<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
) -> Result<Guards<E>> {
    take_all(&owned(members), WaitLimit::None)
}

/// As [`lock_all`], waiting for at most that long for all of them together.
///
/// # Errors
///
/// With [`is_timed_out`](crate::Error::is_timed_out) when the time has passed.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = |name: &str| dir.path().join(name);
/// use lockfast::Lock;
/// use std::time::Duration;
///
/// let (a, b) = (Lock::open(path("a.lock"))?, Lock::open(path("b.lock"))?);
/// let guard = b.lock()?;
/// let error = lockfast::try_lock_all_for([&a, &b], Duration::from_millis(5)).unwrap_err();
/// assert!(error.is_timed_out());
/// # drop(guard);
/// # Ok(())
/// # }
/// ```
pub fn try_lock_all_for<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
    timeout: Duration,
) -> Result<Guards<E>> {
    take_all(&owned(members), WaitLimit::lasting(timeout))
}

/// As [`lock_all`], waiting until that instant at most.
///
/// # Errors
///
/// As [`try_lock_all_for`].
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = |name: &str| dir.path().join(name);
/// use lockfast::Lock;
/// use std::time::{Duration, Instant};
///
/// let (a, b) = (Lock::open(path("a.lock"))?, Lock::open(path("b.lock"))?);
/// let deadline = Instant::now() + Duration::from_secs(10);
/// let guards = lockfast::try_lock_all_until([&a, &b], deadline)?;
/// # drop(guards);
/// # Ok(())
/// # }
/// ```
pub fn try_lock_all_until<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
    deadline: Instant,
) -> Result<Guards<E>> {
    take_all(&owned(members), WaitLimit::Until(deadline))
}

/// As [`lock_all`], as a task, without blocking the thread that polls.
///
/// # Cancellation
///
/// Dropping the future ends the wait and releases those that were taken already.
///
/// # Errors
///
/// As [`lock_all`] and [`Lock::lock_async`](crate::Lock::lock_async).
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = |name: &str| dir.path().join(name);
/// # smol::block_on(async {
/// use lockfast::Lock;
///
/// let (a, b) = (Lock::open(path("a.lock"))?, Lock::open(path("b.lock"))?);
/// let guards = lockfast::lock_all_async([&b, &a]).await?;
/// assert!(a.try_lock().is_err() && b.try_lock().is_err());
/// # drop(guards);
/// # Ok(())
/// # })
/// # }
/// ```
pub fn lock_all_async<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
) -> impl Future<Output = Result<Guards<E>>> + Send + 'static {
    take_all_async(owned(members), WaitLimit::Forever)
}

/// As [`lock_all_async`], waiting for at most that long for all of them together.
///
/// The time begins now, not with the first poll.
///
/// # Cancellation
///
/// As [`lock_all_async`].
///
/// # Errors
///
/// With [`is_timed_out`](crate::Error::is_timed_out) when the time has passed.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = |name: &str| dir.path().join(name);
/// # smol::block_on(async {
/// use lockfast::Lock;
/// use std::time::Duration;
///
/// let (a, b) = (Lock::open(path("a.lock"))?, Lock::open(path("b.lock"))?);
/// let guard = b.lock()?;
/// let taken = lockfast::lock_all_async_for([&a, &b], Duration::from_millis(5)).await;
/// assert!(taken.unwrap_err().is_timed_out());
/// # drop(guard);
/// # Ok(())
/// # })
/// # }
/// ```
pub fn lock_all_async_for<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
    timeout: Duration,
) -> impl Future<Output = Result<Guards<E>>> + Send + 'static {
    take_all_async(owned(members), WaitLimit::lasting(timeout))
}

/// As [`lock_all_async`], waiting until that instant at most.
///
/// # Cancellation
///
/// As [`lock_all_async`].
///
/// # Errors
///
/// As [`lock_all_async_for`].
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = |name: &str| dir.path().join(name);
/// # smol::block_on(async {
/// use lockfast::Lock;
/// use std::time::{Duration, Instant};
///
/// let (a, b) = (Lock::open(path("a.lock"))?, Lock::open(path("b.lock"))?);
/// let deadline = Instant::now() + Duration::from_secs(10);
/// let guards = lockfast::lock_all_async_until([&a, &b], deadline).await?;
/// # drop(guards);
/// # Ok(())
/// # })
/// # }
/// ```
pub fn lock_all_async_until<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
    deadline: Instant,
) -> impl Future<Output = Result<Guards<E>>> + Send + 'static {
    take_all_async(owned(members), WaitLimit::Until(deadline))
}

/// Takes all of these locks as a task, within that limit.
pub(crate) fn lock_all_within<'a, E: Engine>(
    members: impl IntoIterator<Item = Member<'a, E>>,
    limit: WaitLimit,
) -> impl Future<Output = Result<Guards<E>>> + Send + 'static {
    take_all_async(owned(members), limit)
}

fn owned<'a, E: Engine, M: Into<Member<'a, E>>>(
    members: impl IntoIterator<Item = M>,
) -> Vec<Owned<E>> {
    let members = members.into_iter().map(Into::into);
    members.map(Owned::from).collect()
}

fn take_all<E: Engine>(members: &[Owned<E>], limit: WaitLimit) -> Result<Guards<E>> {
    // An error drops the guards that were taken before, so all are held or none.
    let guards = order(members)?
        .into_iter()
        .map(|number| Ok((number, members[number].take(limit)?)))
        .collect::<Result<_>>()?;
    Ok(Guards::new(guards))
}

async fn take_all_async<E: Engine>(members: Vec<Owned<E>>, limit: WaitLimit) -> Result<Guards<E>> {
    let mut guards = Vec::with_capacity(members.len());
    // One after the other: at the same time they would not be taken in the order that rules out a circle.
    for number in order(&members)? {
        guards.push((number, members[number].take_async(limit).await?));
    }
    Ok(Guards::new(guards))
}

/// Returns the order in which the members are taken, if they can be taken together.
fn order<E: Engine>(members: &[Owned<E>]) -> Result<Vec<usize>> {
    let mut order: Vec<_> = members
        .iter()
        .enumerate()
        .map(|(number, member)| (member.resource().order_key(), number))
        .collect();
    // In one order in all processes, so that no two wait for each other. The number only breaks ties
    // between members of one resource.
    order.sort();
    for pair in order.windows(2) {
        let (one, other) = (&members[pair[0].1], &members[pair[1].1]);
        if pair[0].0 == pair[1].0 && !(one.shares() && other.shares()) {
            let why = "it is one of several locks twice, and would wait for itself";
            return Err(Error::new(
                one.resource(),
                Operation::Lock,
                Cause::Deadlock(why),
            ));
        }
    }
    Ok(order.into_iter().map(|(_, number)| number).collect())
}
