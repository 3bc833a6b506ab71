//! A server of one member.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::etcd::member::{Member, Ports};
use crate::etcd::{Programs, Release};
use crate::ports;
use crate::process::Process;
use crate::tls::Authority;

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
    member: Member,
    authority: Option<Authority>,
    /// Removed after the server has ended.
    _directory: TempDir,
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
        // Another program may take a port before the server does.
        for _ in 0..3 {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let authority = self.tls.map(|_| Authority::new(directory.path()));
            let member = self.member(authority.as_ref(), directory.path());
            let mut process = member.launch(&programs);
            if member.is_healthy_in_time(&mut process) {
                let server = Server {
                    options: self,
                    programs,
                    process,
                    member,
                    authority,
                    _directory: directory,
                };
                server.add_root();
                return server;
            }
            let words = process.last_words();
            assert!(words.contains("address already in use"), "etcd: {words}");
        }
        panic!("other programs took three ports in a row");
    }

    fn member(&self, authority: Option<&Authority>, directory: &Path) -> Member {
        let ports = Ports {
            client: ports::free(),
            peer: ports::free(),
            health: ports::free(),
        };
        let mut flags = self.flags.clone();
        if self.password.is_some() {
            // Usual hashes of passwords take a processor so long that clients give up while others use it too.
            flags.push("--bcrypt-cost=4".to_owned());
        }
        if let (Some(Clients::Certified), Some(authority)) = (self.tls, authority) {
            let certificate = authority.certificate();
            let certificate = certificate.to_str().expect("a path of text");
            flags.extend(["--client-cert-auth", "--trusted-ca-file", certificate].map(Into::into));
        }
        Member {
            name: "n1".to_owned(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports,
            host: None,
            directory: directory.to_path_buf(),
            cluster: format!("n1=http://127.0.0.1:{}", ports.peer),
            identity: authority.map(Authority::server),
            flags,
        }
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
        self.member.endpoint()
    }

    /// The port of clients.
    pub fn port(&self) -> u16 {
        self.member.ports.client
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
        self.process = self.member.launch(&self.programs);
        assert!(
            self.member.is_healthy_in_time(&mut self.process),
            "etcd: {}",
            self.process.last_words()
        );
    }

    /// Saves a copy of the data in a file that is not there yet.
    ///
    /// # Panics
    ///
    /// Panics if `etcdctl` fails.
    pub fn save(&self, copy: &Path) {
        self.etcdctl(&["snapshot", "save", copy.to_str().expect("a path of text")]);
    }

    /// Kills the server, and starts it again with the data of a copy, in a cluster that begins with this token.
    ///
    /// # Panics
    ///
    /// Panics if the copy can't be restored, or the server does not start.
    pub fn restore(&mut self, copy: &Path, token: &str) {
        self.kill();
        let Member {
            name,
            cluster,
            directory,
            ..
        } = &self.member;
        let data = directory.join("data");
        fs::remove_dir_all(&data).expect("its data");
        let mut restore = self.client();
        restore.args(["snapshot", "restore"]).arg(copy);
        restore.arg("--data-dir").arg(data);
        restore.args(["--name", name, "--initial-cluster", cluster]);
        restore.args(["--initial-advertise-peer-urls", &self.member.peer_url()]);
        super::output(restore.args(["--initial-cluster-token", token]));
        self.restart();
    }

    /// The number of events that the server has sent to watchers.
    ///
    /// # Panics
    ///
    /// Panics if the server does not answer.
    pub fn watch_events(&self) -> u64 {
        const NAME: &str = "etcd_debugging_mvcc_events_total ";
        let metrics = self.member.ask("/metrics").expect("its metrics");
        let count = metrics.lines().find_map(|line| line.strip_prefix(NAME));
        count.expect("counted").parse().expect("a number")
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
        super::output(command.args(arguments))
    }

    /// Returns a command that runs `etcdctl` on this server, with no user.
    pub fn client(&self) -> Command {
        let mut command = super::etcdctl(&self.programs, &self.member.client_url());
        if let (Some(authority), Some(own)) = (&self.authority, &self.member.identity) {
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
            super::output(self.client().args(arguments));
        }
    }
}
