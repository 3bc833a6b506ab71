//! Parts for the bindings to other languages.
//!
//! No part of the API: it may change in any release.

pub use crate::fence_file::{FenceFile, token_at};
