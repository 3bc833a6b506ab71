//! Acquiring permits: without the turn if some are free and nobody waits, else as the head of the permit queue.

use std::io;
use std::sync::Arc;

use super::{Acquirable, Acquire, AcquireStage, FileTurn, Refusal};
use crate::file::held_permits::{HeldPermits, PermitPlace};
use crate::file::{Goal, LockFile};
use crate::handle::shared::{Handle, ProcessState};
use crate::protocol::plan::Mode;
use crate::types::error::{Error, Operation, Result};
use crate::types::holder::Holder;
use crate::types::thread::ThreadToken;
use crate::types::wait_limit::WaitLimit;
use crate::wait::{Admission, Wait, run_blocking};

/// A number of permits that are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WantedPermits(pub(crate) u32);

/// The outcome of an attempt without the turn.
enum Attempt {
    Taken(HeldPermits),
    /// Too few were free, or others come first.
    Full,
    /// The file is not at its path any more.
    Stale,
}

impl Handle {
    /// Acquires that many permits, waiting up to the limit.
    pub(crate) fn acquire_permits(
        self: &Arc<Self>,
        count: u32,
        limit: WaitLimit,
    ) -> Result<HeldPermits> {
        let thread = ThreadToken::current();
        self.acquire_blocking(WantedPermits(count), limit, thread, AcquireStage::Enter)
    }

    /// Counts the permits that nobody has now.
    pub(crate) fn available_permits(&self) -> Result<u32> {
        loop {
            let (file, _) = self.permit_file()?;
            if self.is_at_path(&file)? {
                return Ok(file.available_permits());
            }
            self.process().queue.put(None);
        }
    }

    /// The file that is open, or one that is opened now, and whether nobody waits for its permits here.
    fn permit_file(&self) -> Result<(Arc<LockFile>, bool)> {
        let queue = &self.process().queue;
        match queue.glance() {
            (Some(file), is_unused) if !file.permits().is_spoilt() => Ok((file, is_unused)),
            (_, is_unused) => {
                let file = Arc::new(self.open_file()?);
                // Two threads may open it at once. Each uses its own, which to the kernel are two
                // owners: a permit of one is taken for the other. The one that is put last is used from
                // then on.
                queue.put(Some(&file));
                Ok((file, is_unused))
            }
        }
    }
}

impl Acquirable for WantedPermits {
    type Locked = HeldPermits;
    type Held = HeldPermits;

    const OPERATION: Operation = Operation::Acquire;

    fn enter<'h>(acquire: &mut Acquire<'h, Self>) -> Result<AcquireStage<'h, Self>> {
        let (handle, wait) = (acquire.handle, &acquire.wait);
        // Without the turn: the claims of the file keep the threads of this process apart.
        match acquire.wanted.attempt(handle) {
            Ok(Attempt::Taken(taken)) => {
                wait.acquired(PERMIT);
                return Ok(AcquireStage::Held(taken));
            }
            Ok(Attempt::Stale) => {
                wait.ensure_in_time(|| None)?;
                return Ok(AcquireStage::Enter);
            }
            Ok(Attempt::Full) if wait.is_impatient() => {
                return Ok(AcquireStage::Refused(Refusal::Waiters));
            }
            Ok(Attempt::Full) => {}
            // With the turn it waits until the file can be opened.
            Err(error) if error.is_leased() && !wait.is_impatient() => {}
            Err(error) => return Err(error),
        }
        let queue = &handle.process().queue;
        // Exclusive among the threads of this process: one of them is the head for all.
        let enqueued = queue.enqueue(Mode::Exclusive, acquire.thread, false);
        Ok(AcquireStage::Queued(enqueued))
    }

    fn admitted<'h>(
        _: &Acquire<'h, Self>,
        admission: Admission<'h, LockFile>,
    ) -> Result<AcquireStage<'h, Self>> {
        let Admission::Turn(turn) = admission else {
            unreachable!("a waiter for permits does not compete for the hand-off")
        };
        Ok(AcquireStage::Open(turn))
    }

    /// None: permits have several holders.
    fn holder(self, _: &ProcessState) -> Option<Holder> {
        None
    }

    fn ensure_allowed(self, _: &Handle, _: &LockFile) -> Result<()> {
        Ok(())
    }

    /// Fails: only the head of the permit queue collects.
    fn try_lock(self, _: &LockFile) -> io::Result<Option<HeldPermits>> {
        Ok(None)
    }

    fn try_lock_at_last(self, _: Arc<LockFile>) -> std::result::Result<HeldPermits, Refusal> {
        Err(Refusal::Waiters)
    }

    async fn wait(
        self,
        wait: &mut Wait<'_, Handle>,
        handle: &Arc<Handle>,
        file: &Arc<LockFile>,
    ) -> Result<Option<HeldPermits>> {
        let (handle, file) = (Arc::clone(handle), Arc::clone(file));
        let line = file.line(Goal::LeadQueue);
        // Taken by a task itself and not by its helper, so in the order of arrival. Dropped last, when permits
        // that are of no use were given back.
        let place = PermitPlace::of(&file, wait.place(&file, Goal::LeadQueue)?);
        wait.blocking(line, move |wait| {
            self.collect_as_head(&handle, &file, &place, wait)
        })
        .await
    }

    /// Does nothing: permits are given back when they are dropped, and other threads may have others.
    fn release(_: &LockFile) -> io::Result<()> {
        Ok(())
    }

    /// Passes the turn on: the next one becomes the head.
    fn hold(
        acquire: &Acquire<'_, Self>,
        _: FileTurn<'_>,
        _: Arc<LockFile>,
        locked: HeldPermits,
    ) -> Result<HeldPermits> {
        acquire.wait.acquired(PERMIT);
        Ok(locked)
    }
}

impl WantedPermits {
    /// Takes what is free, unless others wait for it.
    fn attempt(self, handle: &Handle) -> Result<Attempt> {
        let queue = &handle.process().queue;
        let (mut file, nobody_waits) = handle.permit_file()?;
        // Waiters of this process are in the queue here; the head among them is in that of the processes.
        if nobody_waits && !file.has_permit_queue() {
            let mut taken = HeldPermits::none(file);
            match self.collect(handle, &mut taken) {
                Ok(true) if handle.is_current(taken.file(), false)? => {
                    return Ok(Attempt::Taken(taken));
                }
                Ok(false) => {}
                // Then the next file says what there is to say.
                Err(error) if !is_void(taken.file(), &error) => return Err(error),
                Ok(true) | Err(_) => {
                    queue.put(None);
                    return Ok(Attempt::Stale);
                }
            }
            file = taken.into_file();
        }
        // Others are before it; but if the file is stale, those are not the permits at the path.
        if handle.is_at_path(&file)? {
            return Ok(Attempt::Full);
        }
        // Another thread may have put a newer file here. Then that one is opened once more.
        queue.put(None);
        Ok(Attempt::Stale)
    }

    /// Becomes the head of the permit queue and collects; none when the file is not at its path any more.
    fn collect_as_head(
        self,
        handle: &Handle,
        file: &Arc<LockFile>,
        place: &PermitPlace,
        wait: &mut Wait<'_, Handle>,
    ) -> Result<Option<HeldPermits>> {
        run_blocking(wait.in_kernel(file, Goal::LeadQueue))?;
        // From now on a release of this process notifies, and the attempts below see all before it.
        place.leads();
        // Given back by its drop if the wait below ends without all of them.
        let mut taken = HeldPermits::none(Arc::clone(file));
        let try_again = || self.collect(handle, &mut taken);
        let has_all = wait.until_notified(file, try_again, || handle.is_at_path(file))?;
        Ok(has_all.then_some(taken))
    }

    fn collect(self, handle: &Handle, taken: &mut HeldPermits) -> Result<bool> {
        let fail = |error: io::Error| Error::system(handle.path(), Operation::Acquire, error);
        taken.collect(self.0).map_err(fail)
    }
}

/// Whether the file has to be opened again.
fn is_void(file: &LockFile, error: &Error) -> bool {
    error.io_error().is_some_and(|error| file.is_void(error))
}

/// The word for traces.
pub(crate) const PERMIT: &str = "permit";

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use crate::api::semaphore::Semaphore;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_thread_does_not_overtake_the_queue_of_its_own_handle() {
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
            let seen_by_others = other.handle().permit_file().expect("its file").0;
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
