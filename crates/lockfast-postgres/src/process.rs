//! This process, as other users of the server see it.

use std::sync::OnceLock;

/// The longest `application_name` that the server keeps.
const LONGEST: usize = 63;

/// A process that holds or waits, read from its `application_name`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown<'a> {
    pub(crate) pid: u32,
    pub(crate) host: &'a str,
    pub(crate) program: &'a str,
    /// The fencing token of its permits.
    pub(crate) token: Option<u64>,
}

/// Returns the `application_name` of a session for that lock: `lockfast PID@HOST PROGRAM NAME`.
///
/// The name is the last, because it may be cut, and is in the table as a whole.
pub(crate) fn application_name(name: &str) -> String {
    let (begin, end) = parts(name);
    let mut shown = begin + &end;
    shown.truncate(LONGEST);
    shown
}

/// Returns the `application_name` of a session with permits, `lockfast PID#TOKEN@HOST PROGRAM NAME`: the parts before
/// and after the token. The server puts them together, and cuts the end, because it counts the token.
pub(crate) fn around_token(name: &str) -> (String, String) {
    let (begin, end) = parts(name);
    (begin + "#", end)
}

fn parts(name: &str) -> (String, String) {
    let end = format!("@{} {} {name}", host(), program());
    let end = end.replace(|c: char| !(' '..='~').contains(&c), "?");
    (format!("lockfast {}", std::process::id()), end)
}

/// Reads an `application_name` of this crate.
pub(crate) fn read(application_name: &str) -> Option<Shown<'_>> {
    let mut words = application_name.splitn(4, ' ');
    if words.next() != Some("lockfast") {
        return None;
    }
    let (pid, host) = words.next()?.split_once('@')?;
    let program = words.next()?;
    let (pid, token) = match pid.split_once('#') {
        Some((pid, token)) => (pid, Some(token.parse().ok()?)),
        None => (pid, None),
    };
    Some(Shown {
        pid: pid.parse().ok()?,
        host,
        program,
        token,
    })
}

/// The name of this machine, up to the first dot.
pub(crate) fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(|| {
        let full = whoami::hostname().unwrap_or_else(|_| "localhost".to_owned());
        word(&full, ".", 20)
    })
}

fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = std::env::current_exe().ok();
        let name = path.as_deref().and_then(|path| path.file_name());
        word(&name.unwrap_or_default().to_string_lossy(), "\0", 15)
    })
}

/// Makes a word of at most that many bytes, from what is before that end.
fn word(text: &str, end: &str, longest: usize) -> String {
    let first = text.split(end).next().unwrap_or_default();
    let mut word = first.replace(|c: char| !('!'..='~').contains(&c) || c == '@', "_");
    word.truncate(longest);
    if word.is_empty() {
        "-".to_owned()
    } else {
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_finds_itself_in_its_application_name() {
        for name in ["nightly", "jobs/nightly report", "Ärger", &"x".repeat(100)] {
            let shown = application_name(name);
            assert!(shown.len() <= LONGEST, "{shown}");
            let (begin, end) = around_token(name);
            for (shown, token) in [(shown, None), (format!("{begin}4711{end}"), Some(4711))] {
                assert!(shown.is_ascii(), "{shown}");
                let read = read(&shown).expect("written here");
                let this = Shown {
                    pid: std::process::id(),
                    host: host(),
                    program: program(),
                    token,
                };
                assert_eq!(read, this);
            }
        }
    }

    #[test]
    fn other_application_names_say_nothing() {
        for name in [
            "",
            "psql",
            "lockfast",
            "lockfast x@y z",
            "lockfast 12 z",
            "lockfast 12#x@y z",
        ] {
            assert_eq!(read(name), None, "{name}");
        }
    }
}
