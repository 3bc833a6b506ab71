//! Users.

use nix::unistd::{Uid, User};

/// Returns the name of a user.
pub(crate) fn user_name(number: u32) -> Option<String> {
    let user = User::from_uid(Uid::from_raw(number)).ok()??;
    Some(user.name)
}
