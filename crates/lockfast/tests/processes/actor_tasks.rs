//! What an actor does as a task.

use std::pin::pin;
use std::task::{Context, Waker};

use lockfast::Lock;

use crate::actor::Shared;

/// Takes the lock on that runtime, and keeps the guard.
pub(crate) fn take(
    runtime: &str,
    name: &str,
    guard: &str,
    props: &Shared,
) -> Result<(), Box<dyn std::error::Error>> {
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
