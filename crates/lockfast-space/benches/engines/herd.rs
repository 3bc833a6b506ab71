//! Many waiters, in one process and in several: the watch events and the threads that they cost.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write, stdin};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::etcd::open;
use crate::report::Report;

const WAITERS: u32 = 200;
const PROCESSES: u32 = 20;
const NAME: &str = "herd";
/// Has this program be one of the processes, with the URL and the number of its waiters.
const MEMBER: &str = "--waiters";
/// The time between two looks at the line.
const LOOKS_AGAIN: Duration = Duration::from_millis(20);

pub(crate) fn measure(report: &mut Report, url: &str, endpoints: &[String]) {
    let (alone, _) = let_through(url, endpoints, 1, 1);
    for processes in [1, PROCESSES] {
        let (threads, events) = let_through(url, endpoints, processes, WAITERS);
        let label = format!(
            "etcd x3: watch events for each release, with {WAITERS} waiters in {} / one",
            number_of(processes)
        );
        report.count(&label, events, 1.0, 1.05);
        let label = format!(
            "threads of the library in a process, with {WAITERS} waiters in {} / with one waiter",
            number_of(processes)
        );
        report.count(&label, f64::from(threads), f64::from(alone), 1.0);
    }
}

fn number_of(processes: u32) -> String {
    match processes {
        1 => "one process".to_owned(),
        many => format!("{many} processes"),
    }
}

/// Has waiters queue in that many processes, and lets them through. Returns the most threads of the library in a
/// process, and the watch events for each release.
fn let_through(url: &str, endpoints: &[String], processes: u32, waiters: u32) -> (u32, f64) {
    let space = open(url);
    let in_line = || {
        let entry = space.holders(NAME).expect("known");
        entry.map_or(0, |entry| entry.waiters.len())
    };
    let guard = space.lock(NAME).expect("opened").lock().expect("free");
    let mut members: Vec<_> = (0..processes)
        .map(|_| Member::start(url, waiters / processes))
        .collect();
    while in_line() != waiters as usize {
        thread::sleep(LOOKS_AGAIN);
    }
    // The last of them may not watch yet.
    thread::sleep(LOOKS_AGAIN);
    let threads = members.iter_mut().map(Member::threads).max();
    let before = events(endpoints);
    guard.release().expect("held");
    for mut member in members {
        assert!(member.process.wait().expect("its end").success());
    }
    let events = events(endpoints) - before;
    (threads.unwrap_or_default(), events / f64::from(waiters))
}

/// A process with waiters.
struct Member {
    process: Child,
}

impl Member {
    fn start(url: &str, waiters: u32) -> Self {
        let mut command = Command::new(env::current_exe().expect("this program"));
        command.args([MEMBER, url, &waiters.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let process = command.spawn().expect("started");
        Self { process }
    }

    /// Asks for the number of threads of the library.
    fn threads(&mut self) -> u32 {
        // The end of the input is the question.
        drop(self.process.stdin.take());
        let answers = self.process.stdout.take().expect("a pipe");
        let mut line = String::new();
        BufReader::new(answers).read_line(&mut line).expect("read");
        line.trim().parse().expect("a number")
    }
}

/// Whether this process is one with waiters.
pub(crate) fn is_member() -> bool {
    env::args().nth(1).as_deref() == Some(MEMBER)
}

/// Waits with that many threads, and prints the number of other threads when it is asked.
pub(crate) fn wait() {
    let arguments: Vec<_> = env::args().skip(2).collect();
    let [url, waiters] = &arguments[..] else {
        panic!("the URL and the number of waiters");
    };
    let waiters: u32 = waiters.parse().expect("a number");
    let space = open(url);
    thread::scope(|scope| {
        for _ in 0..waiters {
            scope.spawn(|| drop(space.lock(NAME).expect("opened").lock().expect("granted")));
        }
        stdin().read_to_end(&mut Vec::new()).expect("an end");
        println!("{}", threads_of_process() - waiters - 1);
    });
}

fn threads_of_process() -> u32 {
    let threads = fs::read_dir("/proc/self/task").expect("the system's");
    u32::try_from(threads.count()).unwrap_or(u32::MAX)
}

/// The watch events that the members of the cluster have sent.
fn events(endpoints: &[String]) -> f64 {
    const NAME: &str = "etcd_debugging_mvcc_events_total ";
    let of_member = |endpoint: &String| {
        let address = endpoint.replace(":2379", ":2381");
        let mut stream = TcpStream::connect(&address).expect("its metrics");
        write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered");
        let line = text.lines().find_map(|line| line.strip_prefix(NAME));
        line.expect("counted").parse::<f64>().expect("a number")
    };
    endpoints.iter().map(of_member).sum()
}
