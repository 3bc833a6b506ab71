//! Sleeping until granted, with deadlines and with callbacks that can end the wait.
//!
//! A wait has two parts: among the threads of this process (`queue`), and, for the one whose turn
//! it is, in the kernel's queue (`kernel`). [`Wait`] is what both share: how long, since when, and
//! whom to tell.

mod bell;
mod kernel;
mod ticker;

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Cause, Error, Operation, Result};
use crate::handle::Handle;
use crate::holder::Holder;
use crate::queue::{Joined, Place, Turn};
use crate::sys::Parked;
use crate::thread::ThreadToken;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// One attempt.
    None,
    /// Until then.
    Until(Instant),
    /// For ever.
    Forever,
}

impl Patience {
    /// From now on for that long; for ever, when that is beyond all clocks.
    pub(crate) fn lasting(timeout: Duration) -> Self {
        Instant::now()
            .checked_add(timeout)
            .map_or(Self::Forever, Self::Until)
    }

    fn deadline(self) -> Option<Instant> {
        match self {
            Self::Until(deadline) => Some(deadline),
            Self::None | Self::Forever => None,
        }
    }
}

/// What a function given to [`Options::on_wait`](crate::Options::on_wait) is told.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("demo.lock");
/// use std::ops::ControlFlow;
/// use lockfast::{Lock, Waiting};
///
/// fn report(waiting: &Waiting<'_>) -> ControlFlow<()> {
///     eprint!("{} is held", waiting.path().display());
///     if let Some(holder) = waiting.holder() {
///         eprint!(" by {holder}");
///     }
///     eprintln!(", waited {:?}", waiting.waited());
///     ControlFlow::Continue(())
/// }
/// let lock = Lock::options().on_wait(report).open(&path)?;
/// drop(lock.lock()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Waiting<'a> {
    path: &'a Path,
    waited: Duration,
    holder: Option<&'a Holder>,
}

impl Waiting<'_> {
    /// The path of the lock.
    pub fn path(&self) -> &Path {
        self.path
    }

    /// How long the wait has lasted; zero in the first call.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Who holds the lock, if the kernel tells in one call.
    pub fn holder(&self) -> Option<&Holder> {
        self.holder
    }
}

/// One wait: how long, since when, and what was said of it.
pub(crate) struct Wait<'h> {
    handle: &'h Handle,
    /// Who would wait for itself, if it holds the lock.
    thread: ThreadToken,
    patience: Patience,
    operation: Operation,
    /// Set when the lock turned out to be held.
    since: Option<Instant>,
    /// When `on_wait` was called last.
    told: Option<Instant>,
}

impl<'h> Wait<'h> {
    pub(crate) fn new(
        handle: &'h Handle,
        thread: ThreadToken,
        patience: Patience,
        operation: Operation,
    ) -> Self {
        Self {
            handle,
            thread,
            patience,
            operation,
            since: None,
            told: None,
        }
    }

    /// Did this wait sleep, or would it have?
    pub(crate) fn has_begun(&self) -> bool {
        self.since.is_some()
    }

    /// Attempts it, a few times before a wait: to be put to sleep and woken takes longer than many
    /// sections that are locked.
    pub(crate) fn attempt<E>(
        &self,
        mut attempt: impl FnMut() -> std::result::Result<bool, E>,
    ) -> std::result::Result<bool, E> {
        if self.patience != Patience::None && !self.has_begun() {
            for _ in 1..ATTEMPTS {
                if attempt()? {
                    return Ok(true);
                }
            }
        }
        attempt()
    }

    /// Waits for the turn among the threads of this process.
    pub(crate) fn for_turn<'q, T>(
        &mut self,
        joined: Joined<'q, T>,
        holder: impl Fn() -> Option<Holder>,
    ) -> Result<Turn<'q, T>> {
        match joined {
            Joined::Turn(turn) => Ok(turn),
            Joined::Place(place) => self.at_place(place, holder),
        }
    }

    /// Waits at that place until the turn comes.
    #[cold]
    pub(crate) fn at_place<'q, T>(
        &mut self,
        place: Place<'q, T>,
        holder: impl Fn() -> Option<Holder>,
    ) -> Result<Turn<'q, T>> {
        self.begin(&holder)?;
        self.unless_deadlock(|| place.was_inside())?;
        loop {
            match place.park(earlier(self.patience.deadline(), self.next_call())) {
                Parked::Granted => return Ok(place.enter()),
                Parked::TimedOut => {
                    self.unless_over(&holder)?;
                    self.tell(&holder)?;
                }
                Parked::Interrupted => self.unless_interrupted()?,
            }
        }
    }

    /// It is held: notes that, tells it once, and fails at once if there is no patience.
    fn begin(&mut self, holder: impl Fn() -> Option<Holder>) -> Result<()> {
        if self.since.is_none() {
            if self.patience == Patience::None {
                return Err(self.contended(holder()));
            }
            self.since = Some(Instant::now());
            self.tell(holder)?;
        }
        Ok(())
    }

    /// An error if the wait would never end, because the thread itself is inside.
    fn unless_deadlock(&self, is_inside: impl FnOnce() -> bool) -> Result<()> {
        let may_end = self.patience != Patience::Forever || self.interval().is_some();
        if may_end || !is_inside() {
            return Ok(());
        }
        let why = "this thread holds it already, and would wait for itself; if another thread has \
                   the guard now, call its hand_over() before";
        Err(self.error(Cause::Deadlock(why)))
    }

    /// An error if the deadline has passed.
    pub(crate) fn unless_over(&self, holder: impl Fn() -> Option<Holder>) -> Result<()> {
        match self.patience.deadline() {
            Some(deadline) if deadline <= Instant::now() => {
                Err(self.error(Cause::TimedOut(self.waited(), holder())))
            }
            _ => Ok(()),
        }
    }

    /// An error if the program wants to give up after a signal.
    fn unless_interrupted(&self) -> Result<()> {
        match &self.handle.settings().on_interrupt {
            Some(hook) if hook().is_break() => Err(self.cancelled()),
            _ => Ok(()),
        }
    }

    /// Calls `on_wait`; an error if it wants to give up.
    fn tell(&mut self, holder: impl Fn() -> Option<Holder>) -> Result<()> {
        let flow = self.call(holder);
        self.told = Some(Instant::now());
        match flow {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(self.cancelled()),
        }
    }

    /// What `on_wait` says, if there is one.
    fn call(&self, holder: impl Fn() -> Option<Holder>) -> ControlFlow<()> {
        let Some(hook) = &self.handle.settings().on_wait else {
            return ControlFlow::Continue(());
        };
        hook(&Waiting {
            path: self.handle.path(),
            waited: self.waited(),
            holder: holder().as_ref(),
        })
    }

    /// When `on_wait` is due again.
    fn next_call(&self) -> Option<Instant> {
        self.told?.checked_add(self.interval()?)
    }

    /// How often `on_wait` is called, if more than once.
    fn interval(&self) -> Option<Duration> {
        let settings = self.handle.settings();
        settings.on_wait.as_ref()?;
        settings.wait_interval
    }

    fn waited(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(crate) fn contended(&self, holder: Option<Holder>) -> Error {
        self.error(Cause::Contended(holder))
    }

    fn cancelled(&self) -> Error {
        self.error(Cause::Cancelled(self.waited()))
    }

    fn error(&self, cause: Cause) -> Error {
        Error::new(self.handle.path(), self.operation, cause)
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("patience", &self.patience)
            .field("since", &self.since)
            .finish_non_exhaustive()
    }
}

/// How often a lock is tried before the thread sleeps.
const ATTEMPTS: u32 = 4;

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
