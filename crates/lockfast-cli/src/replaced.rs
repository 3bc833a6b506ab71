//! Lock files that were deleted or replaced while held.

use lockfast::MemberGuard;
use lockfast::command_support::Shown;

use crate::exit::say;

/// Warns of each lock that others could have taken while the command ran.
pub(crate) fn warn(guards: &[MemberGuard]) {
    for guard in guards {
        let (is_current, path) = match guard {
            MemberGuard::Lock(guard) => (guard.is_current(), guard.path()),
            MemberGuard::Read(guard) => (guard.is_current(), guard.path()),
            MemberGuard::Upgradable(guard) => (guard.is_current(), guard.path()),
            MemberGuard::Write(guard) => (guard.is_current(), guard.path()),
            MemberGuard::Permit(permit) => (permit.is_current(), permit.path()),
            _ => continue,
        };
        let path = Shown::path(path);
        match is_current {
            Ok(true) => {}
            Ok(false) => say(format_args!(
                "lock file {path} was deleted or replaced while held: another process may have taken the \
                 lock; delete lock files only with --remove"
            )),
            Err(error) => say(error),
        }
    }
}
