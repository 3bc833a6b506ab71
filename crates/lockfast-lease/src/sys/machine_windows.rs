//! The machine, on Windows.

use std::env;

pub(crate) fn host() -> String {
    env::var("COMPUTERNAME").unwrap_or_default()
}

pub(crate) fn boot() -> String {
    String::new()
}
