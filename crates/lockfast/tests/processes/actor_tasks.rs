//! Commands about tasks.

use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Waker};

use lockfast::{Lock, LockGuard, Result};

use crate::actor::Shared;

/// Takes the lock on that runtime, and keeps the guard.
pub(crate) fn take(
    runtime: &str,
    name: &str,
    guard: &str,
    props: &Shared,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let locked = || props.lock().expect("no command panics");
    let lock = locked().locks[name].clone();
    let taken = match runtime {
        "tokio" => tokio::runtime::Builder::new_current_thread()
            .build()?
            .block_on(lock.lock_async())?,
        "smol" => smol::block_on(lock.lock_async())?,
        _ => return Err(format!("unknown runtime {runtime}").into()),
    };
    locked().guards.insert(guard.to_owned(), taken);
    Ok(())
}

/// Polls a wait once and drops it; tells whether it had to wait.
pub(crate) fn drop_waiting(lock: &Lock) -> String {
    let mut context = Context::from_waker(Waker::noop());
    let polled = pin!(lock.lock_async()).poll(&mut context);
    polled.is_pending().to_string()
}

type Wait = Pin<Box<dyn Future<Output = Result<LockGuard>> + Send>>;

/// The one wait that goes on beside the commands.
fn beside() -> MutexGuard<'static, Option<Wait>> {
    static BESIDE: Mutex<Option<Wait>> = Mutex::new(None);
    BESIDE.lock().expect("no command panics")
}

/// Polls a wait once and leaves it; tells whether it has to wait.
pub(crate) fn begin(lock: &Lock) -> String {
    let mut wait: Wait = Box::pin(lock.lock_async());
    let mut context = Context::from_waker(Waker::noop());
    let polled = wait.as_mut().poll(&mut context);
    *beside() = Some(wait);
    polled.is_pending().to_string()
}

/// Drops the wait that was begun.
pub(crate) fn forget() {
    drop(beside().take());
}

/// Ends the wait that was begun.
pub(crate) fn end() -> Result<LockGuard> {
    smol::block_on(beside().take().expect("one was begun"))
}
