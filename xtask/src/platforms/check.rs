//! Types and lints on systems that nothing can be run on here.

use super::toolchain::Toolchain;
use crate::step::{self, Outcome};

/// Systems for which all of the workspace is compiled, tests and benchmarks too.
const WHOLE: [&str; 5] = [
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-gnu",
    "armv7-unknown-linux-gnueabihf",
    "i686-unknown-linux-gnu",
    "s390x-unknown-linux-gnu",
];

/// Systems for which the library and the command are: what the tests are made of is not for them.
const PRODUCTS: [&str; 6] = [
    "x86_64-unknown-freebsd",
    "aarch64-apple-darwin",
    "x86_64-unknown-netbsd",
    "x86_64-unknown-openbsd",
    "x86_64-unknown-illumos",
    "aarch64-linux-android",
];

/// Systems without locks of files, for which there is the library alone.
const LIBRARY: [&str; 1] = ["wasm32-wasip1"];

/// All of them, or those of which nothing is compiled otherwise.
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
    // Nothing is linked, so of C nothing needs to be compiled, for which there is no compiler.
    clippy.env("TARGET_CC", "true").env("TARGET_AR", "true");
    clippy.args(["--", "--deny", "warnings"]);
    // Where the compiler makes them by hand (OpenBSD, Android) it is told of all, `const` or not.
    step::run(clippy.args(["--allow", "clippy::missing_const_for_thread_local"]))
}
