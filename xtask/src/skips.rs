//! Skipped tests, counted over all commands that one task runs.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::step::{self, Failure};

pub(crate) use lockfast_testing::LOG;

/// The path of the log. A task that another one started writes into the log of that one.
pub(crate) fn log() -> PathBuf {
    inherited().unwrap_or_else(|| step::target().join("skipped-tests.txt"))
}

/// Empties the log.
pub(crate) fn begin() -> step::Outcome {
    if inherited().is_some() {
        return Ok(());
    }
    match fs::remove_file(log()) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(step::failed("remove", &log(), &error))
        }
        _ => Ok(()),
    }
}

/// Prints the log, and how many tests are in it.
pub(crate) fn report() -> step::Outcome {
    if inherited().is_some() {
        return Ok(());
    }
    let text = match fs::read_to_string(log()) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(step::failed("read", &log(), &error)),
    };
    let skipped = lines(&text)?;
    match skipped.len() {
        0 => println!("\nNo test was skipped."),
        1 => println!("\n1 test was skipped:"),
        number => println!("\n{number} tests were skipped:"),
    }
    for (test, reason) in skipped {
        println!("  {test}: {reason}");
    }
    Ok(())
}

/// Logs that something is skipped. In CI it fails, unless `skipped-in-ci.txt` names it.
pub(crate) fn skip(what: &str, reason: &str) -> step::Outcome {
    lockfast_testing::try_skip_into(Some(&log()), what, reason).map_err(Failure)
}

/// Returns each test once, with its reason.
fn lines(text: &str) -> Result<BTreeSet<(&str, &str)>, Failure> {
    text.lines()
        .map(|line| {
            line.split_once('\t').ok_or_else(|| {
                Failure(format!(
                    "{} has a line without a tab: {line}",
                    log().display()
                ))
            })
        })
        .collect()
}

fn inherited() -> Option<PathBuf> {
    std::env::var_os(LOG).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_is_skipped_twice_counts_once() {
        let found = lines("a::b\tno c\nd::e\tno f\na::b\tno c\n").expect("tabs");
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("a::b", "no c"), ("d::e", "no f")]
        );
        assert!(lines("a::b no tab").is_err());
    }
}
