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
    /// Whether it has not returned when the kernel is called, and so is on the way from the lock to the kernel.
    pub(crate) is_open: bool,
}

/// The functions, in the order of their first call, with each accessor, closure and `Deref`. Has gdb step through
/// a program that is not optimised.
pub(crate) fn before_the_kernel() -> Result<Vec<Function>, Failure> {
    let script = step::root().join("xtask/src/structure/calls.py");
    let program = std::env::current_exe()
        .map_err(|error| Failure(format!("cannot find this program: {error}")))?;
    let mut gdb = Command::new("gdb");
    gdb.args(["-q", "-batch", "-x"]).arg(script).arg("--args");
    let output = step::output(gdb.arg(program).arg("free-lock"))?;
    let functions: Vec<_> = output.lines().filter_map(Function::of).collect();
    if functions.is_empty() {
        let end = output.lines().last().unwrap_or("it prints nothing");
        return Err(Failure(format!(
            "gdb saw no way from a free lock to the kernel ({end}): run this in the dev profile"
        )));
    }
    Ok(functions)
}

impl Function {
    /// The function in a line that the script has printed.
    fn of(line: &str) -> Option<Self> {
        let (state, rest) = line.split_once(' ')?;
        let is_open = match state {
            "open" => true,
            "left" => false,
            _ => return None,
        };
        let (file, name) = rest.split_once(' ')?;
        Some(Self {
            file: file.to_owned(),
            name: name.to_owned(),
            is_open,
        })
    }
}

/// How many files the functions are in.
pub(crate) fn files<'f>(functions: impl Iterator<Item = &'f Function>) -> usize {
    let files: BTreeSet<_> = functions.map(|function| &function.file).collect();
    files.len()
}

/// The program that gdb runs: takes a free lock that was taken before.
pub(crate) fn run() -> Outcome {
    let path = step::target().join("free.lock");
    let failed = |error| Failure(format!("the lock: {error}"));
    let lock = Lock::open(path).map_err(failed)?;
    // The first one asks whether others wait, and the second one reads the clock; the next ones need not.
    for _ in 0..WARM {
        drop(lock.lock().map_err(failed)?);
    }
    drop(take(&lock).map_err(failed)?);
    Ok(())
}

#[inline(never)]
fn take(lock: &Lock) -> lockfast::Result<LockGuard> {
    lock.lock()
}

/// The number of locks that are taken before. A lock that others may wait for looks at the clock after 16 of them.
const WARM: u32 = 4;
