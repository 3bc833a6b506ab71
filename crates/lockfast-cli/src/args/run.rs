//! The options and texts of `lockfast run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::{ProtocolName, duration, mode};
use crate::exit::Exit;
use crate::sys;

#[derive(Debug, clap::Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Run {
    /// Lock files; those that do not exist are created, with their directories. Several are taken
    /// all or none
    #[arg(value_name = "LOCK", required = true)]
    pub(crate) locks: Vec<PathBuf>,

    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, last = true)]
    pub(crate) command: Vec<OsString>,

    /// Take a shared (read) lock, together with other readers and never with a writer. The lock files
    /// are opened for reading only
    #[arg(short, long)]
    pub(crate) shared: bool,

    /// Take an exclusive lock, which is the default; for those who know flock(1), also as -e
    #[arg(short = 'x', long, short_alias = 'e', conflicts_with_all = ["shared", "permits"])]
    pub(crate) exclusive: bool,

    /// Take one of N permits of each lock file instead of the lock, so that up to N commands run at
    /// the same time; all that use the file must give the same number
    #[arg(long, value_name = "N", conflicts_with_all = ["shared", "remove", "protocol"])]
    pub(crate) permits: Option<u32>,

    /// Serve strictly in order of arrival, among all that use this option
    #[arg(long)]
    pub(crate) fifo: bool,

    /// Give up at once when a lock is held
    #[arg(short, long, visible_alias = "nonblock", aliases = ["nb", "nonblocking"], conflicts_with = "timeout")]
    pub(crate) no_wait: bool,

    /// Give up waiting for the locks after this time: `500ms`, `10s`, `2m`; a bare number is seconds
    #[arg(short = 'w', long, visible_alias = "wait", value_name = "DURATION", value_parser = duration, allow_negative_numbers = true)]
    pub(crate) timeout: Option<Duration>,

    /// Exit with this code when the locks were not obtained
    #[arg(short = 'E', long, value_name = "N", default_value_t = Exit::CONFLICT, allow_negative_numbers = true)]
    pub(crate) conflict_exit_code: u8,

    /// The kind of kernel lock to take: works together with programs that take the same kind
    #[arg(long, value_name = "PROTOCOL", default_value = "fcntl")]
    pub(crate) protocol: ProtocolName,

    /// Create the lock files with exactly this mode, whatever the umask
    #[arg(long, value_name = "OCTAL", value_parser = mode)]
    pub(crate) mode: Option<u32>,

    /// Accept lock files that belong to other users in a directory with a sticky bit, such as /tmp. Their
    /// owners can hold the lock for ever, or remove the file while it is held
    #[arg(long)]
    pub(crate) any_owner: bool,

    /// Remove the lock files at the end, unless somebody else has locked them by then
    #[arg(long)]
    pub(crate) remove: bool,

    /// Say nothing while waiting, nor when the locks were not obtained
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Close the lock files for the command, as with flock(1), so that processes that it leaves running
    /// do not keep the locks. For commands that start a daemon on purpose
    #[arg(short = 'o', long, visible_alias = "no-inherit")]
    pub(crate) close: bool,

    /// Let the command inherit the locks, which is the default
    #[arg(long, hide = true, conflicts_with = "close")]
    pub(crate) inherit: bool,

    /// Become the command instead of starting it: no process of lockfast is left, and the locks are held
    /// until the command and all that it started have ended. For supervisors; also as --no-fork
    #[arg(
        short = 'F',
        long,
        alias = "no-fork",
        conflicts_with_all = ["close", "remove", "record", "trace", "kill_with_parent", "time_limit"]
    )]
    pub(crate) exec: bool,

    /// End the command, and all of its process group, when it runs for longer than this time. Then the
    /// exit code is 124, or 137 if SIGKILL was needed, as with timeout(1)
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_negative_numbers = true)]
    pub(crate) time_limit: Option<Duration>,

    /// Send SIGKILL if the command still runs this long after its time was over; 0 for never
    #[arg(short, long, value_name = "DURATION", value_parser = duration, default_value = "10s", allow_negative_numbers = true, requires = "time_limit")]
    #[cfg_attr(windows, allow(dead_code, reason = "there is no time limit"))]
    pub(crate) kill_after: Duration,

    /// The signal that is sent when the time is over, as a name or a number
    #[arg(
        long,
        value_name = "SIGNAL",
        default_value = "TERM",
        requires = "time_limit"
    )]
    #[cfg_attr(windows, allow(dead_code, reason = "there are no signals"))]
    pub(crate) signal: String,

    /// Leave the command in the foreground of the terminal, so that it can read from there; then the time
    /// limit does not end the processes that it started
    #[arg(long, requires = "time_limit")]
    #[cfg_attr(windows, allow(dead_code, reason = "there is no time limit"))]
    pub(crate) foreground: bool,

    /// Write who holds the lock into the lock file, which must be empty or have such a record; tell if
    /// the last holder died while it held the lock, and give the command the number of this hold in
    /// `LOCKFAST_TOKEN` (of the first LOCK)
    #[arg(long, conflicts_with_all = ["shared", "remove", "permits"])]
    pub(crate) record: bool,

    /// Text for the record
    #[arg(long, value_name = "TEXT", requires = "record")]
    pub(crate) label: Option<String>,

    /// Write waits and holds into this file, to be opened in Perfetto or in Chrome's tracing
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// Kill the command when lockfast itself is killed. On Linux, processes that the command started are
    /// not covered: they go on and keep the locks. Nor is a command that gains privileges when it starts
    /// (set-user-ID). On Linux and Windows only, where it is the default
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(crate) kill_with_parent: Option<bool>,
}

impl Run {
    /// Whether the command inherits the locks.
    pub(crate) fn inherits(&self) -> bool {
        sys::CAN_INHERIT && !self.close
    }
}

pub(super) const CODES: &str = "\
Exit code: the command's; when a signal killed the command, lockfast dies of the same signal (128+N in
a shell); 75 (or -E) when the locks were not obtained; 124 the time limit is over; 64 usage, 71 system
error or a wait that would never end, 73 lock file cannot be opened, created or locked, 126 command not
executable, 127 command not found.";

pub(super) const DETAILS: &str = "\
Exit code: the command's; when a signal killed the command, lockfast dies of the same signal (128+N in
a shell); 75 (or -E) when the locks were not obtained; 124 the time limit is over; 64 usage, 71 system
error or a wait that would never end, 73 lock file cannot be opened, created or locked, 126 command not
executable, 127 command not found.

Processes that the command leaves running: lockfast ends when the command does, but the locks stay held
until all processes that inherited them have ended, also when lockfast itself is killed. A daemon that
the command starts keeps the locks, unless it closes its descriptors; use --close if it must not.
`lockfast status LOCK` lists the processes.

Signals: TERM, INT, HUP, QUIT, USR1 and USR2 are passed on to the command, and lockfast ends when
the command does. A signal from the keyboard, or one to the whole process group, reaches the command
without that, and once. While lockfast still waits for the locks, signals end it as usual.

Environment of the command: LOCKFAST_HELD has the absolute paths of the locks that are held around it,
one a line, those of outer `lockfast run` commands first. A nested run that would wait for a lock of an
outer one ends with an error. LOCKFAST_TOKEN is the number of this hold, with --record only.

A script can lock itself: `[ -n \"$LOCKFAST_HELD\" ] || exec lockfast run -n --protocol flock \"$0\" -- \"$0\"`.
With --protocol fcntl the file is open for writing and could not be executed.

Several locks are taken in the order of their paths, so that two lockfast commands cannot wait for
each other for ever; -w is the time for all of them together.";
