//! The URL of a space.

use std::path::PathBuf;

use lockfast::engine::{Cause, Operation};
use lockfast::{Error, ErrorKind, Resource, Result};
use lockfast_lease::options::shown;

/// The engine that a URL chooses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    File,
    Etcd,
    Postgres,
}

impl Scheme {
    pub(crate) fn of(url: &str) -> Result<Self> {
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("file") => Ok(Self::File),
            Some("etcd" | "etcds") => Ok(Self::Etcd),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            _ => Err(refused(
                url,
                ErrorKind::InvalidOption,
                "a space is file:///dir, etcd://host:2379/prefix, etcds://host:2379/prefix or \
                 postgres://host/database",
            )),
        }
    }
}

/// The parts of a URL of a directory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileUrl {
    pub(crate) path: PathBuf,
    pub(crate) fifo: bool,
}

impl FileUrl {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let invalid = |why: &str| refused(url, ErrorKind::InvalidOption, why);
        let rest = url.strip_prefix("file://").unwrap_or_default();
        let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
        if path.contains('#') {
            return Err(invalid("write `%23` for a `#` in the path"));
        }
        let Some(path) = decoded(path) else {
            return Err(invalid(
                "its path has a `%` that does not begin a code such as `%20`: write `%25` for it",
            ));
        };
        // `file:///C:/dir` on Windows.
        let path = match path.strip_prefix('/') {
            Some(drive) if cfg!(windows) && drive.get(1..2) == Some(":") => drive,
            _ => &path,
        };
        let path = PathBuf::from(path);
        if !path.is_absolute() {
            return Err(invalid(
                "a directory is named by three slashes and its path from the root, as in file:///var/lib/locks",
            ));
        }
        let mut this = Self { path, fifo: false };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option {
                "fifo=yes" => this.fifo = true,
                "fifo=no" => this.fifo = false,
                other => {
                    let name = other.split('=').next().unwrap_or(other);
                    return Err(invalid(&format!(
                        "a directory has no option `{name}` of that value; it has `fifo=yes` and `fifo=no`"
                    )));
                }
            }
        }
        Ok(this)
    }
}

/// The error of a space that can't be opened.
pub(crate) fn refused(url: &str, kind: ErrorKind, why: &str) -> Error {
    let resource = Resource::named(shown(url));
    Error::new(
        resource,
        Operation::OpenSpace,
        Cause::Engine(kind, why.into()),
    )
}

/// Replaces the codes of bytes, such as `%20`; `None` if one is not whole or the result is not text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let code = part.get(..2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn reads_directories() {
        let path = |url| FileUrl::parse(url).map(|it| (it.path.display().to_string(), it.fifo));
        let cases = [
            ("file:///var/lib/locks", "/var/lib/locks", false),
            ("file:///a%20b/%25", "/a b/%", false),
            ("file:///a?fifo=yes", "/a", true),
            ("file:///a?fifo=no", "/a", false),
        ];
        for (url, expected, fifo) in cases {
            assert_eq!(path(url).expect("a directory"), (expected.to_owned(), fifo));
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let cases = [
            ("file://locks", "three slashes"),
            ("file://host/dir", "three slashes"),
            ("file://", "three slashes"),
            ("file:///a?ttl=5s", "no option `ttl`"),
            ("file:///a?fifo=perhaps", "no option `fifo` of that value"),
            ("file:///a%2", "%25"),
            ("file:///a%zz", "%25"),
            ("file:///a%00", "%25"),
            ("file:///a#b", "%23"),
        ];
        for (url, part) in cases {
            let error = FileUrl::parse(url).expect_err(url);
            assert_eq!(error.kind(), ErrorKind::InvalidOption);
            assert!(error.to_string().contains(part), "{error}");
        }
        for url in ["", "/var/lib/locks", "redis://h", "etcd:h", "http://h"] {
            let error = Scheme::of(url).expect_err(url);
            assert!(error.to_string().contains("etcd://host:2379"), "{error}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let error = Scheme::of("redis://me:hunter2@h/x?password=hunter2").expect_err("unknown");
        assert!(!format!("{error} {error:#?}").contains("hunter2"));
        assert!(error.to_string().contains("redis://me@h/x"), "{error}");
    }
}
