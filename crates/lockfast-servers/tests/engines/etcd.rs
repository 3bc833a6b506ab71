//! Chaos on etcd: one member and three, while members die, are stopped, and are cut off from each other.

use std::time::Duration;

use libtest_mimic::Trial;

use lockfast_servers::etcd::{Cluster, Release, Server};
use lockfast_servers::network;
use lockfast_testing::trial_needing;

use crate::chaos::{self, OfClient, Servers, duration};
use crate::client::Mutant;
use crate::dice::Dice;

pub(crate) fn trials() -> Vec<Trial> {
    let server = || Release::Debian.find().map(drop);
    let cluster = || network::available().and(server());
    vec![
        trial_needing!("etcd::chaos", cluster(), under_faults),
        trial_needing!("etcd::finds_a_holder_without_a_deadline", server(), || {
            finds_a_holder_without_a_deadline();
        }),
    ]
}

/// The lease of the clients. Its grant may be longer.
const TTL: Duration = Duration::from_secs(3);

/// A single member, without faults.
struct One(Server);

impl Servers for One {
    fn url(&self) -> String {
        format!("etcd://{}/chaos?ttl=3s", self.0.endpoint())
    }

    fn ttl(&self) -> Duration {
        TTL
    }

    fn faults_of_clients(&self) -> &[OfClient] {
        &[OfClient::PauseHolder]
    }
}

/// Three members.
struct Three {
    cluster: Cluster,
    /// Ends the present fault.
    end: Option<fn(&mut Cluster, &[usize])>,
    members: Vec<usize>,
}

type Begin = fn(&mut Cluster, &[usize]);

/// A fault: its name, how it begins and ends for the members of a permutation whose first is the leader.
const FAULTS: [(&str, Begin, Begin); 8] = [
    (
        "the leader is killed",
        |on, to| on.kill(to[0]),
        |on, to| on.restart(to[0]),
    ),
    (
        "a member is killed",
        |on, to| on.kill(to[1]),
        |on, to| on.restart(to[1]),
    ),
    (
        "the leader is stopped",
        |on, to| on.process(to[0]).pause(),
        |on, to| on.process(to[0]).resume(),
    ),
    (
        "the leader is cut off",
        |on, to| on.host(to[0]).cut(),
        |on, to| on.host(to[0]).heal(),
    ),
    (
        "a member is cut off",
        |on, to| on.host(to[1]).cut(),
        |on, to| on.host(to[1]).heal(),
    ),
    (
        "a member does not hear the leader",
        |on, to| on.host(to[1]).lose_from(on.host(to[0])),
        |on, to| on.host(to[1]).lose_nothing(),
    ),
    (
        "two members are killed",
        |on, to| {
            on.kill(to[0]);
            on.kill(to[1]);
        },
        |on, to| {
            on.launch(to[0]);
            on.launch(to[1]);
        },
    ),
    (
        "all members are killed",
        |on, to| to.iter().for_each(|&member| on.kill(member)),
        |on, to| to.iter().for_each(|&member| on.launch(member)),
    ),
];

impl Servers for Three {
    fn url(&self) -> String {
        format!("etcd://{}/chaos?ttl=3s", self.cluster.endpoints())
    }

    fn ttl(&self) -> Duration {
        TTL
    }

    fn faults_of_clients(&self) -> &[OfClient] {
        use OfClient::{Cut, Deafen, KillAny, KillHolder, PauseAny, PauseHolder};
        &[KillHolder, KillAny, PauseHolder, PauseAny, Cut, Deafen]
    }

    fn addresses(&self) -> Vec<String> {
        let hosts = (0..self.cluster.size()).map(|member| self.cluster.host(member));
        hosts.map(|host| host.address().to_owned()).collect()
    }

    fn faults(&self) -> usize {
        FAULTS.len()
    }

    fn begin(&mut self, kind: usize, dice: &mut Dice) -> &'static str {
        let (name, begin, end) = FAULTS[kind];
        let leader = self.cluster.leader();
        let size = self.cluster.size();
        let turn = 1 + dice.index(size - 1);
        self.members = (0..size)
            .map(|step| (leader + step * turn) % size)
            .collect();
        self.end = Some(end);
        begin(&mut self.cluster, &self.members);
        name
    }

    fn end(&mut self) {
        let end = self.end.take().expect("a fault");
        end(&mut self.cluster, &self.members);
        for member in 0..self.cluster.size() {
            self.cluster.wait_until_healthy(member);
        }
    }
}

fn under_faults() {
    let mut cluster = Cluster::start(Release::Debian);
    let hosts: Vec<_> = (0..3).map(|_| cluster.add_host()).collect();
    let mut servers = Three {
        cluster,
        end: None,
        members: Vec::new(),
    };
    let figures = chaos::run(&mut servers, &hosts, duration(), Mutant::None);
    let figures = figures.unwrap_or_else(|violations| panic!("{violations}"));
    assert!(figures.grants > 100, "{figures}");
    assert!(
        figures.lost + figures.failures > 0,
        "no fault was felt: {figures}"
    );
}

/// Goes on until a pause has met a client that holds a lock, which is chance.
fn finds_a_holder_without_a_deadline() {
    const ROUNDS: usize = 8;
    let mut server = One(Server::start());
    let is_found = (0..ROUNDS).any(|_| {
        let duration = Duration::from_secs(15);
        let found = chaos::run(&mut server, &[], duration, Mutant::IgnoresDeadline);
        found.is_err_and(|violations| violations.contains("sole: beliefs: "))
    });
    assert!(is_found, "no mistake");
}
