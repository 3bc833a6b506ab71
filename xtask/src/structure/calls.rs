//! The functions between the call of a free lock and the kernel.

use std::collections::BTreeSet;
use std::process::Command;

use lockfast::{Lock, LockGuard};

use crate::step::{self, Failure, Outcome};

/// A function of the library, and the file that it is in.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) file: String,
    pub(crate) name: String,
}

/// The functions, in the order of their first call. Has gdb step through a program that is not optimised.
pub(crate) fn before_the_kernel() -> Result<Vec<Function>, Failure> {
    let script = step::root().join("xtask/src/structure/calls.py");
    let program = std::env::current_exe()
        .map_err(|error| Failure(format!("cannot find this program: {error}")))?;
    let mut gdb = Command::new("gdb");
    gdb.args(["-q", "-batch", "-x"]).arg(script).arg("--args");
    let output = step::output(gdb.arg(program).arg("free-lock"))?;
    let passed = output
        .lines()
        .filter_map(|line| line.strip_prefix("passed "));
    let functions: Vec<_> = passed
        .filter_map(|line| line.split_once(' '))
        .map(|(file, name)| Function {
            file: file.to_owned(),
            name: name.to_owned(),
        })
        .collect();
    if functions.is_empty() {
        return Err(Failure(
            "gdb saw no function of the library: run this in the dev profile".to_owned(),
        ));
    }
    Ok(functions)
}

/// How many files the functions are in.
pub(crate) fn files(functions: &[Function]) -> usize {
    let files: BTreeSet<_> = functions.iter().map(|function| &function.file).collect();
    files.len()
}

/// The program that gdb runs: takes a free lock that was taken before.
pub(crate) fn run() -> Outcome {
    let path = step::target().join("free.lock");
    let failed = |error| Failure(format!("the lock: {error}"));
    let lock = Lock::open(path).map_err(failed)?;
    drop(lock.lock().map_err(failed)?);
    drop(take(&lock).map_err(failed)?);
    Ok(())
}

#[inline(never)]
fn take(lock: &Lock) -> lockfast::Result<LockGuard> {
    lock.lock()
}
