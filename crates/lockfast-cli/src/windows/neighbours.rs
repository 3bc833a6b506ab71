//! Holders with another kind of lock: there are none, as Windows has only one kind.

use lockfast::MemberGuard;

use crate::args;

/// Does nothing.
pub(crate) fn warn(_arguments: &args::Run, _guards: &[MemberGuard]) {}
