//! Which crates the library is built from, as its documentation promises.

use std::process::Command;

#[test]
fn without_features_the_library_depends_on_the_system_interface_alone() {
    let interfaces: &[&str] = if cfg!(windows) {
        &["lockfast", "windows-link", "windows-sys"]
    } else {
        &["libc", "lockfast"]
    };
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--offline", "--locked", "--package", "lockfast"]);
    tree.args(["--edges", "normal,build", "--prefix", "none"]);
    let told = tree
        .args(["--format", "{lib}"])
        .output()
        .expect("Cargo starts");
    assert!(told.status.success(), "{told:?}");
    let told = String::from_utf8(told.stdout).expect("plain names");
    let mut names: Vec<_> = told.lines().map(|name| name.replace('_', "-")).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, interfaces);
}
