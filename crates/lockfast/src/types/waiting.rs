//! The argument of `on_wait`.

use std::path::Path;
use std::time::Duration;

use crate::types::holder::Holder;

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
    pub(crate) path: &'a Path,
    pub(crate) waited: Duration,
    pub(crate) holder: Option<&'a Holder>,
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
