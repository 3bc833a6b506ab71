//! The wait for a file that can't be opened yet, because another program has a lease on it.

use std::sync::Arc;
use std::time::Duration;

use super::context::WaitContext;
use super::limits::Wait;
use crate::file::LockFile;
use crate::sys::naps::Naps;
use crate::types::error::{Operation, Result};

impl<C: WaitContext> Wait<'_, C> {
    /// Opens the file of the handle. If a lease is in the way, waits as long as for the lock itself.
    pub(crate) async fn opened(&mut self) -> Result<LockFile> {
        match self.context.open_file() {
            Err(error) if error.is_leased() && !self.is_impatient() => {}
            opened => return opened,
        }
        // A leased file can be opened by nobody, so the turn may be kept meanwhile.
        let context = Arc::clone(self.context);
        self.blocking(None, move |wait| wait.until_opened(|| context.open_file()))
            .await
    }

    /// The kernel reports to nobody when a lease is given up, so this asks again and again.
    fn until_opened(&mut self, open: impl Fn() -> Result<LockFile>) -> Result<LockFile> {
        // For the errors of this wait only: the wait for the lock goes on under its own name.
        let operation = std::mem::replace(&mut self.operation, Operation::OpenLeased);
        let opened = self.poll_until(
            NAPS,
            || None,
            || match open() {
                Err(error) if error.is_leased() => Ok(None),
                opened => opened.map(Some),
            },
        )?;
        self.operation = operation;
        Ok(opened)
    }
}

/// The holder of a lease needs some time to give it up.
const NAPS: Naps = Naps::new(Duration::from_millis(5), Duration::from_millis(5));
