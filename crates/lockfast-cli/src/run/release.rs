//! The release of the locks after the command has ended.

use lockfast::{MemberGuard, command_support};

use crate::args;
use crate::exit::say;
use crate::locks;
use crate::sys;

/// Releases the locks, in reverse order.
pub(super) fn release(guards: Vec<MemberGuard>) {
    for error in guards
        .into_iter()
        .rev()
        .filter_map(|guard| guard.release().err())
    {
        say(error);
    }
}

/// Leaves the locks to the processes that inherited them, if any. An unlock would release the lock
/// for them too, so the files are only closed, most of them by the end of this process.
pub(super) fn leave_to_inheritors(arguments: &args::Run, guards: Vec<MemberGuard>) {
    for mut guard in guards.into_iter().rev() {
        if let Err(error) = command_support::end_record(&mut guard) {
            say(error);
        }
        if arguments.remove
            && let Err(error) = remove(arguments, &guard)
        {
            say(error);
        }
        std::mem::forget(guard);
    }
}

fn remove(arguments: &args::Run, guard: &MemberGuard) -> lockfast::Result<()> {
    let path = command_support::path(guard);
    if let Err(error) = sys::let_go(command_support::file(guard)) {
        let path = path.display();
        say(format_args!("cannot remove lock file {path}: {error}"));
        return Ok(());
    }
    locks::remove_unless_held(path, arguments)
}
