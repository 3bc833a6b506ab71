//! The URL of a space of names on PostgreSQL.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lockfast_lease::{Secret, options};
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

use crate::tls::{Tls, Verify};

/// The longest lease: what `idle_session_timeout` can say, in milliseconds, leaves room for more.
const LONGEST_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// The shortest lease that leaves time for a heartbeat that is late.
const SHORTEST_TTL: Duration = Duration::from_secs(2);
const DEFAULT_PORT: u16 = 5432;

/// The options that a URL can have, for the error about another one.
const OPTIONS: &str =
    "ttl, timeout, namespace, fence, host, sslmode, sslrootcert, sslcert, sslkey, password-file";

/// A parsed URL.
#[derive(Clone)]
pub(crate) struct Address {
    /// The URL without a password, for messages.
    pub(crate) shown: String,
    pub(crate) config: Config,
    pub(crate) tls: Tls,
    /// The time after which the server frees the locks of a client that is not heard from.
    pub(crate) ttl: Duration,
    /// The limit of one exchange with the server that does not wait for a lock.
    pub(crate) timeout: Duration,
    pub(crate) namespace: String,
    /// Whether exclusive holds get a fencing token, at the price of one committed row.
    pub(crate) has_fence: bool,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.shown).finish()
    }
}

impl Address {
    /// Parses `postgres://user@host:port,host:port/database?option=value`, and finds the password.
    ///
    /// # Errors
    ///
    /// The reason, which never has the password in it.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let rest = (url.strip_prefix("postgres://"))
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or("a URL of PostgreSQL begins with postgres://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        if options::has_password(url) {
            return Err("a URL has no password, because others see it: \
                        set PGPASSWORD, or name a file by ?password-file="
                .to_owned());
        }
        let mut config = Config::new();
        if let Some(user) = user.filter(|user| !user.is_empty()) {
            config.user(decoded(user)?);
        } else if let Ok(user) = std::env::var("PGUSER") {
            config.user(user);
        }
        let chosen = Options::parse(query)?;
        set_hosts(&mut config, hosts, chosen.socket.as_deref())?;
        let database = decoded(database)?;
        if !database.is_empty() {
            config.dbname(database);
        }
        if let Some(password) = password(chosen.password_file.as_deref())? {
            config.password(password.expose());
        }
        if config.get_hosts().len() > 1 {
            // Locks of a standby are not those of its primary. A single host is checked by the session itself.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        config
            .application_name("lockfast")
            .connect_timeout(chosen.timeout)
            .tcp_user_timeout(chosen.ttl)
            .keepalives(true)
            // The kernel counts these in seconds, and refuses 0.
            .keepalives_idle((chosen.ttl / 2).max(Duration::from_secs(1)))
            .keepalives_interval((chosen.ttl / 5).max(Duration::from_secs(1)))
            .keepalives_retries(3);
        let tls = chosen.tls()?;
        config.ssl_mode(tls.mode());
        Ok(Self {
            shown: options::shown(url),
            config,
            tls,
            ttl: chosen.ttl,
            timeout: chosen.timeout,
            namespace: chosen.namespace,
            has_fence: chosen.has_fence,
        })
    }
}

/// The options after the question mark.
struct Options {
    ttl: Duration,
    timeout: Duration,
    namespace: String,
    has_fence: bool,
    socket: Option<PathBuf>,
    password_file: Option<PathBuf>,
    sslmode: String,
    root: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Options {
    fn parse(query: &str) -> Result<Self, String> {
        let mut chosen = Self {
            ttl: options::DEFAULT_TTL,
            timeout: options::DEFAULT_TIMEOUT,
            namespace: String::new(),
            has_fence: true,
            socket: None,
            password_file: None,
            sslmode: "prefer".to_owned(),
            root: None,
            certificate: None,
            key: None,
        };
        for (option, value) in form_urlencoded::parse(query.as_bytes()) {
            let path = || Some(PathBuf::from(value.as_ref()));
            match option.as_ref() {
                "ttl" => chosen.ttl = duration("ttl", &value)?,
                "timeout" => chosen.timeout = duration("timeout", &value)?,
                "namespace" => chosen.namespace = value.into_owned(),
                "fence" => chosen.has_fence = switch("fence", &value)?,
                "host" => chosen.socket = path(),
                "password-file" => chosen.password_file = path(),
                "sslmode" => chosen.sslmode = value.into_owned(),
                "sslrootcert" => chosen.root = path(),
                "sslcert" => chosen.certificate = path(),
                "sslkey" => chosen.key = path(),
                "password" => {
                    return Err("a URL has no password, because others see it: \
                                set PGPASSWORD, or name a file by ?password-file="
                        .to_owned());
                }
                other => {
                    return Err(format!("there is no option {other}; there are {OPTIONS}"));
                }
            }
        }
        if chosen.ttl < SHORTEST_TTL || chosen.ttl > LONGEST_TTL {
            return Err(format!("ttl is between 2s and 24h, not {:?}", chosen.ttl));
        }
        if chosen.timeout.is_zero() {
            return Err("timeout is more than 0".to_owned());
        }
        if chosen.namespace.contains('\0') || chosen.namespace.len() > 1024 {
            return Err("a namespace has at most 1024 bytes, and none of them is NUL".to_owned());
        }
        Ok(chosen)
    }

    fn tls(&self) -> Result<Tls, String> {
        let verify = match (self.sslmode.as_str(), &self.root) {
            ("disable", _) => return Tls::disabled(),
            ("prefer", _) => return Tls::preferred(),
            // As libpq does: who names the authority wants it checked.
            ("require", None) => Verify::Nothing,
            ("require" | "verify-ca", Some(root)) => Verify::Authority(root.clone()),
            ("verify-full", Some(root)) => Verify::AuthorityAndHost(root.clone()),
            ("verify-ca" | "verify-full", None) => {
                return Err("this sslmode needs the certificate of the authority: \
                            name its file by sslrootcert="
                    .to_owned());
            }
            (other, _) => {
                return Err(format!(
                    "there is no sslmode {other}; there are disable, prefer, require, verify-ca, verify-full"
                ));
            }
        };
        let identity = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_path())),
            (None, None) => None,
            _ => return Err("sslcert and sslkey belong together".to_owned()),
        };
        Tls::required(&verify, identity)
    }
}

/// Returns the host that the driver takes for the directory of a socket: one that begins with a slash, on Unix.
fn socket_host(directory: &Path) -> Result<&str, String> {
    if !cfg!(unix) {
        return Err("?host= is for sockets of Unix, which this system does not have".to_owned());
    }
    let host = directory.to_str().filter(|host| host.starts_with('/'));
    host.ok_or_else(|| "?host= is the absolute path of a socket's directory".to_owned())
}

fn set_hosts(config: &mut Config, hosts: &str, socket: Option<&Path>) -> Result<(), String> {
    match (hosts, socket) {
        ("", Some(directory)) => {
            config.host(socket_host(directory)?).port(DEFAULT_PORT);
            return Ok(());
        }
        // A port alone, for a socket with a number of its own.
        (port, Some(directory)) if port.starts_with(':') => {
            let port = port_number(&port[1..])?;
            config.host(socket_host(directory)?).port(port);
            return Ok(());
        }
        (_, Some(_)) => {
            return Err("?host= is for a socket's directory, without a host before it".to_owned());
        }
        ("", None) => return Err("the URL names no host".to_owned()),
        _ => {}
    }
    for host in hosts.split(',') {
        let (host, port) = match host.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or("an address in [ has no ]")?;
                (host, port.strip_prefix(':'))
            }
            None => match host.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (host, None),
            },
        };
        if host.is_empty() {
            return Err("a host has no name".to_owned());
        }
        config.host(decoded(host)?);
        config.port(port.map_or(Ok(DEFAULT_PORT), port_number)?);
    }
    Ok(())
}

fn port_number(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("{text} is no port"))
}

/// Decodes `%2F` and its like.
fn decoded(text: &str) -> Result<String, String> {
    // A plus sign is itself outside of a query.
    let escaped = text
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    let decoded = form_urlencoded::parse(escaped.as_bytes()).next();
    let decoded = decoded.map_or_else(String::new, |(key, _)| key.into_owned());
    if decoded.contains(['\0', char::REPLACEMENT_CHARACTER]) {
        return Err(format!("{text} is not text"));
    }
    Ok(decoded)
}

fn duration(option: &str, text: &str) -> Result<Duration, String> {
    options::duration(text)
        .ok_or_else(|| format!("{option} is a span of time like 15s or 500ms, not {text}"))
}

/// Finds the password in that file, or else in the environment.
fn password(file: Option<&Path>) -> Result<Option<Secret>, String> {
    let Some(file) = file else {
        return Ok(Secret::from_env(options::PASSWORD).or_else(|| Secret::from_env("PGPASSWORD")));
    };
    let unreadable = |error| format!("can't read the password from {}: {error}", file.display());
    Secret::from_file(file).map(Some).map_err(unreadable)
}

fn switch(option: &str, text: &str) -> Result<bool, String> {
    match text {
        "on" | "true" | "1" => Ok(true),
        "off" | "false" | "0" => Ok(false),
        _ => Err(format!("{option} is on or off, not {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::config::Host;

    fn parse(url: &str) -> Address {
        Address::parse(url).expect(url)
    }

    #[test]
    fn the_parts_of_a_url_are_found() {
        let address = parse(
            "postgres://me@h1:5433,h2,[::1]:6/my%20db?ttl=20s&timeout=500ms&namespace=a%2Fb&fence=off",
        );
        let hosts = ["h1", "h2", "::1"].map(|host| Host::Tcp(host.to_owned()));
        assert_eq!(address.config.get_hosts(), hosts);
        assert_eq!(address.config.get_ports(), [5433, 5432, 6]);
        assert_eq!(address.config.get_user(), Some("me"));
        assert_eq!(address.config.get_dbname(), Some("my db"));
        assert_eq!(
            (
                address.ttl,
                address.timeout,
                address.namespace.as_str(),
                address.has_fence
            ),
            (
                Duration::from_secs(20),
                Duration::from_millis(500),
                "a/b",
                false
            )
        );
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let address = parse("postgresql://localhost");
        assert_eq!(
            (
                address.ttl,
                address.timeout,
                address.namespace.as_str(),
                address.has_fence
            ),
            (options::DEFAULT_TTL, options::DEFAULT_TIMEOUT, "", true)
        );
        assert_eq!(address.config.get_ports(), [DEFAULT_PORT]);
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_is_named_by_its_directory() {
        let address = parse("postgres://me@:5433/db?host=/run/postgresql");
        assert_eq!(
            address.config.get_hosts(),
            [Host::Unix("/run/postgresql".into())]
        );
        assert_eq!(address.config.get_ports(), [5433]);
    }

    #[test]
    fn bad_urls_are_refused_with_the_reason() {
        for (url, reason) in [
            ("mysql://h", "begins with postgres://"),
            ("postgres://", "names no host"),
            ("postgres://h:x/db", "x is no port"),
            ("postgres://h/db?tll=5s", "there is no option tll"),
            ("postgres://h/db?ttl=soon", "ttl is a span"),
            ("postgres://h/db?ttl=1s", "between 2s and 24h"),
            ("postgres://h/db?ttl=-5s", "ttl is a span"),
            ("postgres://h/db?timeout=0s", "more than 0"),
            ("postgres://h/db?fence=perhaps", "on or off"),
            ("postgres://h/db?sslmode=maybe", "there is no sslmode maybe"),
            ("postgres://h/db?sslmode=verify-full", "sslrootcert="),
            (
                "postgres://h/db?sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
                "/nowhere/ca.pem",
            ),
            (
                "postgres://h/db?password-file=/nowhere/password",
                "/nowhere/password",
            ),
        ] {
            let error = Address::parse(url).expect_err(url);
            assert!(error.contains(reason), "{url}: {error}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        for url in [
            "postgres://me:hunter2@h/db",
            "postgres://me:a/hunter2@h/db",
            "postgres://me:hunter2?b@h/db",
            "postgres://h/db?password=hunter2",
        ] {
            let error = Address::parse(url).expect_err(url);
            assert!(
                error.contains("PGPASSWORD") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
