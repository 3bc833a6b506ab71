//! PgBouncer, a pooler in front of PostgreSQL.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::ports;
use crate::postgres::{Server, as_ordinary_user};
use crate::process::{self, Process};

/// A running PgBouncer.
#[derive(Debug)]
pub struct PgBouncer {
    _process: Process,
    port: u16,
    _directory: TempDir,
}

/// Returns the program, of the package pgbouncer of Debian 12.
///
/// # Errors
///
/// Says how to install it.
pub fn find() -> Result<PathBuf, String> {
    let program = PathBuf::from("/usr/sbin/pgbouncer");
    if program.exists() {
        Ok(program)
    } else {
        Err(format!(
            "there is no {}; `cargo xtask setup` installs it",
            program.display()
        ))
    }
}

impl PgBouncer {
    /// Starts it in front of that server, with this `pool_mode`.
    ///
    /// # Panics
    ///
    /// Panics if it is not installed or does not start.
    pub fn start(server: &Server, mode: &str) -> Self {
        let program = find().unwrap_or_else(|why| panic!("{why}"));
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = ports::free();
        let users = directory.path().join("users");
        fs::write(&users, "\"postgres\" \"\"\n").expect("a file for pgbouncer");
        let settings = directory.path().join("settings");
        let text = format!(
            "[databases]\npostgres = host=127.0.0.1 port={}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n",
            server.port(),
            users.display(),
        );
        fs::write(&settings, text).expect("a file for pgbouncer");
        let mut command = as_ordinary_user();
        command
            .args(["setpriv", "--pdeathsig", "QUIT", "--"])
            .arg(program)
            .arg(settings);
        let log = directory.path().join("log");
        let mut process =
            Process::start(command, &log, Signal::SIGQUIT).expect("it can be started");
        let answers = process::within(Duration::from_secs(30), || {
            process.has_ended().is_some() || TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        let is_running = answers && process.has_ended().is_none();
        assert!(is_running, "pgbouncer: {}", process.last_words());
        Self {
            _process: process,
            port,
            _directory: directory,
        }
    }

    /// The URL of the database of the server behind it.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}
