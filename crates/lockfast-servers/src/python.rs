//! Programs in packages of Python.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns a file of a package that is installed in the tests' Python environment.
pub(crate) fn file_of_package(file: &str) -> Result<PathBuf, String> {
    let libraries = environment().join("lib");
    let versions = fs::read_dir(&libraries).into_iter().flatten();
    versions
        .filter_map(|version| Some(version.ok()?.path().join("site-packages").join(file)))
        .find(|path| path.exists())
        .ok_or_else(|| {
            format!(
                "{file} is not in {}; `cargo xtask setup` installs it",
                libraries.display()
            )
        })
}

/// The environment that `cargo xtask setup` makes.
fn environment() -> PathBuf {
    let interpreter = env::var_os("LOCKFAST_TEST_PYTHON").map(PathBuf::from);
    let named = interpreter
        .as_deref()
        .and_then(Path::parent)
        .and_then(Path::parent);
    match named {
        Some(environment) => environment.to_path_buf(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/venv"),
    }
}
