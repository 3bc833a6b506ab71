//! Texts without the parts that differ from run to run: pids, times, users, the directory.

use std::path::Path;

/// Directory in which the examples run.
const DIRECTORY: &str = "/srv/jobs";

/// Units of printed times.
const UNITS: [&str; 4] = ["µs", "ms", "s", "seconds"];

/// Normalizes a line of output: one space for any number of them, `N` for a number of several
/// digits, `T` for a time.
pub(crate) fn normal(line: &str, directory: &Path) -> String {
    let line = without_escapes(line).replace(&*directory.to_string_lossy(), DIRECTORY);
    // The shell reports a killed command differently in a script and on a terminal.
    if line.contains(" Killed ") {
        return "Killed".to_owned();
    }
    let line = match line.split_once(": ") {
        // The directory's file system and mount point.
        Some((path, system)) if path == DIRECTORY && system.ends_with(')') => {
            format!("{path}: FILE SYSTEM")
        }
        _ => line,
    };
    let line = line.replace(&format!(" {} ", user()), " root ");
    let mut normal: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        match normal.last_mut() {
            // A number, and its unit.
            Some(number) if is_number(number) && UNITS.contains(&word.trim_matches([',', ')'])) => {
                "T".clone_into(number);
            }
            _ => normal.push(number_or_time(word)),
        }
    }
    normal.join(" ")
}

/// Whether it is a number of one digit, or the placeholder for others.
fn is_number(word: &str) -> bool {
    word == "N" || matches!(word.as_bytes(), [digit] if digit.is_ascii_digit())
}

fn user() -> String {
    let id = std::process::Command::new("id").arg("-un").output();
    let name = id.map(|id| String::from_utf8_lossy(&id.stdout).trim().to_owned());
    name.unwrap_or_default()
}

/// Normalizes the numbers of a word.
fn number_or_time(word: &str) -> String {
    let mut normal = String::new();
    let mut rest = word;
    while let Some(start) = rest.find(|char: char| char.is_ascii_digit()) {
        let (before, from_digits) = rest.split_at(start);
        let is_part = |char: char| char.is_ascii_digit() || char == '.';
        let end = from_digits.find(|char| !is_part(char));
        let (digits, after) = from_digits.split_at(end.unwrap_or(from_digits.len()));
        let unit = UNITS.iter().find(|unit| {
            let after = after.strip_prefix(**unit);
            after.is_some_and(|after| !after.starts_with(char::is_alphanumeric))
        });
        normal.push_str(before);
        match unit {
            Some(unit) => {
                normal.push('T');
                rest = &after[unit.len()..];
            }
            None if digits.len() > 1 => {
                normal.push('N');
                rest = after;
            }
            None => {
                normal.push_str(digits);
                rest = after;
            }
        }
    }
    normal.push_str(rest);
    normal
}

/// Removes the colour codes from a text.
fn without_escapes(line: &str) -> String {
    let mut plain = String::new();
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match char {
            '\u{1b}' => {
                chars.find(char::is_ascii_alphabetic);
            }
            '\r' => {}
            _ => plain.push(char),
        }
    }
    plain
}
