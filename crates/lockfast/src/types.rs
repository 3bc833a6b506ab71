//! The types that the rooms above share: errors, holders, limits, and what an open chooses.

pub(crate) mod cancel;
pub(crate) mod directory;
pub(crate) mod error;
pub(crate) mod error_kind;
pub(crate) mod fairness;
pub(crate) mod holder;
pub(crate) mod resource;
pub(crate) mod scope;
pub(crate) mod settings;
pub(crate) mod text;
pub(crate) mod thread;
pub(crate) mod trace;
pub(crate) mod verify;
pub(crate) mod wait_limit;
pub(crate) mod waiting;
pub(crate) mod words;
