//! The goals of an acquire.

use crate::protocol::line::Contest;
use crate::protocol::permits;
use crate::protocol::plan::{self, Mode, Plan};
use crate::sys::{Access, FileId};

/// The goal of an acquire in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Goal {
    /// To get in, holding nothing yet.
    Enter(Mode),
    /// To get in together with readers of the same description.
    Join(Mode),
    /// To become the writer, from upgradable.
    Upgrade,
    /// To be the head of the queue for permits.
    LeadQueue,
}

impl Goal {
    /// The plan of an attempt.
    pub(super) fn try_plan(self) -> Plan {
        match self {
            Self::Enter(mode) => plan::try_plan(mode),
            Self::Join(mode) => plan::join_plan(mode),
            Self::Upgrade => plan::UPGRADE_TRY,
            Self::LeadQueue => permits::JOIN_QUEUE,
        }
    }

    /// The plan of a wait.
    pub(super) fn wait_plan(self) -> Plan {
        match self {
            Self::Enter(mode) => plan::wait_plan(mode),
            // The same: whoever joins does not wait.
            Self::Join(mode) => plan::join_plan(mode),
            Self::Upgrade => plan::UPGRADE,
            Self::LeadQueue => permits::JOIN_QUEUE,
        }
    }

    /// Whether whoever wins that contest keeps its place in the line until the release.
    pub(crate) fn keeps_line(self, contest: Contest) -> bool {
        // All other releases give back less than all.
        contest == Contest::Bytes && matches!(self, Self::Enter(mode) if mode.is_alone())
    }

    /// The access to the lock when the goal is reached.
    pub(crate) fn access(self) -> Access {
        match self {
            Self::Enter(mode) | Self::Join(mode) => mode.access(),
            Self::Upgrade | Self::LeadQueue => Access::Exclusive,
        }
    }
}

/// Waits for the same goal on the same file: whenever the kernel could grant one of them, it could grant any
/// that is in its queue already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    pub(super) file: FileId,
    pub(super) goal: Goal,
    pub(super) bytes: bool,
    pub(super) flock: bool,
}

#[cfg(test)]
impl Line {
    /// Waits on a file that does not exist.
    pub(crate) fn for_test() -> Self {
        Self {
            file: FileId::default(),
            goal: Goal::LeadQueue,
            bytes: true,
            flock: false,
        }
    }
}
