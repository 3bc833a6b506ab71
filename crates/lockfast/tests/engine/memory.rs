//! An engine that keeps its locks in memory, first come, first served.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use lockfast::engine::{
    Capabilities, Cause, Engine, Mode, Operation, RawHold, RawLock, RawPermits, RawSemaphore,
    WaitLimit, block_on,
};
use lockfast::{Error, HoldState, Resource, Result};

pub(crate) enum Memory {}

impl Engine for Memory {
    type Lock = Opened;
    type Semaphore = Opened;
}

/// A space of names, as a server has one.
#[derive(Default)]
pub(crate) struct Space(Mutex<HashMap<String, Arc<Shared>>>);

impl Space {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn open(&self, name: &str, permits: u32) -> Arc<Shared> {
        let mut names = self.0.lock().expect("no panic");
        let new = || {
            Arc::new(Shared {
                name: name.to_owned(),
                permits,
                state: Mutex::default(),
            })
        };
        Arc::clone(names.entry(name.to_owned()).or_insert_with(new))
    }

    /// Takes the lock from its holders, as the end of a lease does.
    pub(crate) fn break_lock(&self, name: &str) {
        let name = self.open(name, 0);
        let mut state = name.state();
        state.holders.clear();
        let watching = std::mem::take(&mut state.watching);
        state.grant(name.permits);
        drop(state);
        watching.into_iter().for_each(Waker::wake);
    }
}

/// A lock or a semaphore.
pub(crate) struct Shared {
    name: String,
    permits: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    holders: Vec<Holder>,
    waiters: Vec<Waiter>,
    watching: Vec<Waker>,
    last: u64,
}

struct Holder {
    id: u64,
    claim: Claim,
    thread: Option<ThreadId>,
}

struct Waiter {
    id: u64,
    claim: Claim,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    Mode(Mode),
    /// The holder with that id wants to write.
    Upgrade(u64),
    Permits(u32),
}

impl Claim {
    fn goes_with(self, holder: &Holder) -> bool {
        match (self, holder.claim) {
            (Self::Upgrade(own), _) => own == holder.id,
            (Self::Mode(Mode::Read), Self::Mode(Mode::Read | Mode::Upgradable))
            | (Self::Mode(Mode::Upgradable), Self::Mode(Mode::Read)) => true,
            _ => false,
        }
    }
}

impl State {
    /// Grants what the first waiters want, as long as it can be had.
    fn grant(&mut self, permits: u32) {
        while let Some(first) = self.waiters.first() {
            let taken: u32 = self.holders.iter().map(Holder::permits).sum();
            let is_free = match first.claim {
                Claim::Permits(count) => taken + count <= permits,
                claim => self.holders.iter().all(|holder| claim.goes_with(holder)),
            };
            if !is_free {
                return;
            }
            let first = self.waiters.remove(0);
            if let Claim::Upgrade(own) = first.claim {
                self.holder(own).expect("it upgrades").claim = Claim::Mode(Mode::Write);
            } else {
                self.holders.push(Holder {
                    id: first.id,
                    claim: first.claim,
                    thread: None,
                });
            }
            if let Some(waker) = first.waker {
                waker.wake();
            }
        }
    }

    fn holder(&mut self, id: u64) -> Option<&mut Holder> {
        self.holders.iter_mut().find(|holder| holder.id == id)
    }
}

impl Holder {
    fn permits(&self) -> u32 {
        match self.claim {
            Claim::Permits(count) => count,
            _ => 0,
        }
    }
}

impl Shared {
    pub(crate) fn waiters(&self) -> usize {
        self.state().waiters.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    fn resource(&self) -> Resource {
        Resource::named(&self.name)
    }

    /// Fails if this thread would wait for itself.
    fn ensure_not_held_here(
        &self,
        claim: Claim,
        limit: WaitLimit,
        operation: Operation,
    ) -> Result<()> {
        let here = Some(thread::current().id());
        let in_the_way = |holder: &Holder| holder.thread == here && !claim.goes_with(holder);
        if limit != WaitLimit::Forever || !self.state().holders.iter().any(in_the_way) {
            return Ok(());
        }
        let cause = Cause::Deadlock("this thread holds it");
        Err(Error::new(self.resource(), operation, cause))
    }
}

/// A wait, and what it was granted until it is taken out.
struct Wait {
    name: Arc<Shared>,
    claim: Claim,
    id: Option<u64>,
}

impl Wait {
    fn new(name: &Arc<Shared>, claim: Claim) -> Self {
        Self {
            name: Arc::clone(name),
            claim,
            id: None,
        }
    }

    /// The wait of a thread.
    fn block(self, operation: Operation, limit: WaitLimit) -> Result<Held> {
        if !matches!(self.claim, Claim::Permits(_)) {
            self.name
                .ensure_not_held_here(self.claim, limit, operation)?;
        }
        let held = block_on(self.name.resource(), operation, limit, async {
            Ok(self.await)
        })?;
        if let Some(holder) = held.name.state().holder(held.id) {
            holder.thread = Some(thread::current().id());
        }
        Ok(held)
    }

    /// The wait of a task.
    async fn run(self, operation: Operation, limit: WaitLimit) -> Result<Held> {
        let resource = self.name.resource();
        let begin = Instant::now();
        let error = |cause| Error::new(resource, operation, cause);
        match limit {
            WaitLimit::Forever => Ok(self.await),
            WaitLimit::None => smol::future::poll_once(self)
                .await
                .ok_or_else(|| error(Cause::Contended(None))),
            WaitLimit::Until(deadline) => smol::future::or(async { Some(self.await) }, async {
                Timer::new(deadline).await;
                None
            })
            .await
            .ok_or_else(|| error(Cause::TimedOut(begin.elapsed(), None))),
        }
    }
}

impl Future for Wait {
    type Output = Held;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Held> {
        let (name, claim) = (Arc::clone(&self.name), self.claim);
        let mut state = name.state();
        let id = *self.id.get_or_insert_with(|| {
            state.last += 1;
            let id = state.last;
            let waiter = Waiter {
                id,
                claim,
                waker: None,
            };
            // Nobody else can write before an upgrade.
            let place = match claim {
                Claim::Upgrade(_) => 0,
                _ => state.waiters.len(),
            };
            state.waiters.insert(place, waiter);
            state.grant(name.permits);
            id
        });
        if let Some(waiter) = state.waiters.iter_mut().find(|waiter| waiter.id == id) {
            waiter.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        drop(state);
        self.id = None;
        let count = match claim {
            Claim::Permits(count) => count,
            _ => 0,
        };
        let id = match claim {
            Claim::Upgrade(own) => own,
            _ => id,
        };
        Poll::Ready(Held { name, id, count })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let mut state = self.name.state();
        let is_waiting = state.waiters.iter().any(|waiter| waiter.id == id);
        match self.claim {
            _ if is_waiting => state.waiters.retain(|waiter| waiter.id != id),
            Claim::Upgrade(own) => {
                if let Some(holder) = state.holder(own) {
                    holder.claim = Claim::Mode(Mode::Upgradable);
                }
            }
            _ => state.holders.retain(|holder| holder.id != id),
        }
        state.grant(self.name.permits);
    }
}

/// Ends at an instant, by a thread that ends with it.
struct Timer {
    is_over: Arc<AtomicBool>,
    start: Option<(Instant, mpsc::Receiver<()>)>,
    _end: mpsc::Sender<()>,
}

impl Timer {
    fn new(deadline: Instant) -> Self {
        let (end, ended) = mpsc::channel();
        Self {
            is_over: Arc::default(),
            start: Some((deadline, ended)),
            _end: end,
        }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.is_over.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        if let Some((deadline, ended)) = self.start.take() {
            let (waker, is_over) = (context.waker().clone(), Arc::clone(&self.is_over));
            thread::spawn(move || {
                let left = deadline.saturating_duration_since(Instant::now());
                if ended.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout) {
                    is_over.store(true, Ordering::SeqCst);
                    waker.wake();
                }
            });
        }
        Poll::Pending
    }
}

/// An opened lock or semaphore.
#[derive(Clone)]
pub(crate) struct Opened(Arc<Shared>);

impl From<Arc<Shared>> for Opened {
    fn from(name: Arc<Shared>) -> Self {
        Self(name)
    }
}

/// A lock or permits that are held.
pub(crate) struct Held {
    name: Arc<Shared>,
    id: u64,
    count: u32,
}

impl Held {
    fn is_held(&self) -> bool {
        self.name.state().holder(self.id).is_some()
    }
}

impl RawLock for Opened {
    type Hold = Held;

    fn resource(&self) -> Resource {
        self.0.resource()
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.shared = true;
        capabilities.conversions = true;
        capabilities.fifo = true;
        capabilities.token = true;
        capabilities.lease = true;
        capabilities
    }

    fn acquire(&self, mode: Mode, limit: WaitLimit) -> Result<Held> {
        Wait::new(&self.0, Claim::Mode(mode)).block(Operation::Lock, limit)
    }

    async fn acquire_async(&self, mode: Mode, limit: WaitLimit) -> Result<Held> {
        Wait::new(&self.0, Claim::Mode(mode))
            .run(Operation::Lock, limit)
            .await
    }
}

impl RawHold for Held {
    fn resource(&self) -> Resource {
        self.name.resource()
    }

    fn release(&mut self) -> Result<()> {
        let mut state = self.name.state();
        let count = state.holders.len();
        let id = std::mem::take(&mut self.id);
        state.holders.retain(|holder| holder.id != id);
        if id != 0 && count == state.holders.len() {
            let cause = Cause::NotHeld("its lease has ended");
            return Err(Error::new(self.name.resource(), Operation::Release, cause));
        }
        state.grant(self.name.permits);
        Ok(())
    }

    fn upgrade(&mut self, limit: WaitLimit) -> Result<()> {
        let wait = Wait::new(&self.name, Claim::Upgrade(self.id));
        // What it returns holds the same as this.
        wait.block(Operation::Upgrade, limit).map(std::mem::forget)
    }

    async fn upgrade_async(&mut self) -> Result<()> {
        let wait = Wait::new(&self.name, Claim::Upgrade(self.id));
        let upgraded = wait.run(Operation::Upgrade, WaitLimit::Forever).await;
        upgraded.map(std::mem::forget)
    }

    fn downgrade(&mut self, to: Mode) -> Result<()> {
        let mut state = self.name.state();
        if let Some(holder) = state.holder(self.id) {
            holder.claim = Claim::Mode(to);
        }
        state.grant(self.name.permits);
        Ok(())
    }

    fn forget_thread(&mut self) {
        if let Some(holder) = self.name.state().holder(self.id) {
            holder.thread = None;
        }
    }

    fn token(&self) -> Option<u64> {
        Some(self.id)
    }

    fn state(&self) -> HoldState {
        if self.is_held() {
            HoldState::Valid
        } else {
            HoldState::Lost
        }
    }

    fn lease_left(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let (name, id) = (Arc::clone(&self.name), self.id);
        std::future::poll_fn(move |context| {
            let mut state = name.state();
            if state.holder(id).is_none() {
                return Poll::Ready(());
            }
            state.watching.push(context.waker().clone());
            Poll::Pending
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = RawHold::release(self);
    }
}

impl RawSemaphore for Opened {
    type Permits = Held;

    fn resource(&self) -> Resource {
        self.0.resource()
    }

    fn permits(&self) -> u32 {
        self.0.permits
    }

    fn available_permits(&self) -> Result<u32> {
        let taken: u32 = self.0.state().holders.iter().map(Holder::permits).sum();
        Ok(self.0.permits - taken)
    }

    fn acquire(&self, count: u32, limit: WaitLimit) -> Result<Held> {
        Wait::new(&self.0, Claim::Permits(count)).block(Operation::Acquire, limit)
    }

    async fn acquire_async(&self, count: u32, limit: WaitLimit) -> Result<Held> {
        Wait::new(&self.0, Claim::Permits(count))
            .run(Operation::Acquire, limit)
            .await
    }
}

impl RawPermits for Held {
    fn resource(&self) -> Resource {
        self.name.resource()
    }

    fn count(&self) -> u32 {
        self.count
    }

    fn release(&mut self) -> Result<()> {
        RawHold::release(self)
    }

    fn split(&mut self, count: u32) -> Self {
        let mut state = self.name.state();
        state.last += 1;
        let id = state.last;
        self.count -= count;
        if let Some(holder) = state.holder(self.id) {
            holder.claim = Claim::Permits(self.count);
        }
        state.holders.push(Holder {
            id,
            claim: Claim::Permits(count),
            thread: None,
        });
        drop(state);
        Self {
            name: Arc::clone(&self.name),
            id,
            count,
        }
    }

    fn merge(&mut self, mut other: Self) -> std::result::Result<(), Self> {
        if !Arc::ptr_eq(&self.name, &other.name) {
            return Err(other);
        }
        self.count += std::mem::take(&mut other.count);
        let mut state = self.name.state();
        if let Some(holder) = state.holder(self.id) {
            holder.claim = Claim::Permits(self.count);
        }
        let id = std::mem::take(&mut other.id);
        state.holders.retain(|holder| holder.id != id);
        Ok(())
    }
}
