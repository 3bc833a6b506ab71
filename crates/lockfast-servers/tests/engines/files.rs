//! Chaos on the files of a directory: no server, and locks that are never lost. Shows that the checkers see mistakes.

use std::path::PathBuf;
use std::time::Duration;

use libtest_mimic::Trial;

use lockfast_testing::trial;

use crate::chaos::{self, OfClient, Servers};
use crate::client::Mutant;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("files::chaos", under_faults),
        trial("files::finds_locks_apart", finds_locks_apart),
        trial(
            "files::finds_a_writer_among_readers",
            finds_a_writer_among_readers,
        ),
        trial(
            "files::finds_tokens_that_begin_again",
            finds_tokens_that_begin_again,
        ),
    ]
}

struct Files(PathBuf);

impl Servers for Files {
    fn url(&self) -> String {
        format!("file://{}", self.0.display())
    }

    /// The kernel frees the lock of a dead client at once, and keeps that of one that is stopped.
    fn ttl(&self) -> Duration {
        Duration::from_millis(400)
    }

    fn faults_of_clients(&self) -> &[OfClient] {
        use OfClient::{KillAny, KillHolder, PauseAny, PauseHolder};
        &[KillHolder, KillAny, PauseHolder, PauseAny]
    }
}

fn run(mutant: Mutant, duration: Duration) -> Result<chaos::Figures, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let mut files = Files(directory.path().to_path_buf());
    chaos::run(&mut files, &[], duration, mutant)
}

fn under_faults() {
    let figures = run(Mutant::None, Duration::from_secs(10));
    let figures = figures.unwrap_or_else(|violations| panic!("{violations}"));
    assert!(figures.grants > 100, "{figures}");
    let losses = (figures.lost, figures.failures, figures.refused_writes);
    assert_eq!(losses, (0, 0, 0));
}

/// Asserts that this checker refuses clients with this mistake.
fn is_found(mutant: Mutant, by: &str) {
    let violations = run(mutant, Duration::from_secs(1)).expect_err("a mistake");
    assert!(violations.contains(by), "{violations}");
}

fn finds_locks_apart() {
    is_found(Mutant::IsApart, "sole: beliefs: ");
}

fn finds_a_writer_among_readers() {
    is_found(Mutant::WritesAsReader, "many: answers: ");
}

fn finds_tokens_that_begin_again() {
    is_found(Mutant::ResetsTokens, "sole: fence: ");
}
