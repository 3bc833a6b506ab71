//! The URL of a cluster: `etcd://host:port,host:port/prefix?ttl=15s`.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use lockfast::engine::{Cause, Operation};
use lockfast::{Error, ErrorKind, Resource, Result};
use lockfast_lease::{Secret, options};

const DEFAULT_PORT: u16 = 2379;
const DEFAULT_PREFIX: &str = "lockfast";

/// Where systems keep the certificates that they trust, if the URL does not name any.
const TRUSTED: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The servers of a cluster, and how to use them.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// The URL without password and options, for messages.
    pub(crate) shown: String,
    /// The URL of each server, as gRPC wants it.
    pub(crate) servers: Vec<String>,
    /// The first part of each key.
    pub(crate) prefix: String,
    pub(crate) ttl: Duration,
    /// The time to connect, and to make sure that a lock is released.
    pub(crate) timeout: Duration,
    pub(crate) login: Option<Login>,
    pub(crate) tls: Option<Tls>,
}

#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

/// Certificates, in PEM.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) trusted: Vec<u8>,
    /// The certificate of this client, and its key.
    pub(crate) own: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Options, as they were written.
#[derive(Default)]
struct Options {
    ttl: Option<Duration>,
    timeout: Option<Duration>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Address {
    /// Reads a URL, and the files that it names.
    ///
    /// # Errors
    ///
    /// If it has a part that is not understood, or if a file can't be read.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let shown = options::shown(url);
        let wrong = |text: String| invalid(&shown, text);
        let (is_tls, rest) = match url.split_once("://") {
            Some(("etcd", rest)) => (false, rest),
            Some(("etcds", rest)) => (true, rest),
            _ => return Err(wrong("it must begin with etcd:// or etcds://".to_owned())),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        if options::has_password(url) {
            let variable = options::PASSWORD;
            return Err(wrong(format!(
                "a URL is no place for a password: put it into {variable}, or name a file with ?password-file="
            )));
        }
        let mut options = Options::parse(query).map_err(&wrong)?;
        options.user = options.user.or(user.map(str::to_owned));
        let scheme = if is_tls { "https" } else { "http" };
        let servers = hosts
            .split(',')
            .map(|host| server(scheme, host))
            .collect::<std::result::Result<_, _>>()
            .map_err(&wrong)?;
        let ttl = options.ttl.unwrap_or(options::DEFAULT_TTL);
        if ttl.subsec_nanos() != 0 || ttl < Duration::from_secs(2) {
            let text = "ttl must be whole seconds, and at least 2: etcd counts in seconds";
            return Err(wrong(text.to_owned()));
        }
        let prefix = path.trim_end_matches('/');
        let prefix = if prefix.is_empty() {
            DEFAULT_PREFIX
        } else {
            prefix
        };
        Ok(Self {
            servers,
            prefix: prefix.to_owned(),
            ttl,
            timeout: options.timeout.unwrap_or(options::DEFAULT_TIMEOUT),
            login: options.login().map_err(&wrong)?,
            tls: options.tls(is_tls).map_err(&wrong)?,
            shown,
        })
    }
}

impl Options {
    fn parse(query: &str) -> std::result::Result<Self, String> {
        let mut options = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let time = || {
                let text = format!("{name}={value} is no time: write 15s or 500ms");
                options::duration(&value).ok_or(text)
            };
            let path = || Some(PathBuf::from(&*value));
            match &*name {
                "ttl" => options.ttl = Some(time()?),
                "timeout" => options.timeout = Some(time()?),
                "user" => options.user = Some(value.into_owned()),
                "password-file" => options.password_file = path(),
                "ca" => options.ca = path(),
                "cert" => options.cert = path(),
                "key" => options.key = path(),
                _ => {
                    let known = "ttl, timeout, user, password-file, ca, cert and key";
                    return Err(format!("unknown option {name}; there are {known}"));
                }
            }
        }
        Ok(options)
    }

    fn login(&self) -> std::result::Result<Option<Login>, String> {
        let Some(user) = &self.user else {
            return match self.password_file {
                Some(_) => Err("password-file needs a user".to_owned()),
                None => Ok(None),
            };
        };
        let password = match &self.password_file {
            Some(path) => Secret::from_file(path).map_err(|error| unreadable(path, &error))?,
            None => Secret::from_env(options::PASSWORD).ok_or_else(|| {
                let variable = options::PASSWORD;
                format!("user {user} has no password: set {variable}, or name a file with ?password-file=")
            })?,
        };
        let user = user.clone();
        Ok(Some(Login { user, password }))
    }

    fn tls(&self, is_tls: bool) -> std::result::Result<Option<Tls>, String> {
        if !is_tls {
            let given = [&self.ca, &self.cert, &self.key];
            if given.iter().any(|path| path.is_some()) {
                return Err("ca, cert and key need etcds://".to_owned());
            }
            return Ok(None);
        }
        let read = |path: &Path| fs::read(path).map_err(|error| unreadable(path, &error));
        let own = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((read(cert)?, read(key)?)),
            (None, None) => None,
            _ => return Err("cert and key are needed together".to_owned()),
        };
        let trusted = match &self.ca {
            Some(path) => read(path)?,
            None => TRUSTED.iter().find_map(|path| fs::read(path).ok()).ok_or(
                "this system has no certificates at the usual places: name yours with ?ca=",
            )?,
        };
        Ok(Some(Tls { trusted, own }))
    }
}

/// The URL of a server, with the port.
fn server(scheme: &str, host: &str) -> std::result::Result<String, String> {
    let has_port = match host.rsplit_once(':') {
        Some((_, port)) => !port.ends_with(']'),
        None => false,
    };
    let text = if has_port {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{DEFAULT_PORT}")
    };
    // As the transport reads it.
    let has_host = |uri: &Uri| uri.host().is_some_and(|host| !host.is_empty());
    let is_valid = |uri: Uri| has_host(&uri) && uri.port_u16().is_some();
    if text.parse().is_ok_and(is_valid) {
        Ok(text)
    } else {
        Err(format!(
            "{host:?} is no server: write etcd://host:port,host:port/prefix"
        ))
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
}

fn invalid(shown: &str, text: String) -> Error {
    let cause = Cause::Engine(ErrorKind::InvalidOption, text.into());
    Error::new(Resource::named(shown), Operation::UseDirectory, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Address {
        Address::parse(url).expect("a good URL")
    }

    #[test]
    fn reads_servers_prefix_and_options() {
        let address = parsed("etcd://a,b:12,[::1],[::1]:9/jobs/x/?ttl=7s&timeout=250ms");
        let servers = [
            "http://a:2379",
            "http://b:12",
            "http://[::1]:2379",
            "http://[::1]:9",
        ];
        assert_eq!(address.servers, servers);
        assert_eq!(address.prefix, "jobs/x");
        assert_eq!(address.ttl, Duration::from_secs(7));
        assert_eq!(address.timeout, Duration::from_millis(250));
        assert!(address.login.is_none() && address.tls.is_none());
        let plain = parsed("etcd://a");
        assert_eq!(
            (&*plain.prefix, plain.ttl),
            ("lockfast", options::DEFAULT_TTL)
        );
    }

    #[test]
    fn reads_a_password_from_a_file_and_never_prints_it() {
        let path = std::env::temp_dir().join(format!("lockfast-etcd-{}", std::process::id()));
        fs::write(&path, "hunter2\n").expect("written");
        let address = parsed(&format!("etcd://me@a?password-file={}", path.display()));
        fs::remove_file(&path).expect("removed");
        assert!(!format!("{address:?}").contains("hunter2"));
        let login = address.login.expect("a user");
        assert_eq!((&*login.user, login.password.expose()), ("me", "hunter2"));
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        let cases = [
            ("redis://a", "must begin with etcd://"),
            ("etcd://a?tll=5s", "unknown option tll"),
            ("etcd://a?ttl=soon", "ttl=soon is no time"),
            ("etcd://a?ttl=1s", "at least 2"),
            ("etcd://a?ttl=2500ms", "whole seconds"),
            ("etcd://", "is no server"),
            ("etcd://a,,b", "is no server"),
            ("etcd://a:x", "is no server"),
            ("etcd://:1", "is no server"),
            ("etcd://a:65536", "is no server"),
            ("etcd://[::1", "is no server"),
            ("etcd://me:hunter2@a", "no place for a password"),
            ("etcd://me:hunt/er2@a", "no place for a password"),
            ("etcd://me:hunt?er2@a", "no place for a password"),
            ("etcd://me:hunt#er2@a", "no place for a password"),
            ("etcd://a?ca=/c.pem", "need etcds://"),
            ("etcds://a?cert=/c.pem", "needed together"),
            ("etcds://a?ca=/none/c.pem", "cannot read /none/c.pem"),
            ("etcd://a?password-file=/x", "needs a user"),
            ("etcd://me@a?password-file=/none/x", "cannot read /none/x"),
        ];
        for (url, expected) in cases {
            let error = Address::parse(url).expect_err(url);
            assert_eq!(error.kind(), ErrorKind::InvalidOption);
            let text = error.to_string();
            assert!(text.contains(expected), "{url}: {text}");
            assert!(!text.contains("hunt") && !text.contains("er2"), "{text}");
        }
    }
}
