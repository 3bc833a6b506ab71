//! The options and help texts of `lockfast run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::{On, OnLost, ProtocolName, ScopeName, mode};
use crate::duration;
use crate::exit::Exit;
use crate::sys;

#[derive(Debug, clap::Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) on: On,

    /// Lock files. Missing ones are created, with their directories. Several locks are taken
    /// together or not at all
    #[arg(value_name = "LOCK", required = true)]
    pub(crate) locks: Vec<PathBuf>,

    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, last = true)]
    pub(crate) command: Vec<OsString>,

    /// Treat each LOCK as a name instead of a path. The lock belongs to this user, or with
    /// `--named=machine` to all users
    #[arg(long, value_name = "SCOPE", num_args = 0..=1, require_equals = true, default_missing_value = "user")]
    pub(crate) named: Option<ScopeName>,

    /// Take a shared (read) lock, together with other readers and never with a writer. The lock
    /// files are opened for reading only
    #[arg(short, long)]
    pub(crate) shared: bool,

    /// Take an exclusive lock, which is the default; also -e, as in flock(1)
    #[arg(short = 'x', long, short_alias = 'e', conflicts_with_all = ["shared", "permits"])]
    pub(crate) exclusive: bool,

    /// Treat each lock file as a semaphore of N permits and take one. All users of the file must
    /// give the same N
    #[arg(long, value_name = "N", conflicts_with_all = ["shared", "remove", "protocol"])]
    pub(crate) permits: Option<u32>,

    /// Grant the lock strictly in order of arrival, among all processes that use this option
    #[arg(long)]
    pub(crate) fifo: bool,

    /// Fail immediately if a lock is held
    #[arg(short, long, visible_alias = "nonblock", aliases = ["nb", "nonblocking"], conflicts_with = "timeout")]
    pub(crate) no_wait: bool,

    /// Stop waiting for the locks after this time: `500ms`, `10s`, `1m 30s`; a bare number is
    /// seconds
    #[arg(short = 'w', long, visible_alias = "wait", value_name = "DURATION", value_parser = duration::parse, allow_negative_numbers = true)]
    pub(crate) timeout: Option<Duration>,

    /// Exit with this code if the locks were not obtained
    #[arg(short = 'E', long, value_name = "N", default_value_t = Exit::CONFLICT, allow_negative_numbers = true)]
    pub(crate) conflict_exit_code: u8,

    /// The kind of kernel lock. It works together with programs that use the same kind
    #[arg(long, value_name = "PROTOCOL", default_value = "fcntl")]
    pub(crate) protocol: ProtocolName,

    /// Create the lock files with exactly this mode, regardless of the umask
    #[arg(long, value_name = "OCTAL", value_parser = mode)]
    pub(crate) mode: Option<u32>,

    /// Accept lock files that belong to other users in a directory with a sticky bit, such as /tmp.
    /// Their owners can hold the lock forever, or remove the file while it is held
    #[arg(long)]
    pub(crate) any_owner: bool,

    /// Follow a symbolic link at the end of a lock file's path
    #[arg(long, conflicts_with = "named")]
    pub(crate) follow_symlinks: bool,

    /// Remove the lock files at the end, unless another process has locked them by then
    #[arg(long)]
    pub(crate) remove: bool,

    /// Print nothing while waiting, nor when the locks were not obtained
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Close the lock files before starting the command, as in flock(1), so that processes it
    /// leaves running do not keep the locks. For commands that start a daemon on purpose
    #[arg(short = 'o', long, visible_alias = "no-inherit")]
    pub(crate) close: bool,

    /// Let the command inherit the locks, which is the default
    #[arg(long, hide = true, conflicts_with = "close")]
    pub(crate) inherit: bool,

    /// Replace lockfast with the command instead of starting a child. The locks are held until the
    /// command and all its descendants that inherited them have ended. For supervisors; also
    /// --no-fork
    #[arg(
        short = 'F',
        long,
        alias = "no-fork",
        conflicts_with_all = ["close", "remove", "record", "trace", "kill_with_parent", "time_limit"]
    )]
    pub(crate) exec: bool,

    /// End the command and its whole process group if it runs longer than this. The exit code is
    /// then 124, or 137 if SIGKILL was needed, as in timeout(1)
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, allow_negative_numbers = true)]
    pub(crate) time_limit: Option<Duration>,

    /// Send SIGKILL if the command still runs this long after the time limit; 0 for never
    #[arg(short, long, value_name = "DURATION", value_parser = duration::parse, default_value = "10s", allow_negative_numbers = true, requires = "time_limit")]
    #[cfg_attr(windows, allow(dead_code, reason = "there is no time limit"))]
    pub(crate) kill_after: Duration,

    /// The signal to send at the time limit, as a name or a number
    #[arg(
        long,
        value_name = "SIGNAL",
        default_value = "TERM",
        requires = "time_limit"
    )]
    #[cfg_attr(windows, allow(dead_code, reason = "there are no signals"))]
    pub(crate) signal: String,

    /// Leave the command in the foreground of the terminal, so that it can read from it. The time
    /// limit then does not end the processes that the command started
    #[arg(long, requires = "time_limit")]
    #[cfg_attr(windows, allow(dead_code, reason = "there is no time limit"))]
    pub(crate) foreground: bool,

    /// Write the holder into the lock file, which must be empty or contain such a record. Report if
    /// the last holder died while holding the lock, and pass the number of this hold to the command
    /// in `LOCKFAST_TOKEN` (of the first LOCK)
    #[arg(long, conflicts_with_all = ["shared", "remove", "permits"])]
    pub(crate) record: bool,

    /// Text for the record
    #[arg(long, value_name = "TEXT", requires = "record")]
    pub(crate) label: Option<String>,

    /// End of the command if a lock of a space is lost while it runs, or not confirmed by its server in time
    #[arg(long, value_name = "ACTION", default_value = "term")]
    pub(crate) on_lost: OnLost,

    /// Write waits and holds to this file, for Perfetto or Chrome's trace viewer
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,

    /// Kill the command if lockfast itself is killed. This is the default on Linux and Windows, and
    /// not available elsewhere. On Linux, descendants of the command are not killed and keep the
    /// locks, and neither is a command that gains privileges when it starts (set-user-ID)
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
Exit code: that of the command; if a signal kills the command, lockfast dies of the same signal (128+N
in a shell); 75 (or -E) if the locks were not obtained; 76 a lock was lost while the command ran; 124 time
limit exceeded; 64 usage, 69 the server of the locks cannot be reached, 71 system error or a wait that would
never end, 73 lock file cannot be opened, created or locked, 77 the server refuses, 126 command not
executable, 127 command not found.";

pub(super) const DETAILS: &str = "\
Exit code: that of the command; if a signal kills the command, lockfast dies of the same signal (128+N
in a shell); 75 (or -E) if the locks were not obtained; 76 a lock was lost while the command ran; 124 time
limit exceeded; 64 usage, 69 the server of the locks cannot be reached, 71 system error or a wait that would
never end, 73 lock file cannot be opened, created or locked, 77 the server refuses, 126 command not
executable, 127 command not found.

Processes left running: lockfast ends when the command ends, but the locks stay held until all
processes that inherited them have ended, even if lockfast itself is killed. A daemon that the command
starts keeps the locks unless it closes its descriptors; use --close to prevent that.
`lockfast status LOCK` lists the processes.

Signals: TERM, INT, HUP, QUIT, USR1 and USR2 are passed on to the command, and lockfast ends when the
command ends. A signal from the keyboard, or to the whole process group, reaches the command directly,
and only once; in the first 10 ms of the command, a signal to the whole group may reach it twice. While
lockfast waits for the locks, signals end it as usual.

Environment of the command: LOCKFAST_HELD lists the absolute paths of the locks held around it, one per
line, those of enclosing `lockfast run` commands first. A nested run that would wait for such a lock
fails. LOCKFAST_TOKEN is the number of this hold, only with --record.

A script can lock itself: `[ -n \"$LOCKFAST_HELD\" ] || exec lockfast run -n --protocol flock \"$0\" -- \"$0\"`.
With --protocol fcntl the script would be open for writing and could not be executed.

Locks in a space (--on, LOCKFAST_SPACE) are names without a `/`. The command gets LOCKFAST_NAME,
LOCKFAST_TOKEN and LOCKFAST_EPOCH of the first one, and does not inherit the locks: they are released when
it has ended. A lock on a server is lost if the server does not hear of lockfast for the time of its lease, or
by `lockfast break`. lockfast acts earlier, when the server has not confirmed the lock for nearly that time:
the command and its process group get SIGTERM, and SIGKILL before others can hold the lock; at once if they
can already (--on-lost). In the foreground of a terminal only the command is
signalled, unless lockfast was started by an interactive shell.

Several locks are taken in the order of their paths or names, so that two lockfast commands cannot deadlock;
-w limits the wait for all of them together.";
