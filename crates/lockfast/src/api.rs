//! The types and functions that users call.

pub mod binding_support;
pub mod command_support;
pub(crate) mod conversion;
pub mod engine;
pub(crate) mod files;
mod forms;
pub(crate) mod group;
mod guard;
pub(crate) mod lock;
pub(crate) mod lost;
#[cfg(feature = "macros")]
pub mod macro_support;
pub(crate) mod opening;
pub(crate) mod options;
pub(crate) mod reentrant;
pub(crate) mod rwlock;
pub(crate) mod semaphore;
