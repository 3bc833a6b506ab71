//! An opened lock of one process, shared by its clones: how its lock is acquired and released.
//!
//! | file | knows |
//! |---|---|
//! | [`shared`] | the data: the handle, its part of one process, a lock that is held |
//! | [`verify`] | whether a file may be locked, and is the one at the path |
//! | [`linger`] | when a released lock is kept, and when it is given up ([`rest`], [`watcher`]) |
//! | [`release`] | how a lock is released |
//! | [`hold`], [`convert`] | a lock that is held: its release and its conversions |
//! | [`acquire`] | how a lock or a permit is acquired |
//! | [`fast`] | how a lock that no other thread wants is acquired, without the queue |
//! | [`open`], [`idle`] | opening a handle, and closing files that nobody uses |

mod acquire;
mod convert;
mod fast;
pub(crate) mod hold;
mod idle;
mod linger;
mod open;
mod registry;
mod release;
mod rest;
mod shared;
mod verify;
mod watcher;

pub(crate) use acquire::permits::{PERMIT, WantedPermits};
pub(crate) use open::Opened;
pub(crate) use shared::Handle;
