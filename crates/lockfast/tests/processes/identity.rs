//! x
use crate::trials;
trials![];
