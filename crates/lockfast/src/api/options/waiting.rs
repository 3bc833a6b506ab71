//! Options for waits: their order, and the callbacks that observe and end them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::Options;
use crate::types::fairness::Fairness;
use crate::types::waiting::Waiting;

impl<L> Options<L> {
    /// Chooses the order in which waiters of several processes get in; [`Fairness::Barging`] unless set.
    ///
    /// # Errors
    ///
    /// [`open`](Self::open) refuses [`Fairness::Fifo`], with
    /// [`is_unsupported`](crate::Error::is_unsupported), where there are no locks of bytes, and with
    /// [`Protocol::Flock`](crate::Protocol::Flock).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// use lockfast::{Fairness, Lock};
    /// use std::sync::mpsc;
    ///
    /// let options = Lock::options().fairness(Fairness::Fifo);
    /// let (first, third) = (options.open(&path)?, options.open(&path)?);
    /// let guard = first.lock()?;
    ///
    /// // A second one lines up; when it is called, it is in the line already.
    /// let (tell, told) = mpsc::channel();
    /// let tell = std::sync::Mutex::new(tell);
    /// let second = options
    ///     .on_wait(move |_| {
    ///         tell.lock().unwrap().send(()).ok();
    ///         std::ops::ControlFlow::Continue(())
    ///     })
    ///     .open(&path)?;
    /// std::thread::scope(|scope| {
    ///     let waiting = scope.spawn(|| second.lock());
    ///     told.recv()?;
    ///     drop(guard);
    ///     // Nobody gets in before that one, neither now nor as long as it has the lock.
    ///     assert!(third.try_lock().unwrap_err().is_contended());
    ///     drop(waiting.join().expect("no panic")?);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn fairness(mut self, fairness: Fairness) -> Self {
        self.settings.fairness = fairness;
        self
    }

    /// Calls a function when a wait begins: when the lock turns out to be held.
    ///
    /// It is called once a wait, by the thread that waits, and again at each
    /// [`wait_interval`](Self::wait_interval). When it returns [`ControlFlow::Break`] the wait ends
    /// with an error whose [`is_cancelled`](crate::Error::is_cancelled) is true. A panic of the
    /// function ends the wait and goes on in the thread that waits. Attempts that do not wait
    /// (`try_lock`) do not call it.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// use lockfast::Lock;
    /// use std::ops::ControlFlow;
    ///
    /// let other = Lock::open(&path)?;
    /// let guard = other.lock()?;
    ///
    /// let lock = Lock::options()
    ///     .on_wait(|waiting| {
    ///         println!("waiting for {}", waiting.path().display());
    ///         ControlFlow::Break(()) // do not wait, after all
    ///     })
    ///     .open(&path)?;
    /// assert!(lock.lock().unwrap_err().is_cancelled());
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_wait(
        mut self,
        hook: impl Fn(&Waiting<'_>) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.settings.on_wait = Some(Arc::new(hook));
        self
    }

    /// Calls [`on_wait`](Self::on_wait) again each time this long after the last call, at the earliest; never
    /// unless set.
    ///
    /// The further calls are made by a thread that lives while the wait lasts, so that the waiting
    /// thread keeps its place in the kernel's queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// use lockfast::Lock;
    /// use std::ops::ControlFlow;
    /// use std::time::Duration;
    ///
    /// let other = Lock::open(&path)?;
    /// let guard = other.lock()?;
    ///
    /// let enough = Duration::from_millis(20);
    /// let lock = Lock::options()
    ///     .wait_interval(Duration::from_millis(5))
    ///     .on_wait(move |waiting| {
    ///         if waiting.waited() < enough { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    ///     })
    ///     .open(&path)?;
    /// assert!(lock.lock().unwrap_err().is_cancelled());
    /// # drop(guard);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_interval(mut self, interval: Duration) -> Self {
        self.settings.wait_interval = Some(interval);
        self
    }

    /// Asks a function, each time that a signal interrupted a wait, whether to give up.
    ///
    /// Without it a signal that the program handles does not end a wait: the handler runs and the
    /// wait goes on. Language bindings use this to let their interpreter handle the signal (Ctrl-C)
    /// and to end the wait when it raised an exception: [`ControlFlow::Break`] ends it with an
    /// error whose [`is_cancelled`](crate::Error::is_cancelled) is true.
    ///
    /// # Platform-specific behaviour
    ///
    /// A handler installed with `SA_RESTART` does not interrupt, so the function is not asked. Among
    /// the threads of one process it is asked ten times a second on systems other than Linux, and on
    /// Windows, which has no signals, always; each time a wait in the kernel's queue begins anew.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("demo.lock");
    /// use std::ops::ControlFlow;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// static CTRL_C: AtomicBool = AtomicBool::new(false);
    /// let lock = lockfast::Lock::options()
    ///     .on_interrupt(|| match CTRL_C.load(Ordering::Relaxed) {
    ///         true => ControlFlow::Break(()),
    ///         false => ControlFlow::Continue(()),
    ///     })
    ///     .open(&path)?;
    /// drop(lock.lock()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_interrupt(
        mut self,
        hook: impl Fn() -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.settings.on_interrupt = Some(Arc::new(hook));
        self
    }
}
