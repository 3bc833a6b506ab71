//! Compile errors of the attributes.
//!
//! The compiler is called directly: a build by Cargo in a directory of its own would compile the
//! library and its dependencies again.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Has the compiler check a crate that may use another one.
fn check(source: &Path, name: &str, uses: (&str, &Path), results: &Path) -> Command {
    let (dependency, file) = uses;
    let mut check = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    check
        .args(["--edition", "2024", "--emit", "metadata", "--crate-name"])
        .arg(name)
        .arg("--extern")
        .arg(format!("{dependency}={}", file.display()))
        // The attributes, which the library refers to.
        .arg("-L")
        .arg(folder())
        .arg("--out-dir")
        .arg(results)
        .arg(source)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    check
}

/// Returns the folder of this test, where Cargo puts all that it compiles.
fn folder() -> PathBuf {
    let own = std::env::current_exe().expect("this program");
    own.parent().expect("a folder").to_owned()
}

/// Returns the attributes, as compiled last.
fn attributes() -> PathBuf {
    let name = format!("{}lockfast_macros-", std::env::consts::DLL_PREFIX);
    let end = Some(OsStr::new(&std::env::consts::DLL_SUFFIX[1..]));
    fs::read_dir(folder())
        .expect("what Cargo has built")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension() == end)
        .filter(|path| {
            let file = path.file_name().unwrap_or_default();
            file.to_string_lossy().starts_with(&name)
        })
        .max_by_key(|path| fs::metadata(path).and_then(|it| it.modified()).ok())
        .expect("the compiled attributes")
}

/// Returns the errors without their number, which the compiler prints last.
fn errors(printed: &[u8]) -> String {
    let printed = String::from_utf8_lossy(printed);
    let (errors, _) = printed
        .split_once("error: aborting due to")
        .unwrap_or((&printed, ""));
    format!("{}\n", errors.trim_end())
}

#[test]
fn mistakes_are_explained() {
    let results = tempfile::tempdir().expect("a directory");
    // A library that has nothing but the attributes.
    let library = results.path().join("lockfast.rs");
    fs::write(&library, "pub use lockfast_macros::*;").expect("written");
    let uses = ("lockfast_macros", &*attributes());
    let built = check(&library, "lockfast", uses, results.path())
        .args(["--crate-type", "lib"])
        .output()
        .expect("the compiler");
    assert!(built.status.success(), "{built:?}");

    let library = results.path().join("liblockfast.rmeta");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refused");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("the programs") {
        let file = entry.expect("an entry").file_name();
        let source = Path::new("tests/refused").join(file);
        if source.extension() != Some(OsStr::new("rs")) {
            continue;
        }
        let mut check = check(&source, "program", ("lockfast", &library), results.path());
        let checked = check.output().expect("the compiler");
        assert!(!checked.status.success(), "{}", source.display());
        let shown = fs::read_to_string(source.with_extension("stderr")).expect("its errors");
        assert_eq!(errors(&checked.stderr), shown, "{}", source.display());
        count += 1;
    }
    assert_eq!(count, 6);
}
