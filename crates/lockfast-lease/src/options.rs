//! The options of a URL that all engines have.

use std::time::Duration;

/// The name of the environment variable with the password.
pub const PASSWORD: &str = "LOCKFAST_PASSWORD";

/// The lease if the URL does not name one.
pub const DEFAULT_TTL: Duration = Duration::from_secs(15);

/// The time to connect, if the URL does not name one.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads a span of time: a number with `ms`, `s`, `m` or `h`. A bare number is in seconds.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let number: f64 = number.parse().ok()?;
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * seconds).ok()
}

/// Returns the URL without its password and without its options, for messages.
#[must_use]
pub fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (user.split(':').next().unwrap_or(user), hosts),
        None => return format!("{scheme}://{authority}{path}"),
    };
    format!("{scheme}://{user}@{hosts}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_spans_of_time() {
        let cases = [
            ("15s", Some(15_000)),
            ("15", Some(15_000)),
            ("250ms", Some(250)),
            ("1.5s", Some(1_500)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1d", None),
            ("1 s", None),
        ];
        for (text, millis) in cases {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn shows_no_password() {
        let cases = [
            ("etcd://h:1,g:2/p?ttl=5s&x=secret", "etcd://h:1,g:2/p"),
            ("etcd://me:secret@h:1/p", "etcd://me@h:1/p"),
            ("etcd://me:se@cret@h:1", "etcd://me@h:1"),
            ("postgres://me@h/db", "postgres://me@h/db"),
            ("nonsense", "nonsense"),
        ];
        for (url, expected) in cases {
            assert_eq!(shown(url), expected);
        }
    }
}
