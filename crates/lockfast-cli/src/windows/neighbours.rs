//! Holders that the protocol does not see: there are none, as all locks are of one family here.

use lockfast::MemberGuard;

use crate::args;

/// Warns of nobody.
pub(crate) fn warn(_arguments: &args::Run, _guards: &[MemberGuard]) {}
