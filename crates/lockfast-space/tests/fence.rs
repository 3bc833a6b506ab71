//! A fence lets the newest holder pass.

#![cfg(not(lockfast_unsupported))]

use std::fs;

use lockfast::ErrorKind;
use lockfast_space::{Fence, Fenced, Space, Token};

const fn token(epoch: u64, number: u64) -> Token {
    Token { epoch, number }
}

#[test]
fn a_stale_writer_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, data) = (dir.path().join("a.fence"), dir.path().join("data"));
    let (one, other) = (
        Fence::open(&path).expect("opened"),
        Fence::open(&path).expect("opened"),
    );
    let write = |fence: &Fence, token: Token, text: &str| -> lockfast::Result<()> {
        let _passed = fence.pass(&token)?;
        fs::write(&data, text).expect("written");
        Ok(())
    };
    assert_eq!(one.greatest().expect("read"), None);
    write(&one, token(7, 5), "of the first holder").expect("the first");
    write(&one, token(7, 5), "of the first holder, again").expect("the same holder");
    write(&other, token(7, 12), "of the second holder").expect("a later one");
    let error = write(&one, token(7, 5), "stale").expect_err("it lost the lock");
    assert_eq!(error.kind(), ErrorKind::NotHeld, "{error}");
    assert!(
        error.to_string().contains("5 of epoch 7 is older than 12"),
        "{error}"
    );
    assert_eq!(
        fs::read_to_string(&data).expect("read"),
        "of the second holder"
    );
    assert_eq!(one.greatest().expect("read"), Some(token(7, 12)));
}

#[test]
fn another_epoch_needs_an_operator() {
    let dir = tempfile::tempdir().expect("a directory");
    let fence = Fence::open(dir.path().join("a.fence")).expect("opened");
    drop(fence.pass(&token(7, 500)).expect("the first"));
    for restored in [token(9, 12), token(6, 900)] {
        let error = fence.pass(&restored).expect_err("another epoch");
        assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
    }
    fence.begin_epoch(9).expect("stored");
    drop(fence.pass(&token(9, 12)).expect("of the new epoch"));
    assert!(fence.pass(&token(7, 501)).is_err());
}

#[test]
fn nobody_else_passes_while_one_is_at_the_resource() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.fence");
    let passed = Fence::open(&path)
        .expect("opened")
        .pass(&token(1, 1))
        .expect("the first");
    let lock = lockfast::Lock::open(&path).expect("opened");
    assert!(
        lock.try_lock()
            .expect_err("somebody is there")
            .is_contended()
    );
    // A guard that can't pass does not wait.
    let other = lockfast::Lock::open(dir.path().join("b.lock")).expect("opened");
    let fence = Fence::open(&path).expect("opened");
    let error = fence.pass(&other.lock().expect("free"));
    let error = error.expect_err("it has no token");
    assert_eq!(error.kind(), ErrorKind::InvalidOption, "{error}");
    drop(passed);
    assert!(lock.try_lock().is_ok());
}

#[test]
fn guards_of_a_space_pass_in_the_order_of_their_holds() {
    let dir = tempfile::tempdir().expect("a directory");
    let fence = Fence::open(dir.path().join("a.fence")).expect("opened");
    let space = Space::open(&format!("file://{}", dir.path().join("locks").display()));
    let lock = space.expect("opened").lock("a").expect("opened");
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let guard = lock.lock().expect("free");
        drop(fence.pass(&guard).expect("the newest"));
        tokens.push(guard.fencing_token().expect("it has one"));
    }
    assert!(fence.pass(&tokens[1]).is_err());
    let local = lockfast::Lock::open(dir.path().join("b.lock")).expect("opened");
    let error = fence
        .pass(&local.lock().expect("free"))
        .expect_err("no token");
    assert!(error.to_string().contains("owner_record"), "{error}");
}

#[test]
fn a_file_with_other_content_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("notes");
    for content in [
        &b"notes"[..],
        b"lockfast-fence 1 7 5\n",
        b"\xff\xfe",
        &[b'x'; 500],
    ] {
        fs::write(&path, content).expect("written");
        let fence = Fence::open(&path).expect("opened");
        let error = fence.pass(&token(1, 1)).expect_err("no fence");
        assert_eq!(error.kind(), ErrorKind::InvalidPath, "{error}");
        assert_eq!(fs::read(&path).expect("read"), content);
    }
}
