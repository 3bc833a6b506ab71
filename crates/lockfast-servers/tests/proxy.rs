//! The proxy passes, holds back, loses and cuts what goes through it.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use lockfast_servers::proxy::{Proxy, Way};

/// A server that answers each line with `answer to` that line, and tells what it has read.
fn server() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("its address");
    let (told, lines) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (told, mut stream) = (told.clone(), stream.expect("a client"));
            thread::spawn(move || {
                let reader = BufReader::new(stream.try_clone().expect("a copy"));
                for line in reader.lines().map_while(Result::ok) {
                    let _ = told.send(line.clone());
                    let _ = writeln!(stream, "answer to {line}");
                }
            });
        }
    });
    (address, lines)
}

/// A client that asks and reads one line at a time.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(proxy: &Proxy) -> Self {
        let stream = TcpStream::connect(proxy.endpoint()).expect("the proxy accepts");
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).expect("a limit");
        Self(BufReader::new(stream))
    }

    fn ask(&mut self, line: &str) -> Option<String> {
        writeln!(self.0.get_mut(), "{line}").ok()?;
        self.answer()
    }

    fn answer(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(1..) => Some(line.trim_end().to_owned()),
            _ => None,
        }
    }
}

#[test]
fn a_lost_request_does_not_arrive_and_a_lost_answer_does_not_return() {
    let (address, lines) = server();
    let proxy = Proxy::start(address);
    let mut client = Client::new(&proxy);
    assert_eq!(client.ask("one").as_deref(), Some("answer to one"));
    proxy.lose_request(b"two");
    assert_eq!(client.ask("two"), None);
    proxy.wait_for_losses(1);
    let mut client = Client::new(&proxy);
    proxy.lose_answer(b"three");
    assert_eq!(client.ask("three"), None);
    proxy.wait_for_losses(2);
    assert_eq!(
        Client::new(&proxy).ask("four").as_deref(),
        Some("answer to four")
    );
    assert_eq!(proxy.accepted(), 3);
    drop(proxy);
    let read: Vec<_> = lines.try_iter().collect();
    assert_eq!(read, ["one", "three", "four"]);
}

#[test]
fn a_stalled_direction_goes_on_when_healed() {
    let (address, lines) = server();
    let proxy = Proxy::start(address);
    let mut client = Client::new(&proxy);
    client.ask("one");
    assert_eq!(lines.recv().as_deref(), Ok("one"));
    proxy.stall(Way::Answers);
    thread::scope(|scope| {
        let answer = scope.spawn(|| client.ask("two"));
        // Requests pass while the answers are held back.
        assert_eq!(lines.recv().as_deref(), Ok("two"));
        assert!(!answer.is_finished());
        proxy.heal();
        let answer = answer.join().expect("no panic");
        assert_eq!(answer.as_deref(), Some("answer to two"));
    });
    proxy.stall(Way::Requests);
    thread::scope(|scope| {
        let answer = scope.spawn(|| client.ask("three"));
        assert!(lines.try_recv().is_err());
        proxy.heal();
        assert_eq!(lines.recv().as_deref(), Ok("three"));
        assert!(answer.join().expect("no panic").is_some());
    });
}

#[test]
fn a_cut_ends_connections_and_refuses_others() {
    let (address, _lines) = server();
    let proxy = Proxy::start(address);
    let mut client = Client::new(&proxy);
    client.ask("one");
    proxy.cut();
    assert_eq!(client.ask("two"), None);
    assert_eq!(Client::new(&proxy).ask("three"), None);
    proxy.heal();
    assert!(Client::new(&proxy).ask("four").is_some());
    proxy.reset();
    assert!(Client::new(&proxy).ask("five").is_some());
}
