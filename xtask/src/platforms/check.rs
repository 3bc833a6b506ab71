//! Types and lints for systems whose programs can't run here.

use super::toolchain::Toolchain;
use crate::step::{self, Outcome};

/// Systems for which the whole workspace is checked, with tests and benchmarks.
const WHOLE: [&str; 5] = [
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-gnu",
    "armv7-unknown-linux-gnueabihf",
    "i686-unknown-linux-gnu",
    "s390x-unknown-linux-gnu",
];

/// Systems for which the library and the command are checked: the tests need crates that do not support them.
const PRODUCTS: [&str; 6] = [
    "x86_64-unknown-freebsd",
    "aarch64-apple-darwin",
    "x86_64-unknown-netbsd",
    "x86_64-unknown-openbsd",
    "x86_64-unknown-illumos",
    "aarch64-linux-android",
];

/// Systems without file locks, for which only the library is checked.
const LIBRARY: [&str; 1] = ["wasm32-wasip1"];

/// Checks all systems, or only those for which nothing else is compiled.
pub(super) fn run(only_others: bool) -> Outcome {
    let toolchain = Toolchain::install()?;
    let library = ["--package", "lockfast", "--lib"];
    let products = [&library[..], &["--package", "lockfast-cli", "--bins"]].concat();
    let library = clippy(&toolchain, &LIBRARY, &library);
    let products = clippy(&toolchain, &PRODUCTS, &products);
    let others = step::both(library, products);
    if only_others {
        return others;
    }
    let whole = ["--workspace", "--exclude", "xtask", "--all-targets"];
    step::both(others, clippy(&toolchain, &WHOLE, &whole))
}

fn clippy(toolchain: &Toolchain, targets: &[&str], what: &[&str]) -> Outcome {
    let mut clippy = toolchain.clippy();
    clippy.args(what).args(["--all-features", "--keep-going"]);
    for target in targets {
        clippy.args(["--target", target]);
    }
    // There are no C compilers for these targets; nothing is linked, so none is needed.
    clippy.env("TARGET_CC", "true").env("TARGET_AR", "true");
    clippy.args(["--", "--deny", "warnings"]);
    // On OpenBSD and Android this lint complains about thread-locals that are `const` already.
    step::run(clippy.args(["--allow", "clippy::missing_const_for_thread_local"]))
}
