//! System calls that need `unsafe`, and differences between systems.
//!
//! Functions that change a `Command` run between fork and exec, where only async-signal-safe calls are
//! allowed.
#![allow(
    unsafe_code,
    reason = "system calls; nothing outside this module has any"
)]

mod clock;
mod files;
mod first;
mod float;
mod inherited;
mod obstacle;
mod processes;
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    path = "sys/no_sentinel.rs"
)]
mod sentinel;
mod signals;
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    path = "sys/start_by_fork.rs"
)]
mod start;
mod terminal;
mod users;

pub(crate) use self::clock::monotonic_time;
pub(crate) use self::files::{
    duplicate, file_key, has_open, is_out_of_descriptors, lines, number, real_path,
};
pub(crate) use self::first::Mortality;
pub(crate) use self::float::float;
pub(crate) use self::inherited::{Inherited, let_go};
pub(crate) use self::obstacle::obstacle;
pub(crate) use self::processes::{
    ancestors, become_command, is_for_shell, lead_group, leave_group, reap,
};
pub(crate) use self::sentinel::Sentinel;
#[cfg(feature = "top")]
pub(crate) use self::signals::suspend;
pub(crate) use self::signals::{
    before_being_ended, begin_to_catch, die_of, ignore_unless_caught, is_ignored, let_through,
    ring, ring_after, start_with_default,
};
pub(crate) use self::start::Start;
pub(crate) use self::terminal::{columns, is_in_foreground};
pub(crate) use self::users::user_name;

/// Whether the kernel can kill a command when this process ends.
pub(crate) const CAN_KILL_WITH_PARENT: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Whether a command can inherit locks.
pub(crate) const CAN_INHERIT: bool = true;
