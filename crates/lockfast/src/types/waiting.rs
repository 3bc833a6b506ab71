//! The argument of `on_wait`.

use std::path::Path;
use std::time::Duration;

use crate::types::holder::Holder;
use crate::types::resource::Resource;

/// The state of a wait, for a function given to [`Options::on_wait`](crate::Options::on_wait).
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
///     eprint!("{} is held", waiting.resource());
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
    resource: Resource,
    waited: Duration,
    holder: Option<&'a Holder>,
}

impl<'a> Waiting<'a> {
    /// Returns the state of a wait; for engines.
    #[doc(hidden)]
    pub fn new(
        resource: impl Into<Resource>,
        waited: Duration,
        holder: Option<&'a Holder>,
    ) -> Self {
        Self {
            resource: resource.into(),
            waited,
            holder,
        }
    }

    /// The lock that is waited for.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// The path of the lock; for a lock of another engine than files, its name.
    pub fn path(&self) -> &Path {
        self.resource.as_path()
    }

    /// The time that the wait has lasted; zero in the first call.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The holder of the lock, if it is known without a search.
    pub fn holder(&self) -> Option<&Holder> {
        self.holder
    }
}
