//! The options of a URL that all engines have.

use std::time::Duration;

/// The name of the environment variable with the password.
pub const PASSWORD: &str = "LOCKFAST_PASSWORD";

/// The lease if the URL does not name one.
pub const DEFAULT_TTL: Duration = Duration::from_secs(15);

/// The time to connect, if the URL does not name one.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest span of time in a URL. An instant that is so much later is one that every clock has.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Reads a span of time: a number with `ms`, `s`, `m` or `h`. A bare number is in seconds. `None` for more than a
/// hundred years too.
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
    let time = Duration::try_from_secs_f64(number * seconds).ok();
    time.filter(|time| *time <= LONGEST)
}

/// Returns the URL without its password and without its options, for messages.
///
/// A password may have a sign that ends it in a URL. Then nothing after the user is shown.
#[must_use]
pub fn shown(url: &str) -> String {
    let (scheme, authority, rest) = parts(url);
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (Some(user), hosts),
        None => (None, authority),
    };
    let name = |user: &str| user.split(':').next().unwrap_or_default().to_owned();
    if has_password(url) && rest.contains('@') {
        return format!("{scheme}{}", name(authority));
    }
    let path = rest.split(['?', '#']).next().unwrap_or(rest);
    let user = user.map(|user| name(user) + "@").unwrap_or_default();
    format!("{scheme}{user}{hosts}{path}")
}

/// Whether the URL has a password, or what may be one that is cut at a sign.
#[must_use]
pub fn has_password(url: &str) -> bool {
    let (_, authority, rest) = parts(url);
    let is_port =
        |text: &str| text.ends_with(']') || text.bytes().all(|byte| byte.is_ascii_digit());
    let has_no_port = |host: &str| {
        host.rsplit_once(':')
            .is_some_and(|(_, port)| !is_port(port))
    };
    match authority.rsplit_once('@') {
        Some((user, _)) => user.contains(':'),
        None => rest.contains('@') && authority.split(',').any(has_no_port),
    }
}

/// The scheme with its colon and slashes, users and hosts, and what follows.
fn parts(url: &str) -> (&str, &str, &str) {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    (scheme, authority, rest)
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
            // No clock has that much room.
            ("9000000000000000000", None),
            ("36500000000h", None),
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
            // Passwords with signs that would have to be encoded.
            ("etcd://me:se/cret@h:1/p", "etcd://me"),
            ("etcd://me:se?cret@h:1/p", "etcd://me"),
            ("etcd://me:se#cret@h:1/p", "etcd://me"),
            ("etcd://me:se@cr/et@h:1/p", "etcd://me"),
            ("me:secret@h/db", "me@h/db"),
            ("me:se/cret@h/db", "me"),
            // An `@` that is part of a name.
            ("etcd://h:2379/jobs@home", "etcd://h:2379/jobs@home"),
            ("etcd://[::1]:2379,g/a@b", "etcd://[::1]:2379,g/a@b"),
            ("etcd://[::1]/a@b", "etcd://[::1]/a@b"),
            ("file:///home/me@work/a:b", "file:///home/me@work/a:b"),
            ("/home/me@work/a", "/home/me@work/a"),
        ];
        for (url, expected) in cases {
            assert_eq!(shown(url), expected, "{url}");
            let has_one = url.contains("se/") || url.contains("se?") || url.contains(":se");
            assert_eq!(has_password(url), has_one, "{url}");
        }
    }
}
