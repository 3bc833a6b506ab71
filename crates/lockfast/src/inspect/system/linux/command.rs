//! The commands of lockfast, recognised by their command lines.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// Whether the process is `lockfast run` or `lockfast flock`.
///
/// Both wait for their child in a way of their own, and none of their threads releases a lock meanwhile.
pub(super) fn waits_for_its_child(pid: u32, command: &[OsString]) -> bool {
    options(pid, command).is_some()
}

/// Whether such a command has a time limit; `None` for any other process.
pub(super) fn has_limit(pid: u32, command: &[OsString]) -> Option<bool> {
    // Both have options that limit the wait, and `run` has options that limit the work.
    let is_limit = |word: &OsString| {
        let word = word.to_string_lossy();
        let short = word.starts_with('-') && !word.starts_with("--") && word.contains('w');
        short || word.starts_with("--time") || word.starts_with("--w")
    };
    let mut options = options(pid, command)?.iter();
    Some(
        options
            .by_ref()
            .take_while(|word| *word != "--")
            .any(is_limit),
    )
}

/// Returns the options of `lockfast run` or `lockfast flock`, if the process is one of these.
fn options(pid: u32, command: &[OsString]) -> Option<&[OsString]> {
    let name = |word: &OsString| Path::new(word).file_name().map(OsString::from);
    match (name(command.first()?)?.to_str()?, command.get(1)) {
        ("lockfast", Some(word)) if word == "run" || word == "flock" => command.get(2..),
        ("flock", _) => {
            // The usual `flock` has the same name. Lockfast's is a link, and shows as the program that the
            // link leads to.
            let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            (program.file_name()? == "lockfast").then(|| &command[1..])
        }
        _ => None,
    }
}
