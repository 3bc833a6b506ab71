//! The pages that users read.

use std::path::{Path, PathBuf};

/// A page: its path in the repository, and its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! page {
    ($name:literal) => {
        Page {
            name: $name,
            text: include_str!(concat!("../../../../", $name)),
        }
    };
}

/// The pages with blocks to run.
pub(crate) const PAGES: [Page; 5] = [
    page!("README.md"),
    page!("docs/guide.md"),
    page!("docs/works-with.md"),
    page!("crates/lockfast-python/README.md"),
    page!("docs/engines.md"),
];

/// The documents of the design.
pub(crate) const DESIGN: [Page; 27] = [
    page!("docs/design/README.md"),
    page!("docs/design/kernel-locks.md"),
    page!("docs/design/protocol.md"),
    page!("docs/design/waiting.md"),
    page!("docs/design/async.md"),
    page!("docs/design/hand-off.md"),
    page!("docs/design/linger.md"),
    page!("docs/design/fifo.md"),
    page!("docs/design/semaphore.md"),
    page!("docs/design/identity.md"),
    page!("docs/design/opening.md"),
    page!("docs/design/fork.md"),
    page!("docs/design/deadlocks.md"),
    page!("docs/design/names.md"),
    page!("docs/design/owner-record.md"),
    page!("docs/design/windows.md"),
    page!("docs/design/inspect.md"),
    page!("docs/design/macros.md"),
    page!("docs/design/command.md"),
    page!("docs/design/python.md"),
    page!("docs/design/tests.md"),
    page!("docs/design/engines.md"),
    page!("docs/design/lease.md"),
    page!("docs/design/etcd.md"),
    page!("docs/design/postgres.md"),
    page!("docs/design/space.md"),
    page!("docs/design/engine-tests.md"),
];

pub(crate) const WORKS_WITH: Page = PAGES[2];

/// Other texts that make promises.
pub(crate) const OTHERS: [Page; 9] = [
    page!("DESIGN.md"),
    page!("PLATFORM.md"),
    page!("COMPARE.md"),
    page!("SECURITY.md"),
    page!("docs/from-fasteners.md"),
    page!("crates/lockfast/src/lib.rs"),
    page!("crates/lockfast/src/protocol.rs"),
    page!("crates/lockfast/Cargo.toml"),
    page!("crates/lockfast-cli/src/args.rs"),
];

/// Returns the clone that the pages belong to.
pub(crate) fn clone() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.join("../..").canonicalize().expect("the repository")
}
