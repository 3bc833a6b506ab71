//! Promise 10 on a platform that has no locks: an error that says so, and nothing done.
//!
//! That side is compiled on any platform with `--cfg lockfast_unsupported`, and only then is there
//! something to test.
#![cfg(lockfast_unsupported)]

use lockfast::Lock;

#[test]
fn opening_tells_that_there_are_no_locks() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("missing/a.lock");
    for options in [Lock::options(), Lock::options().create_dirs(false)] {
        let error = options.open(&path).expect_err("there are no locks");
        assert!(error.is_unsupported(), "{error}");
        assert_eq!(error.path(), path);
        let text = error.to_string();
        assert!(
            text.contains(path.to_str().expect("a plain path")),
            "{text}"
        );
        assert_eq!(
            std::io::Error::from(error).kind(),
            std::io::ErrorKind::Unsupported
        );
    }
    assert!(!path.parent().expect("it has one").exists());
}

#[test]
fn a_file_that_is_open_is_refused_too() {
    let file = tempfile::tempfile().expect("a file");
    let error = Lock::from_file(file).expect_err("there are no locks");
    assert!(error.is_unsupported(), "{error}");
}
