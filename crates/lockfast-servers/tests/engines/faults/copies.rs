//! Data that are restored from a copy.

use std::path::PathBuf;

use libtest_mimic::Trial;
use lockfast::ErrorKind;
use lockfast_space::{Fence, Token};
use tempfile::TempDir;

use lockfast_servers::etcd::{self, Server};
use lockfast_servers::postgres::{self, Copy};

use lockfast_testing::trial_needing;

use super::becomes;
use crate::steps::Stepper;

pub(crate) fn trials() -> Vec<Trial> {
    let on_etcd: [(&str, fn()); 3] = [
        (
            "f15_a_holder_that_is_not_in_a_restored_copy_has_lost",
            not_in_the_copy,
        ),
        ("f15_a_holder_in_a_restored_copy_stays_valid", in_the_copy),
        (
            "f15_a_copy_in_a_cluster_of_the_same_name_repeats_tokens",
            the_same_cluster,
        ),
    ];
    let needed = || etcd::Release::Debian.find().map(drop);
    let mut trials: Vec<_> = on_etcd
        .into_iter()
        .map(|(name, test)| trial_needing!(&format!("etcd::{name}"), needed(), test))
        .collect();
    let on_postgres: [(&str, fn()); 2] = [
        ("f15_a_recovered_copy_begins_an_epoch", begins_an_epoch),
        ("f15_a_copy_without_recovery_repeats_tokens", repeats_tokens),
    ];
    let needed = || postgres::Release::Debian.find().map(drop);
    trials.extend(
        on_postgres
            .map(|(name, test)| trial_needing!(&format!("postgres::{name}"), needed(), test)),
    );
    trials
}

/// The token of a cluster that nobody names.
const USUAL: &str = "etcd-cluster";

/// A server, and the place for a copy of its data.
struct Original {
    server: Server,
    copy: PathBuf,
    directory: TempDir,
}

impl Original {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self {
            server: Server::start(),
            copy: directory.path().join("copy"),
            directory,
        }
    }

    /// Starts a client whose locks stay for longer than a restore takes.
    fn client(&self) -> Stepper {
        let url = format!("etcd://{}/faults?ttl=30s", self.server.endpoint());
        Stepper::start(&url, None)
    }

    /// Has the client take the lock after a copy was made, in which its lease is.
    fn lock_after_copy(&self, holder: &mut Stepper) -> Token {
        holder.lock();
        assert_eq!(holder.step("release"), "released");
        self.server.save(&self.copy);
        token(holder)
    }

    fn restore(&mut self, token: &str) {
        self.server.restore(&self.copy, token);
    }
}

/// Has the client take the lock.
fn token(client: &mut Stepper) -> Token {
    Token {
        number: client.lock(),
        epoch: client.number("epoch"),
    }
}

fn not_in_the_copy() {
    let mut original = Original::start();
    let fence = Fence::open(original.directory.path().join("fence")).expect("opened");
    let (mut holder, mut other) = (original.client(), original.client());
    let before = original.lock_after_copy(&mut holder);
    drop(fence.pass(&before).expect("the first"));
    original.restore("another");
    assert_eq!(holder.step("lost"), "true");
    becomes(&mut holder, "Lost");
    let after = token(&mut other);
    assert_ne!(before.epoch, after.epoch);
    let refused = fence.pass(&after).expect_err("of another epoch");
    assert_eq!(refused.kind(), ErrorKind::InvalidOption, "{refused}");
    fence.begin_epoch(after.epoch).expect("written");
    drop(fence.pass(&after).expect("of this epoch"));
    // Its guard is of the epoch in which it was granted, whatever its client has seen since.
    assert_eq!(holder.number("epoch"), before.epoch);
    assert!(fence.pass(&before).is_err());
    assert_eq!(holder.step("release"), "lost");
    assert_eq!(other.step("release"), "released");
}

fn in_the_copy() {
    let mut original = Original::start();
    let (mut holder, mut other) = (original.client(), original.client());
    let before = token(&mut holder);
    original.server.save(&original.copy);
    original.restore("another");
    other.begin("lock");
    becomes(&mut holder, "Valid");
    assert_eq!(holder.number("epoch"), before.epoch);
    assert_eq!(holder.step("release"), "released");
    assert!(other.granted() > before.number);
    assert_ne!(other.number("epoch"), before.epoch);
    assert_eq!(other.step("release"), "released");
}

fn the_same_cluster() {
    let mut original = Original::start();
    let (mut holder, mut other) = (original.client(), original.client());
    let before = original.lock_after_copy(&mut holder);
    original.restore(USUAL);
    assert_eq!(holder.step("lost"), "true");
    becomes(&mut holder, "Lost");
    let after = token(&mut other);
    assert_eq!(after.epoch, before.epoch);
    assert!(after.number <= before.number, "{after}, {before}");
}

fn begins_an_epoch() {
    let (before, after) = on_copy_of_postgres(Copy::Recovered);
    assert_ne!(after.epoch, before.epoch);
}

fn repeats_tokens() {
    let (before, after) = on_copy_of_postgres(Copy::Started);
    assert_eq!(after.epoch, before.epoch);
    assert!(after.number <= before.number, "{after}, {before}");
}

/// Returns the token of a holder after the copy was made, and that of a holder in the copy.
fn on_copy_of_postgres(kind: Copy) -> (Token, Token) {
    let client = |server: &postgres::Server| {
        let url = format!("{}?ttl=30s", server.url());
        Stepper::start(&url, None)
    };
    let mut original = postgres::Server::start();
    let mut holder = client(&original);
    holder.lock();
    assert_eq!(holder.step("release"), "released");
    let copy = original.start_copy(kind);
    let before = token(&mut holder);
    original.kill();
    assert_eq!(holder.step("lost"), "true");
    (before, token(&mut client(&copy)))
}
