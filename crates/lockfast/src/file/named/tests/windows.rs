//! Trust in directories, by their access control lists.

use super::*;

#[test]
fn a_file_and_a_directory_open_to_others_are_refused() {
    let base = tempfile::tempdir().expect("a directory");
    let refused = |path: PathBuf, because: &str| {
        let error = Directory::Own(path)
            .make_safe()
            .expect_err("it is not safe");
        assert!(error.is_invalid_path(), "{error}");
        assert!(error.to_string().contains(because), "{error}");
    };
    let path = base.path().join("open");
    place::create_open(&path).expect("created");
    refused(path, "others can enter it");
    let path = base.path().join("file");
    std::fs::write(&path, "planted").expect("written");
    refused(path, "something else than a directory");
    let path = base.path().join("lockfast");
    for _ in 0..2 {
        Directory::Own(path.clone())
            .make_safe()
            .expect("made, and found");
    }
}
