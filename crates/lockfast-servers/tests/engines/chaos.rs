//! Clients under random faults, then the checkers.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use lockfast_servers::checkers::Moment;
use lockfast_servers::network::Host;

use crate::client::{Mutant, Orders};
use crate::dice::Dice;
use crate::fence::Registers;
pub(crate) use crate::history::Figures;
use crate::history::{History, Run};
use crate::process::Client;

/// A fault of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfClient {
    KillHolder,
    KillAny,
    PauseHolder,
    PauseAny,
    /// Needs a host of its own.
    Cut,
    /// Answers of the servers are lost. Needs a host of its own.
    Deafen,
}

/// Servers that have faults of their own.
pub(crate) trait Servers {
    /// The URL for clients.
    fn url(&self) -> String;

    /// The time for which the lock of a dead client is kept.
    fn ttl(&self) -> Duration;

    fn faults_of_clients(&self) -> &[OfClient];

    /// The addresses of the servers, without ports.
    fn addresses(&self) -> Vec<String> {
        Vec::new()
    }

    /// The number of kinds of faults.
    fn faults(&self) -> usize {
        0
    }

    /// Begins a fault of that kind, and returns its name.
    fn begin(&mut self, kind: usize, dice: &mut Dice) -> &'static str {
        let _ = (kind, dice);
        unreachable!("there are no faults")
    }

    /// Ends the fault.
    fn end(&mut self) {}

    /// The longest time of a fault, in milliseconds.
    fn longest(&self) -> u64 {
        u64::try_from(self.ttl().as_millis() * 2).expect("a short time")
    }
}

/// The clients of a run, and what they share.
struct Stage<'a, S> {
    servers: &'a mut S,
    hosts: &'a [Host],
    directory: TempDir,
    registers: Registers,
    clients: Vec<Client>,
    killed: HashSet<u32>,
    started: u64,
    dice: Dice,
    mutant: Mutant,
}

const CLIENTS: usize = 6;

/// The time under faults.
pub(crate) fn duration() -> Duration {
    let seconds = env::var("LOCKFAST_CHAOS_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(120))
}

/// The longest time after which the checkers look: what they need grows with the history.
const ROUND: Duration = Duration::from_secs(300);

/// Runs clients under faults for that long, has the checkers look after each round, and returns figures.
///
/// The hosts are of the first clients; the others are on the host of the program.
///
/// # Errors
///
/// The violations that the checkers found.
pub(crate) fn run<S: Servers>(
    servers: &mut S,
    hosts: &[Host],
    duration: Duration,
    mutant: Mutant,
) -> Result<Figures, String> {
    let mut figures = Figures::default();
    let mut left = duration;
    while !left.is_zero() {
        let round = left.min(ROUND);
        figures += run_round(servers, hosts, round, mutant)?;
        left -= round;
    }
    Ok(figures)
}

fn run_round<S: Servers>(
    servers: &mut S,
    hosts: &[Host],
    duration: Duration,
    mutant: Mutant,
) -> Result<Figures, String> {
    let seed = env::var("LOCKFAST_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| Moment::now().0);
    println!("LOCKFAST_SEED={seed}");
    let mut stage = Stage::new(servers, hosts, Dice::new(seed), mutant);
    for number in 0..CLIENTS {
        let client = stage.start(number);
        stage.clients.push(client);
    }
    stage.cause_faults(duration);
    stage.check()
}

impl<'a, S: Servers> Stage<'a, S> {
    fn new(servers: &'a mut S, hosts: &'a [Host], dice: Dice, mutant: Mutant) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("diaries")).expect("a directory");
        let registers = Registers::default();
        registers.serve(&directory.path().join("fence"));
        Self {
            servers,
            hosts,
            directory,
            registers,
            clients: Vec::new(),
            killed: HashSet::new(),
            started: 0,
            dice,
            mutant,
        }
    }

    /// Starts the client with that number, the first time or again.
    fn start(&mut self, number: usize) -> Client {
        self.started += 1;
        let diary = format!("diaries/{}", self.started);
        let orders = Orders {
            url: self.servers.url(),
            diary: self.directory.path().join(diary),
            fence: self.directory.path().join("fence"),
            seed: self.dice.next(),
            threads: 2,
            tasks: 2,
            mutant: self.mutant,
        };
        Client::start(&orders, self.hosts.get(number))
    }

    fn cause_faults(&mut self, duration: Duration) {
        let begin = Instant::now();
        let of_clients = self.servers.faults_of_clients().to_vec();
        let kinds = of_clients.len() + self.servers.faults();
        let mut deck: Vec<usize> = Vec::new();
        while begin.elapsed() < duration {
            thread::sleep(self.dice.milliseconds(200..1_500));
            if deck.is_empty() {
                deck.extend(0..kinds);
            }
            // Each kind once before any comes again.
            let kind = deck.swap_remove(self.dice.index(deck.len()));
            if let Some(&fault) = of_clients.get(kind) {
                self.cause(fault);
                continue;
            }
            let name = self.servers.begin(kind - of_clients.len(), &mut self.dice);
            println!("{:?}: {name}", begin.elapsed());
            if self.dice.among(0..2) == 0 {
                let also = self.dice.index(of_clients.len());
                self.cause(of_clients[also]);
            }
            let longest = self.servers.longest();
            thread::sleep(self.dice.milliseconds(200..longest));
            self.servers.end();
        }
    }

    fn cause(&mut self, fault: OfClient) {
        let number = match fault {
            OfClient::KillHolder | OfClient::PauseHolder => self.holder(),
            OfClient::KillAny | OfClient::PauseAny => self.dice.index(self.clients.len()),
            OfClient::Cut | OfClient::Deafen => self.dice.index(self.hosts.len()),
        };
        let ttl = u64::try_from(self.servers.ttl().as_millis()).expect("a short time");
        let time = self.dice.milliseconds(ttl / 2..ttl * 2);
        match fault {
            OfClient::KillHolder | OfClient::KillAny => {
                self.killed.insert(self.clients[number].id());
                self.clients[number].kill();
                self.clients[number] = self.start(number);
            }
            OfClient::PauseHolder | OfClient::PauseAny => {
                self.clients[number].pause();
                thread::sleep(time);
                self.clients[number].resume();
            }
            OfClient::Cut => {
                self.hosts[number].cut();
                thread::sleep(time);
                self.hosts[number].heal();
            }
            OfClient::Deafen => {
                for address in self.servers.addresses() {
                    self.hosts[number].lose_from_address(&address);
                }
                thread::sleep(time);
                self.hosts[number].lose_nothing();
            }
        }
    }

    /// The client that holds the lock, in all likelihood.
    fn holder(&mut self) -> usize {
        let writer = self.registers.last_writer("sole");
        let found = self
            .clients
            .iter()
            .position(|client| Some(client.id()) == writer);
        found.unwrap_or_else(|| self.dice.index(self.clients.len()))
    }

    /// Lets the clients go on for a while without faults, stops them, and checks.
    fn check(mut self) -> Result<Figures, String> {
        let last_fault = Moment::now();
        let ttl = self.servers.ttl();
        thread::sleep(ttl + Duration::from_secs(8));
        let end = Moment::now();
        for client in self.clients.drain(..) {
            client.stop(Duration::from_secs(100));
        }
        let diaries = self.directory.path().join("diaries");
        let history = History::read(&diaries);
        let figures = history.figures(&self.registers);
        println!("{figures}");
        let run = Run {
            last_fault,
            end,
            ttl,
            killed: self.killed,
        };
        let checked = history.check(&self.registers, &run);
        let Err(violations) = checked else {
            return Ok(figures);
        };
        if self.mutant != Mutant::None {
            return Err(violations);
        }
        let kept = self.directory.keep();
        Err(format!(
            "{violations}\nthe diaries are in {}",
            kept.display()
        ))
    }
}
