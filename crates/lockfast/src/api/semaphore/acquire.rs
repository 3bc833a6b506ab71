//! Acquiring permits of a file: without waiting, or in the line.

use std::io;
use std::sync::Arc;

use crate::file::held_permits::{HeldPermits, PermitPlace};
use crate::file::{Goal, LockFile};
use crate::handle::Handle;
use crate::protocol::plan::Mode;
use crate::types::error::{Error, Operation, Result};
use crate::types::thread::ThreadToken;
use crate::types::wait_limit::WaitLimit;
use crate::wait::{Wait, in_one_process, run_blocking};

/// The outcome of an attempt.
enum Attempt {
    Taken(HeldPermits),
    /// Too few were free, or others come first.
    Full,
    /// The file is not at its path any more.
    Stale,
}

/// Takes that many permits, waiting until the limit.
pub(crate) fn acquire(
    handle: &Arc<Handle>,
    count: u32,
    patience: WaitLimit,
) -> Result<HeldPermits> {
    let thread = ThreadToken::current();
    let wait = Wait::new(handle, thread, patience, Operation::Acquire);
    run_blocking(acquire_by(handle, count, thread, wait))
}

/// Takes that many permits as a task, waiting until the limit or until it is dropped.
pub(crate) async fn acquire_async(
    handle: &Arc<Handle>,
    count: u32,
    limit: WaitLimit,
) -> Result<HeldPermits> {
    let wait = Wait::of_task(handle, Operation::Acquire);
    if limit == WaitLimit::Forever {
        let acquires = acquire_by(handle, count, ThreadToken::NONE, wait);
        return in_one_process(handle.path(), Operation::Acquire, acquires).await;
    }
    match acquire(handle, count, WaitLimit::None) {
        Err(error) if error.is_contended() && limit != WaitLimit::None => {}
        done => return done,
    }
    // A task has no clock, so a helper thread does all of the wait.
    let own = Arc::clone(handle);
    let acquires = wait.offload(move |_: &mut Wait<'_, Handle>| acquire(&own, count, limit));
    in_one_process(handle.path(), Operation::Acquire, acquires).await
}

async fn acquire_by(
    handle: &Arc<Handle>,
    count: u32,
    thread: ThreadToken,
    mut wait: Wait<'_, Handle>,
) -> Result<HeldPermits> {
    loop {
        match attempt(handle, count) {
            Ok(Attempt::Taken(taken)) => {
                wait.acquired(PERMIT);
                return Ok(taken);
            }
            Ok(Attempt::Full) if wait.is_impatient() => return Err(wait.contended(None)),
            Ok(Attempt::Full) => break,
            Ok(Attempt::Stale) => wait.ensure_in_time(|| None)?,
            Err(error) if error.is_leased() && !wait.is_impatient() => {
                drop(opened(handle, &mut wait).await?);
            }
            Err(error) => return Err(error),
        }
    }
    let queue = &handle.process().queue;
    let enqueued = queue.enqueue(Mode::Exclusive, thread, false);
    let _turn = wait.until_admitted(enqueued, || None).await?;
    loop {
        let file = opened(handle, &mut wait).await?;
        if handle.is_at_path(&file)? {
            let own = Arc::clone(handle);
            // Dropped last, when permits that are of no use were given back.
            let place = PermitPlace::of(&file, wait.place(&file, Goal::LeadLine)?);
            let line = file.line(Goal::LeadLine);
            let in_line =
                move |wait: &mut Wait<'_, Handle>| in_line(&own, &file, &place, count, wait);
            if let Some(taken) = wait.blocking(line, in_line).await? {
                wait.acquired(PERMIT);
                return Ok(taken);
            }
        }
        queue.put(None);
        wait.ensure_in_time(|| None)?;
    }
}

/// The word for traces.
pub(crate) const PERMIT: &str = "permit";

/// Counts the permits that nobody has now.
pub(crate) fn available(handle: &Handle) -> Result<u32> {
    loop {
        let file = current(handle)?;
        if handle.is_at_path(&file)? {
            return Ok(file.available_permits());
        }
        handle.process().queue.put(None);
    }
}

/// Takes what is free, unless others wait for it.
fn attempt(handle: &Handle, count: u32) -> Result<Attempt> {
    let queue = &handle.process().queue;
    let (file, nobody_waits) = queue.glance();
    let mut file = match file {
        Some(file) if !file.permits().is_spoilt() => file,
        _ => current(handle)?,
    };
    if nobody_waits && !file.has_permit_queue() {
        let mut taken = HeldPermits::none(file);
        let collected = match collect(handle, &mut taken, count) {
            Err(error) if is_void(taken.file(), &error) => {
                queue.put(None);
                return Ok(Attempt::Stale);
            }
            collected => collected?,
        };
        if collected {
            if handle.is_current(taken.file(), false)? {
                return Ok(Attempt::Taken(taken));
            }
            queue.put(None);
            return Ok(Attempt::Stale);
        }
        file = taken.into_file();
    }
    // Others are before it; but if the file is stale, those are not the permits at the path.
    if handle.is_at_path(&file)? {
        return Ok(Attempt::Full);
    }
    queue.put(None);
    Ok(Attempt::Stale)
}

/// Lines up, and takes the permits as the head; none when the file is not at its path any more.
fn in_line(
    handle: &Handle,
    file: &Arc<LockFile>,
    place: &PermitPlace,
    count: u32,
    wait: &mut Wait<'_, Handle>,
) -> Result<Option<HeldPermits>> {
    let mut taken = HeldPermits::none(Arc::clone(file));
    let mut get_all = || {
        run_blocking(wait.in_kernel(file, Goal::LeadLine))?;
        place.leads();
        let try_again = || collect(handle, &mut taken, count);
        let has_all = wait.until_notified(file, try_again, || handle.is_at_path(file))?;
        Ok(has_all && handle.is_current(file, true)?)
    };
    match get_all() {
        Err(error) if is_void(file, &error) => Ok(None),
        has_all => Ok(has_all?.then_some(taken)),
    }
}

/// Whether the file has to be opened again: then the next one says what there is to say.
fn is_void(file: &LockFile, error: &Error) -> bool {
    error.io_error().is_some_and(|error| file.is_void(error))
}

fn collect(handle: &Handle, taken: &mut HeldPermits, count: u32) -> Result<bool> {
    let fail = |error: io::Error| Error::system(handle.path(), Operation::Acquire, error);
    taken.collect(count).map_err(fail)
}

/// The file that is open, or one that is opened now.
fn current(handle: &Handle) -> Result<Arc<LockFile>> {
    match usable(handle) {
        Some(file) => Ok(file),
        None => Ok(put(handle, handle.open_file()?)),
    }
}

/// Waits for a lease that is in the way.
async fn opened(handle: &Handle, wait: &mut Wait<'_, Handle>) -> Result<Arc<LockFile>> {
    match usable(handle) {
        Some(file) => Ok(file),
        None => Ok(put(handle, wait.opened().await?)),
    }
}

fn usable(handle: &Handle) -> Option<Arc<LockFile>> {
    let (file, _) = handle.process().queue.glance();
    file.filter(|file| !file.permits().is_spoilt())
}

fn put(handle: &Handle, file: LockFile) -> Arc<LockFile> {
    let file = Arc::new(file);
    handle.process().queue.put(Some(&file));
    file
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::api::semaphore::Semaphore;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_thread_does_not_overtake_the_line_of_its_own_handle() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.lock");
        let (tell, told) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let (gate, calls) = (Mutex::new(gate), AtomicU32::new(0));
        let waits = tell.clone();
        let stop_at_second_call = move |_: &crate::Waiting<'_>| {
            waits.send("waits").expect("the test listens");
            if calls.fetch_add(1, Ordering::Relaxed) == 1 {
                // Until the other end is dropped.
                let _ = gate.lock().expect("a gate").recv();
            }
            ControlFlow::Continue(())
        };
        let other = Semaphore::open(&path, 1).expect("a semaphore");
        let pool = Semaphore::options()
            .on_wait(stop_at_second_call)
            .wait_interval(Duration::from_millis(1))
            .open(&path, 1)
            .expect("the same");
        let taken = other.acquire().expect("a permit");
        let next_event = || told.recv_timeout(PATIENCE).expect("an event");
        thread::scope(|scope| {
            let head = scope.spawn(|| pool.acquire());
            assert_eq!([next_event(), next_event()], ["waits"; 2]);
            let seen_by_others = current(other.handle()).expect("its file");
            while !seen_by_others.has_permit_queue() {
                thread::yield_now();
            }
            // The head is stopped, so this one is free, and the head's.
            drop(taken);
            assert!(pool.try_acquire().expect_err("a line").is_contended());
            let late = scope.spawn(|| {
                let permit = pool.acquire();
                tell.send("has it").expect("the test listens");
                permit
            });
            assert_eq!(next_event(), "waits");
            drop(open);
            let permit = head.join().expect("no panic").expect("the permit");
            assert!(told.try_iter().all(|event| event == "waits"));
            drop(permit);
            drop(late.join().expect("no panic").expect("the permit"));
        });
    }
}
