//! The fence of data in the same cluster, with the transactions of `etcdctl`.

use std::io::Write;
use std::process::{Command, Stdio};

use lockfast::{Lock, Member, RwLock, lock_all};
use lockfast_etcd::{Client, Etcd, LockKey, OnEtcd};
use lockfast_servers::etcd::Release;
use lockfast_testing::skip;

use crate::shared::{endpoint, etcdctl};

#[test]
fn transactions_of_3_4_compare_the_key() {
    transactions_compare_the_key(Release::Debian);
}

#[test]
fn transactions_of_3_5_compare_the_key() {
    transactions_compare_the_key(Release::Python);
}

fn transactions_compare_the_key(release: Release) {
    let endpoint = match endpoint(release) {
        Ok(endpoint) => endpoint,
        Err(reason) => skip!("{reason}"),
    };
    // The prefix has what needs a quotation mark, or a backslash.
    let client = Client::open(&format!("etcd://{endpoint}/da\"t\\a'ü")).expect("a server");
    let open = |name| client.lock(name).expect("a name");
    let lock: Lock<Etcd> = Lock::from_raw(open("a b"));
    let cache: RwLock<Etcd> = RwLock::from_raw(open("cache"));
    let passes = |key: Option<LockKey>| {
        let comparison = key.expect("it is on etcd").comparison();
        let etcdctl = etcdctl(release).expect("it is installed");
        transaction(etcdctl, &format!("{comparison}\n\nput data 1\n\n\n"))
    };

    let held = lock.lock().expect("free");
    let key = held.etcd_key();
    assert!(passes(key.clone()), "it is held");
    held.release().expect("released");
    assert!(!passes(key.clone()), "it is released");
    let next = lock.lock().expect("free");
    assert!(!passes(key), "another one holds it");
    assert!(passes(next.etcd_key()));

    let reader = cache.read().expect("free");
    assert!(passes(reader.etcd_key()));
    drop((next, reader));
    let members = [Member::Lock(&lock), Member::Write(&cache)];
    for guard in &lock_all(members).expect("free") {
        assert!(passes(guard.etcd_key()));
    }
}

/// Runs `etcdctl txn` with that input, and returns whether the comparison was true.
fn transaction(mut etcdctl: Command, input: &str) -> bool {
    etcdctl.arg("txn");
    etcdctl.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = etcdctl.spawn().expect("started");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    let done = child.wait_with_output().expect("an end");
    let printed = String::from_utf8(done.stdout).expect("text");
    match printed.lines().next() {
        Some("SUCCESS") => true,
        Some("FAILURE") => false,
        _ => panic!("{input}: {printed}"),
    }
}
