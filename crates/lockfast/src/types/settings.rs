//! The settings of a lock.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::Protocol;
use crate::types::directory::Directory;
use crate::types::fairness::Fairness;
use crate::types::scope::Scope;
use crate::types::verify::Verify;
use crate::types::waiting::Waiting;

/// The settings of a lock, for all primitives.
#[derive(Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct Settings {
    pub(crate) mode: Option<u32>,
    pub(crate) create_dirs: bool,
    pub(crate) follow_symlinks: bool,
    /// Whether the file may belong to somebody else in a directory with a sticky bit.
    pub(crate) any_owner: bool,
    pub(crate) protocol: Protocol,
    pub(crate) verify: Verify,
    pub(crate) fairness: Fairness,
    pub(crate) remove_on_release: bool,
    pub(crate) owner_record: bool,
    /// A text for the record; empty if none.
    pub(crate) label: String,
    pub(crate) linger: Option<Duration>,
    pub(crate) on_wait: Option<WaitHook>,
    pub(crate) wait_interval: Option<Duration>,
    pub(crate) on_interrupt: Option<InterruptHook>,
    pub(crate) scope: Scope,
    /// The directory of the file, if the lock was opened by a name.
    pub(crate) directory: Option<Directory>,
    /// Whether it can be held together with others, so that a file that can only be read will do.
    pub(crate) shares: bool,
    /// Whether it is only ever locked shared.
    pub(crate) only_reads: bool,
    /// The number of permits of a semaphore.
    pub(crate) permits: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: None,
            create_dirs: true,
            follow_symlinks: false,
            any_owner: false,
            protocol: Protocol::default(),
            verify: Verify::default(),
            fairness: Fairness::default(),
            remove_on_release: false,
            owner_record: false,
            label: String::new(),
            linger: None,
            on_wait: None,
            wait_interval: None,
            on_interrupt: None,
            scope: Scope::default(),
            directory: None,
            shares: false,
            only_reads: false,
            permits: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("mode", &self.mode)
            .field("create_dirs", &self.create_dirs)
            .field("follow_symlinks", &self.follow_symlinks)
            .field("any_owner", &self.any_owner)
            .field("protocol", &self.protocol)
            .field("verify", &self.verify)
            .field("fairness", &self.fairness)
            .field("remove_on_release", &self.remove_on_release)
            .field("owner_record", &self.owner_record)
            .field("label", &self.label)
            .field("linger", &self.linger)
            .field("on_wait", &self.on_wait.is_some())
            .field("wait_interval", &self.wait_interval)
            .field("on_interrupt", &self.on_interrupt.is_some())
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

pub(crate) type WaitHook = Arc<dyn Fn(&Waiting<'_>) -> ControlFlow<()> + Send + Sync>;
pub(crate) type InterruptHook = Arc<dyn Fn() -> ControlFlow<()> + Send + Sync>;
