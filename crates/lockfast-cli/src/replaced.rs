//! Lock files that were deleted or replaced while they were held.

use lockfast::MemberGuard;
use lockfast::command_support::Shown;

use crate::exit::say;

/// Says of which locks others may have been let in while the command ran.
pub(crate) fn tell(guards: &[MemberGuard]) {
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
                "lock file {path} was deleted or replaced while it was held: others may have been let in; \
                 have lock files deleted by --remove only"
            )),
            Err(error) => say(error),
        }
    }
}
