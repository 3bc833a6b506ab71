//! Terminals.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use nix::unistd;

/// Whether this process is in the terminal's foreground process group.
pub(crate) fn is_in_foreground(terminal: impl AsFd) -> bool {
    unistd::tcgetpgrp(terminal).is_ok_and(|group| group == unistd::getpgrp())
}

/// Returns the width of a terminal.
pub(crate) fn columns(terminal: impl AsFd) -> Option<usize> {
    let mut size = MaybeUninit::<libc::winsize>::uninit();
    let terminal = terminal.as_fd().as_raw_fd();
    // SAFETY: the terminal is open, and the call writes one structure.
    let answer = unsafe { libc::ioctl(terminal, libc::TIOCGWINSZ, size.as_mut_ptr()) };
    // SAFETY: written by the call above, which answered 0.
    let columns = (answer == 0).then(|| unsafe { size.assume_init() }.ws_col)?;
    (columns > 0).then_some(columns.into())
}
