//! This process, as others see it in a list of holders.

use std::env;
use std::process;

use crate::sys;

/// This process, as it describes itself to others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Process {
    /// The machine.
    pub host: String,
    /// The number that the machine got when it started; empty where there is none.
    pub boot: String,
    /// The process id.
    pub pid: u32,
    /// The user.
    pub user: String,
    /// The program, without its arguments, which may be secret.
    pub command: String,
    /// A text of the program for people.
    pub label: Option<String>,
}

impl Process {
    /// Describes this process.
    #[must_use]
    pub fn current() -> Self {
        let variable = |name: &str| env::var(name).ok();
        let program = env::args_os().next().unwrap_or_default();
        let program = std::path::Path::new(&program).file_name();
        Self {
            host: sys::machine::host(),
            boot: sys::machine::boot(),
            pid: process::id(),
            user: variable("USER")
                .or_else(|| variable("USERNAME"))
                .unwrap_or_default(),
            command: program
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            label: None,
        }
    }
}
