//! The wait for a file that can't be opened yet, because another program has a lease on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::interruption::WakeSources;
use super::{Wait, earlier};
use crate::file::LockFile;
use crate::sys::Parked;
use crate::sys::park::Parker;
use crate::types::error::{Operation, Result};

impl Wait<'_> {
    /// Opens the file of the handle. If a lease is in the way, waits as long as for the lock itself.
    pub(crate) async fn opened(&mut self) -> Result<LockFile> {
        match self.handle.open_file() {
            Err(error) if error.is_leased() && !self.is_impatient() => {}
            opened => return opened,
        }
        let handle = Arc::clone(self.handle);
        self.through(None, move |wait| wait.until_opened(|| handle.open_file()))
            .await
    }

    /// The kernel tells nobody when a lease is given up, so it is asked again and again.
    fn until_opened(&mut self, open: impl Fn() -> Result<LockFile>) -> Result<LockFile> {
        let operation = std::mem::replace(&mut self.operation, Operation::OpenLeased);
        let interruption = WakeSources::of_tokens().and_to_ask(self.asks_whether_to_go_on());
        loop {
            match open() {
                Err(error) if error.is_leased() => {}
                opened => {
                    self.operation = operation;
                    return opened;
                }
            }
            self.unless_cancelled()?;
            self.unless_over(|| None)?;
            self.tell_if_due(|| None)?;
            let until = earlier(self.patience.deadline(), self.next_call());
            let until = earlier(until, interruption.come_back());
            let until = earlier(until, Some(Instant::now() + NAP));
            if Parker::default().park(until) == Parked::Interrupted {
                self.unless_interrupted()?;
            }
        }
    }
}

/// Whoever has a lease needs some time to give it up.
const NAP: Duration = Duration::from_millis(5);
