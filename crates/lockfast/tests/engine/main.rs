//! The suite that every engine passes: files, and an engine in memory that is written only against the contract
//! of `lockfast::engine`.

#![cfg(not(lockfast_unsupported))]

mod memory;
mod places;

use lockfast_conformance::Place;
use memory::Space;
use places::Directory;

mod files {
    lockfast_conformance::suite!(super::Directory::new());
}

mod in_memory {
    lockfast_conformance::suite!(super::Space::new());
}

#[test]
fn errors_name_the_lock_of_an_engine() {
    let lock = Space::new().lock("jobs/nightly");
    let guard = lock.lock().expect("it is free");
    assert_eq!(guard.resource().name(), Some("jobs/nightly"));
    let error = lock.try_lock().expect_err("it is held");
    assert_eq!(error.resource().name(), Some("jobs/nightly"));
    assert_eq!(
        error.to_string(),
        "cannot take lock jobs/nightly: it is held"
    );
    assert_eq!(
        format!("{guard:?}"),
        "LockGuard { name: \"jobs/nightly\", .. }"
    );
}
