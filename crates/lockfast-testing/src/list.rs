//! The list of the tests that CI can't run.

use std::fmt::Write;

/// Each line names a test, the place where it may be skipped, and the reason.
const LIST: &str = include_str!("../skipped-in-ci.txt");

/// Whether the list names this test for the place where it runs.
pub(crate) fn has(test: &str) -> bool {
    names(LIST, test, &places())
}

pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

fn names(list: &str, test: &str, places: &str) -> bool {
    list.lines().any(|line| {
        let mut words = line.split_whitespace();
        let (name, place) = (words.next(), words.next());
        let is_named = name.is_some_and(|name| match name.strip_suffix('*') {
            Some(begin) => test.starts_with(begin),
            None => test == name,
        });
        is_named && place.is_some_and(|place| is_at(place, places))
    })
}

fn is_at(place: &str, places: &str) -> bool {
    place == "anywhere" || places.split(' ').any(|word| word == place)
}

/// The words that describe where this runs.
fn places() -> String {
    let mut words = std::env::consts::OS.to_owned();
    if cfg!(target_env = "musl") {
        words.push_str(" musl");
    }
    for (variable, word) in [
        ("LOCKFAST_TEST_WINE", "wine"),
        ("LOCKFAST_TEST_RUNNER", "emulator"),
    ] {
        if std::env::var_os(variable).is_some() {
            let _ = write!(words, " {word}");
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_where_a_test_may_be_skipped() {
        let list = "# a comment\na::b wine it has none\na::c anywhere no reason\nd::* musl why\n";
        assert!(names(list, "a::b", "windows wine"));
        assert!(!names(list, "a::b", "linux"));
        assert!(names(list, "a::c", "linux emulator"));
        assert!(!names(list, "a", "windows wine"));
        assert!(names(list, "d::e::f", "linux musl"));
        assert!(!names(list, "d::e::f", "linux"));
    }

    #[test]
    fn each_line_of_the_list_is_complete() {
        for line in LIST.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<_> = line.split_whitespace().collect();
            assert!(words.len() > 2, "{line}");
        }
    }
}
