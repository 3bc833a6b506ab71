//! Three members, each on a host of its own.

use std::net::IpAddr;
use std::time::Duration;

use tempfile::TempDir;

use crate::etcd::member::{Member, Ports};
use crate::etcd::{Programs, Release};
use crate::network::{Host, Network};
use crate::process::{self, Process};

/// A running cluster of three members. It needs [`network::enter`](crate::network::enter).
#[derive(Debug)]
pub struct Cluster {
    programs: Programs,
    // The processes end before the hosts that they are on.
    processes: Vec<Process>,
    members: Vec<Member>,
    network: Network,
    /// Removed after the members have ended.
    _directory: TempDir,
}

/// The number of members.
const SIZE: u8 = 3;

const PORTS: Ports = Ports {
    client: 2379,
    peer: 2380,
    health: 2381,
};

impl Cluster {
    /// Starts a cluster and waits until all members are healthy.
    ///
    /// # Panics
    ///
    /// Panics if the release is not installed, there can be no network, or a member does not start.
    pub fn start(release: Release) -> Self {
        let programs = release.find().unwrap_or_else(|why| panic!("{why}"));
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut network = Network::new();
        let hosts: Vec<_> = (0..SIZE).map(|_| network.add_host()).collect();
        let peers = (1..)
            .zip(&hosts)
            .map(|(number, host)| format!("n{number}=http://{}:{}", host.address(), PORTS.peer));
        let cluster = peers.collect::<Vec<_>>().join(",");
        let members = (1..).zip(hosts).map(|(number, host)| {
            let name = format!("n{number}");
            let own = directory.path().join(&name);
            std::fs::create_dir(&own).expect("a directory");
            Member {
                name,
                address: address(&host),
                ports: PORTS,
                host: Some(host),
                directory: own,
                cluster: cluster.clone(),
                identity: None,
                flags: Vec::new(),
            }
        });
        let members: Vec<_> = members.collect();
        let launched = members.iter().map(|member| member.launch(&programs));
        let mut started = Self {
            processes: launched.collect(),
            programs,
            members,
            network,
            _directory: directory,
        };
        for number in 0..started.members.len() {
            started.wait_until_healthy(number);
        }
        started
    }

    /// The addresses of all members, as `10.77.1.1:2379,10.77.1.2:2379,10.77.1.3:2379`.
    pub fn endpoints(&self) -> String {
        let endpoints = self.members.iter().map(Member::endpoint);
        endpoints.collect::<Vec<_>>().join(",")
    }

    /// The number of members.
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// The address of one member.
    pub fn endpoint(&self, member: usize) -> String {
        self.members[member].endpoint()
    }

    /// The host of one member, to cut it off.
    ///
    /// # Panics
    ///
    /// Never: each member has one.
    pub fn host(&self, member: usize) -> &Host {
        self.members[member].host.as_ref().expect("each has one")
    }

    /// Adds a host for clients to the network of the members.
    pub fn add_host(&mut self) -> Host {
        self.network.add_host()
    }

    /// The process of one member, to pause it.
    pub fn process(&self, member: usize) -> &Process {
        &self.processes[member]
    }

    /// Returns the member that leads now.
    ///
    /// # Panics
    ///
    /// Panics if there is none for half a minute.
    pub fn leader(&self) -> usize {
        let mut leader = None;
        process::within(Duration::from_secs(30), || {
            leader = self.members.iter().position(Member::is_leader);
            leader.is_some()
        });
        leader.expect("a leader")
    }

    /// Kills a member.
    pub fn kill(&mut self, member: usize) {
        self.processes[member].kill();
    }

    /// Starts a member again, with its data, and waits until it is healthy.
    ///
    /// # Panics
    ///
    /// Panics if it is not healthy in time.
    pub fn restart(&mut self, member: usize) {
        self.launch(member);
        self.wait_until_healthy(member);
    }

    /// Starts a member again, with its data.
    pub fn launch(&mut self, member: usize) {
        self.processes[member].stop();
        self.processes[member] = self.members[member].launch(&self.programs);
    }

    /// Waits until the member has a leader.
    ///
    /// # Panics
    ///
    /// Panics if it is not healthy in time.
    pub fn wait_until_healthy(&mut self, member: usize) {
        let process = &mut self.processes[member];
        let is_healthy = self.members[member].is_healthy_in_time(process);
        assert!(is_healthy, "etcd: {}", process.last_words());
    }

    /// Runs `etcdctl` on one member, and returns what it prints.
    ///
    /// # Panics
    ///
    /// Panics if it fails.
    pub fn etcdctl(&self, member: usize, arguments: &[&str]) -> String {
        let mut command = super::etcdctl(&self.programs, &self.members[member].client_url());
        super::output(command.args(arguments))
    }
}

fn address(host: &Host) -> IpAddr {
    host.address().parse().expect("an address")
}
