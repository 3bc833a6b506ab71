//! A member of a cluster of etcd: its process.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::etcd::Programs;
use crate::network::Host;
use crate::process::{self, Process};
use crate::tls::Identity;

/// Settings that a member is started with, each time.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    pub(crate) ports: Ports,
    pub(crate) host: Option<Host>,
    /// With the data and the log.
    pub(crate) directory: PathBuf,
    /// The addresses of all members, as etcd wants them.
    pub(crate) cluster: String,
    pub(crate) identity: Option<Identity>,
    pub(crate) flags: Vec<String>,
}

/// The ports that a member listens on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) client: u16,
    pub(crate) peer: u16,
    /// Without certificates and users, whatever clients need.
    pub(crate) health: u16,
}

impl Member {
    /// Starts the member, and does not wait for it.
    pub(crate) fn launch(&self, programs: &Programs) -> Process {
        let clients = self.client_url();
        let peers = self.peer_url();
        let mut command = match &self.host {
            None => Command::new("setpriv"),
            Some(host) => host.command("setpriv"),
        };
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(programs.server())
            .args(["--name", &self.name, "--logger", "zap"])
            .arg("--data-dir")
            .arg(self.directory.join("data"))
            .args(["--listen-client-urls", &clients])
            .args(["--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers])
            .args(["--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &self.cluster])
            .arg("--listen-metrics-urls")
            .arg(format!("http://{}:{}", self.address, self.ports.health));
        if let Some(identity) = &self.identity {
            command.arg("--cert-file").arg(&identity.certificate);
            command.arg("--key-file").arg(&identity.key);
        }
        command.args(&self.flags);
        let log = self.directory.join("log");
        Process::start(command, &log, Signal::SIGTERM).expect("etcd can be started")
    }

    /// Waits until the member is healthy; `false` if it ends, or is not healthy in time.
    pub(crate) fn is_healthy_in_time(&self, process: &mut Process) -> bool {
        process::within(Duration::from_secs(30), || {
            process.has_ended().is_some() || self.is_healthy()
        }) && process.has_ended().is_none()
    }

    pub(crate) fn client_url(&self) -> String {
        let scheme = if self.identity.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.endpoint())
    }

    /// The address for clients.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}:{}", self.address, self.ports.client)
    }

    pub(crate) fn peer_url(&self) -> String {
        format!("http://{}:{}", self.address, self.ports.peer)
    }

    /// Whether the member answers that it has a leader.
    fn is_healthy(&self) -> bool {
        self.ask("/health")
            .is_ok_and(|answer| answer.contains(r#""health":"true""#))
    }

    /// Whether the member answers that it is the leader.
    pub(crate) fn is_leader(&self) -> bool {
        self.ask("/metrics")
            .is_ok_and(|answer| answer.contains("\netcd_server_is_leader 1\n"))
    }

    pub(crate) fn ask(&self, path: &str) -> io::Result<String> {
        let limit = Duration::from_secs(2);
        let address = SocketAddr::new(self.address, self.ports.health);
        let mut stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
