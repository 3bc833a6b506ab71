//! The actors of this program, and files that others have open.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::Path;

use lockfast_testing::own_program;

pub(crate) use lockfast_testing::{Pending, Stage};

/// Whether Wine runs this, as `cargo xtask platforms windows` says.
pub(crate) fn is_wine() -> bool {
    std::env::var_os("LOCKFAST_TEST_WINE").is_some()
}

/// Replaces a file that others have open. Wine refuses that, so there the old one
/// is renamed before.
pub(crate) fn replace(path: &Path) {
    let new = path.with_extension("new");
    fs::write(&new, "").expect("created");
    if is_wine() {
        delete(path);
    }
    fs::rename(&new, path).expect("others may replace it");
}

/// Deletes a file that others have open. Wine deletes it only when all have closed it, so there it is
/// renamed.
pub(crate) fn delete(path: &Path) {
    let gone = if is_wine() {
        let at_a_new_name = tempfile::tempdir_in(path.parent().expect("a directory"));
        let directory = at_a_new_name.expect("a directory").keep();
        fs::rename(path, directory.join("gone"))
    } else {
        fs::remove_file(path)
    };
    gone.expect("others may delete it");
}

/// A process that follows commands, killed at the end of the test.
pub(crate) struct Actor(lockfast_testing::Actor);

impl Actor {
    pub(crate) fn start() -> Self {
        Self(lockfast_testing::Actor::start())
    }

    /// Starts an actor that has these variables in its environment.
    pub(crate) fn start_in<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let mut command = own_program();
        command.arg("actor").envs(variables);
        Self(lockfast_testing::Actor::start_by(&mut command))
    }

    /// Starts an actor that has opened the lock of that kind as `a`.
    pub(crate) fn with(kind: &str, stage: &Stage, options: &str) -> Self {
        let mut actor = Self::start();
        let open = format!("{kind} a {} {options}", stage.lock().display());
        actor.ask(open.trim_end());
        actor
    }

    /// Has it wait for something, and waits until it reports that it is about to wait.
    #[track_caller]
    pub(crate) fn begin_waiting(&mut self, command: &str) -> Pending {
        self.forget_events();
        let pending = self.begin(command);
        self.event();
        pending
    }
}

impl Deref for Actor {
    type Target = lockfast_testing::Actor;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Actor {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
