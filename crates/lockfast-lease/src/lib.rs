//! Leases of locks that a server keeps: deadline, state and the signal of a lost lock.
//!
//! The engines on servers share this crate. A *lease* is a promise of the server to keep a lock for a while after
//! it last heard of the holder. The holder computes from its own clock until when it may rely on that promise
//! ([`Lease`]), and each lock that it holds has a [`Belief`]: valid, unconfirmed or lost.
//!
//! The other modules are data that all engines return ([`Entry`], [`Check`]), and the parts that all of them need:
//! the [thread](runtime::Runtime) that keeps leases alive, the [threads](Threads) that hold locks,
//! [secrets](Secret) that are never printed, and the [options] of a URL.
//!
//! **This crate is for authors of engines and not stable**: it may change in any release.

mod belief;
mod check;
mod clock;
mod entry;
mod lease;
pub mod options;
mod process;
pub mod runtime;
mod secret;
pub mod socket;
mod sys;
mod threads;

pub use belief::Belief;
pub use check::{Check, Verdict};
pub use clock::{BootTime, Clock};
pub use entry::{Entry, Kind, Party};
pub use lease::{Confirmed, Lease};
pub use process::Process;
pub use secret::Secret;
pub use threads::{Entered, Threads};
