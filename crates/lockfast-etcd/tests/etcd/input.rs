//! Input that can't be used: each error names what is wrong, and no password.

use std::fs;
use std::path::Path;

use lockfast::{ErrorKind, Lock};
use lockfast_conformance::Place;
use lockfast_etcd::{Client, Etcd};
use lockfast_servers::etcd::{Clients, Options, Release};
use lockfast_testing::skip;
use tempfile::TempDir;

use crate::shared::place;

macro_rules! need_server {
    () => {
        if let Err(reason) = Release::Debian.find() {
            skip!("{reason}");
        }
    };
}

fn lock(url: &str, name: &str) -> lockfast::Result<()> {
    let lock: Lock<Etcd> = Lock::from_raw(Client::open(url)?.lock(name)?);
    lock.try_lock()?.release()
}

fn password(directory: &TempDir, text: &str) -> String {
    let path = directory.path().join(text);
    fs::write(&path, text).expect("written");
    format!("password-file={}", path.display())
}

#[test]
fn a_cluster_that_is_not_there_is_named() {
    let url = "etcd://127.0.0.1:1/p?timeout=300ms";
    let client = Client::connect(url).expect("it waits with the first lock");
    let first: Lock<Etcd> = Lock::from_raw(client.lock("a").expect("a good name"));
    // The lock has no limit of its own, and the servers are asked again each time.
    for error in [
        lock(url, "a"),
        first.lock().map(drop),
        first.try_lock().map(drop),
    ] {
        let error = error.expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        let text = error.to_string();
        assert!(
            text.contains("etcd://127.0.0.1:1/p: no server answered"),
            "{text}"
        );
    }
}

#[test]
fn names_are_kept_apart_or_refused() {
    need_server!();
    let place = place(Release::Debian).expect("installed");
    let names = ["a", "a/b", "a/q/x", "ä b%2F"];
    let guards: Vec<_> = names
        .map(|name| place.lock(name).try_lock().expect("free"))
        .into();
    let entries = place.client.list("").expect("listed");
    let mut listed: Vec<_> = entries.iter().map(|entry| &*entry.name).collect();
    listed.sort_unstable();
    let mut expected = names;
    expected.sort_unstable();
    assert_eq!(listed, expected);
    drop(guards);
    for name in ["", "a\0b", &"x".repeat(4096)] {
        let error = place.client.lock(name).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidPath, "{error}");
    }
}

#[test]
fn other_uses_of_a_name_are_errors() {
    need_server!();
    let place = place(Release::Debian).expect("installed");
    let guard = place.lock("a").lock().expect("free");
    for error in [
        place.semaphore("a", 2).try_acquire().expect_err("a lock"),
        place.semaphore("a", 2).acquire().expect_err("a lock"),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
    }
    drop(guard);
    let permit = place.semaphore("a", 2).acquire().expect("free");
    for error in [
        place.lock("a").try_lock().expect_err("a semaphore"),
        place.lock("a").lock().expect_err("a semaphore"),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
    }
    for error in [
        place
            .semaphore("a", 3)
            .try_acquire()
            .expect_err("there are 2"),
        place.semaphore("a", 3).acquire().expect_err("there are 2"),
    ] {
        assert_eq!(error.kind(), ErrorKind::OtherPermits, "{error}");
    }
    drop(permit);
    assert!(place.entry("a").is_none(), "no ticket is left");
}

#[test]
fn a_ttl_below_the_least_of_the_server_is_an_error() {
    need_server!();
    let server = Options::default().flag("--election-timeout=5000").start();
    let url = format!("etcd://{}/p?ttl=3s", server.endpoint());
    let error = lock(&url, "a").expect_err("too short");
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    let text = error.to_string();
    assert!(
        text.contains("ttl=3s is less than the servers allow"),
        "{text}"
    );
}

#[test]
fn users_need_their_password_and_a_permission() {
    need_server!();
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = Options::default().password("hunter2").start();
    for arguments in [
        ["user", "add", "me:mine"].as_slice(),
        &["role", "add", "jobs"],
        &[
            "role",
            "grant-permission",
            "jobs",
            "--prefix=true",
            "readwrite",
            "jobs/",
        ],
        &["user", "grant-role", "me", "jobs"],
    ] {
        server.etcdctl(arguments);
    }
    let (right, wrong) = (password(&directory, "mine"), password(&directory, "other"));
    let endpoint = server.endpoint();
    let denied = [
        format!("etcd://{endpoint}/jobs"),
        format!("etcd://me@{endpoint}/jobs?{wrong}"),
        format!("etcd://me@{endpoint}/elsewhere?{right}"),
    ];
    for url in denied {
        let error = lock(&url, "a").expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{url}: {error}");
        assert!(error.to_string().contains(&endpoint), "{error}");
    }
    let url = format!("etcd://me@{endpoint}/jobs?{right}");
    let client = Client::open(&url).expect("the password is right");
    let own: Lock<Etcd> = Lock::from_raw(client.lock("a").expect("a name"));
    let guard = own.lock().expect("free");
    // Tokens of a login are forgotten by a server that restarts.
    server.kill();
    server.restart();
    guard.release().expect("logged in again");
    drop(own.lock().expect("free"));
}

#[test]
fn certificates_are_checked_on_both_sides() {
    need_server!();
    let directory = tempfile::tempdir().expect("a directory");
    let server = Options::default().tls(Clients::Certified).start();
    let authority = server.authority();
    let own = authority.client("me");
    let shown = |path: &Path| path.display().to_string();
    let ca = format!("ca={}", shown(&authority.certificate()));
    let certified = format!("cert={}&key={}", shown(&own.certificate), shown(&own.key));
    let other = lockfast_servers::tls::Authority::new(directory.path());
    let endpoint = server.endpoint();
    lock(&format!("etcds://{endpoint}/p?{ca}&{certified}"), "a").expect("accepted");
    let strange = format!("ca={}&{certified}", shown(&other.certificate()));
    for options in [ca, strange] {
        let url = format!("etcds://{endpoint}/p?timeout=1s&{options}");
        let error = lock(&url, "a").expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    }
    let garbled = directory.path().join("garbled.pem");
    fs::write(&garbled, "-----BEGIN CERTIFICATE-----\n!\n").expect("written");
    let url = format!("etcds://{endpoint}/p?timeout=1s&ca={}", shown(&garbled));
    assert!(lock(&url, "a").is_err());
}

#[test]
fn a_doctor_finds_a_single_server_in_order() {
    need_server!();
    let place = place(Release::Debian).expect("installed");
    let checks = place.client.diagnose();
    let names: Vec<_> = checks.iter().map(|check| check.name).collect();
    assert!(names.starts_with(&["server", "members"]), "{checks:?}");
    assert!(names.contains(&"lease"), "{checks:?}");
    let failed = |check: &&lockfast_lease::Check| check.verdict == lockfast_lease::Verdict::Fail;
    assert_eq!(checks.iter().find(failed), None);
}
