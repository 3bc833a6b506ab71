//! Chaos on PostgreSQL, while the server is restarted, killed and cut off.

use std::time::Duration;

use libtest_mimic::Trial;

use lockfast_servers::network::{self, Network};
use lockfast_servers::postgres::{Options, Release, Server};
use lockfast_testing::trial_needing;

use crate::chaos::{self, OfClient, Servers, duration};
use crate::client::Mutant;
use crate::dice::Dice;

pub(crate) fn trials() -> Vec<Trial> {
    let server = network::available().and(Release::Debian.find().map(drop));
    vec![trial_needing!("postgres::chaos", server, under_faults)]
}

struct One {
    server: Server,
    end: Option<Step>,
}

type Step = fn(&mut Server);

/// A fault: its name, how it begins and ends.
const FAULTS: [(&str, Step, Step); 4] = [
    ("the server is restarted", Server::restart, |_| ()),
    ("the server is killed", Server::kill, Server::restart),
    ("the server is cut off", cut, heal),
    ("all sessions are ended", end_sessions, |_| ()),
];

fn cut(server: &mut Server) {
    server.host().expect("a host").cut();
}

fn heal(server: &mut Server) {
    server.host().expect("a host").heal();
}

fn end_sessions(server: &mut Server) {
    server.query(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where pid <> pg_backend_pid() and backend_type = 'client backend'",
    );
}

impl Servers for One {
    fn url(&self) -> String {
        format!("{}?ttl=3s", self.server.url())
    }

    fn ttl(&self) -> Duration {
        Duration::from_secs(3)
    }

    fn faults_of_clients(&self) -> &[OfClient] {
        use OfClient::{Cut, Deafen, KillAny, KillHolder, PauseAny, PauseHolder};
        &[KillHolder, KillAny, PauseHolder, PauseAny, Cut, Deafen]
    }

    fn addresses(&self) -> Vec<String> {
        vec![self.server.host().expect("a host").address().to_owned()]
    }

    fn faults(&self) -> usize {
        FAULTS.len()
    }

    fn begin(&mut self, kind: usize, _dice: &mut Dice) -> &'static str {
        let (name, begin, end) = FAULTS[kind];
        begin(&mut self.server);
        self.end = Some(end);
        name
    }

    fn end(&mut self) {
        let end = self.end.take().expect("a fault");
        end(&mut self.server);
    }
}

fn under_faults() {
    let mut network = Network::new();
    let hosts: Vec<_> = (0..3).map(|_| network.add_host()).collect();
    let options = Options::default().setting("max_connections=300");
    let server = options.start_on(Some(network.add_host()));
    let mut servers = One { server, end: None };
    let figures = chaos::run(&mut servers, &hosts, duration(), Mutant::None);
    let figures = figures.unwrap_or_else(|violations| panic!("{violations}"));
    assert!(figures.grants > 100, "{figures}");
    assert!(
        figures.lost + figures.failures > 0,
        "no fault was felt: {figures}"
    );
}
