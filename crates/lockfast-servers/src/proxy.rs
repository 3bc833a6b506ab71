//! A TCP proxy between a client and a server, which delays, stalls, loses and cuts.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A proxy for one server, on a port of its own.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// A direction through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Answers,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    /// Signalled when the state changes.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stalled: [bool; 2],
    delay: [Duration; 2],
    is_cut: bool,
    is_over: bool,
    /// Loses the next request with these bytes, or its answer.
    loss: Option<(Way, Vec<u8>)>,
    /// The number of requests and answers that were lost.
    losses: u32,
    connections: HashMap<u64, Connection>,
    accepted: u64,
}

#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    loses_answers: bool,
}

impl Connection {
    fn close(&self) {
        // Fails for a connection that is closed already.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

impl Proxy {
    /// Starts a proxy for the server.
    ///
    /// # Panics
    ///
    /// Panics if no port is free.
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            server,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        let acceptor = Some(thread::spawn(move || accept(&own, &listener)));
        Self {
            address,
            shared,
            acceptor,
        }
    }

    /// The address for clients, as `127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        self.address.to_string()
    }

    /// Closes all connections, and refuses others until [`heal`](Self::heal).
    pub fn cut(&self) {
        self.shared.change(|state| {
            state.is_cut = true;
            state.close_all();
        });
    }

    /// Closes all connections; others are accepted.
    pub fn reset(&self) {
        self.shared.change(State::close_all);
    }

    /// Holds back all bytes of this direction until [`heal`](Self::heal), as a network that is cut does.
    pub fn stall(&self, way: Way) {
        self.shared
            .change(|state| state.stalled[way as usize] = true);
    }

    /// Delays each part of this direction until [`heal`](Self::heal).
    pub fn delay(&self, way: Way, delay: Duration) {
        self.shared
            .change(|state| state.delay[way as usize] = delay);
    }

    /// Ends cuts, stalls and delays.
    pub fn heal(&self) {
        self.shared.change(|state| {
            state.is_cut = false;
            state.stalled = [false; 2];
            state.delay = [Duration::ZERO; 2];
        });
    }

    /// Loses the next request that has these bytes, and its connection: the server never gets it.
    pub fn lose_request(&self, with: &[u8]) {
        self.lose(Way::Requests, with);
    }

    /// Passes on the next request that has these bytes, and loses its answer and its connection.
    pub fn lose_answer(&self, with: &[u8]) {
        self.lose(Way::Answers, with);
    }

    /// Waits until that many requests and answers were lost.
    ///
    /// # Panics
    ///
    /// Panics if they are not within half a minute.
    pub fn wait_for_losses(&self, number: u32) {
        let limit = Duration::from_secs(30);
        let (_state, waited) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), limit, |state| state.losses < number)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "no request was lost");
    }

    /// The number of connections that were accepted since the start.
    pub fn accepted(&self) -> u64 {
        self.shared.lock().accepted
    }

    fn lose(&self, way: Way, with: &[u8]) {
        let loss = Some((way, with.to_vec()));
        self.shared.change(|state| state.loss = loss);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.is_over = true;
            state.close_all();
        });
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl State {
    fn close_all(&mut self) {
        for (_, connection) in self.connections.drain() {
            connection.close();
        }
    }

    fn close(&mut self, number: u64) {
        if let Some(connection) = self.connections.remove(&number) {
            connection.close();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until bytes of this direction may pass; `false` if the connection was closed.
    fn may_pass(&self, number: u64, way: Way) -> bool {
        let wait = |state: &mut State| {
            state.stalled[way as usize] && state.connections.contains_key(&number)
        };
        let state = self.changed.wait_while(self.lock(), wait);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        if !state.connections.contains_key(&number) {
            return false;
        }
        let delay = state.delay[way as usize];
        drop(state);
        thread::sleep(delay);
        true
    }

    /// Loses this request if it is the one to lose; `false` if the connection is closed for it.
    fn passes_on(&self, number: u64, request: &[u8]) -> bool {
        let mut state = self.lock();
        let is_it = state
            .loss
            .as_ref()
            .is_some_and(|(_, with)| request.windows(with.len()).any(|part| part == with));
        if !is_it {
            return true;
        }
        if let Some((Way::Answers, _)) = state.loss.take() {
            if let Some(connection) = state.connections.get_mut(&number) {
                connection.loses_answers = true;
            }
            return true;
        }
        self.count_loss(state, number);
        false
    }

    fn loses_answers(&self, number: u64) -> bool {
        let state = self.lock();
        let connection = state.connections.get(&number);
        connection.is_some_and(|connection| connection.loses_answers)
    }

    fn count_loss(&self, mut state: MutexGuard<'_, State>, number: u64) {
        state.losses += 1;
        state.close(number);
        self.changed.notify_all();
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    for client in listener.incoming() {
        let mut state = shared.lock();
        if state.is_over {
            return;
        }
        let (Ok(client), false) = (client, state.is_cut) else {
            continue;
        };
        state.accepted += 1;
        let number = state.accepted;
        drop(state);
        if let Err(error) = connect(shared, number, client) {
            eprintln!("the proxy for {}: {error}", shared.server);
        }
    }
}

fn connect(shared: &Arc<Shared>, number: u64, client: TcpStream) -> io::Result<()> {
    let server = TcpStream::connect(shared.server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let connection = Connection {
        client: client.try_clone()?,
        server: server.try_clone()?,
        loses_answers: false,
    };
    let (requests, answers) = (client.try_clone()?, server.try_clone()?);
    shared.change(|state| {
        state.connections.insert(number, connection);
    });
    let own = Arc::clone(shared);
    thread::spawn(move || {
        pass_requests(&own, number, requests, server);
        own.change(|state| state.close(number));
    });
    let own = Arc::clone(shared);
    thread::spawn(move || {
        pass_answers(&own, number, answers, client);
        own.change(|state| state.close(number));
    });
    Ok(())
}

fn pass_requests(shared: &Shared, number: u64, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let request = &buffer[..length];
        let passes = shared.may_pass(number, Way::Requests) && shared.passes_on(number, request);
        if !passes || to.write_all(request).is_err() {
            return;
        }
    }
}

fn pass_answers(shared: &Shared, number: u64, mut from: TcpStream, mut to: TcpStream) {
    /// A server that has answered everything is quiet for that long.
    const QUIET: Duration = Duration::from_millis(300);
    let mut buffer = vec![0; 64 << 10];
    if from.set_read_timeout(Some(QUIET)).is_err() {
        return;
    }
    loop {
        let read = from.read(&mut buffer);
        let loses = shared.loses_answers(number);
        match read {
            Ok(1..) if loses => {}
            Ok(length @ 1..) => {
                let passes = shared.may_pass(number, Way::Answers);
                // It may have begun to lose answers while this part was held back.
                let loses = shared.loses_answers(number);
                if !passes || (!loses && to.write_all(&buffer[..length]).is_err()) {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if loses {
                    shared.count_loss(shared.lock(), number);
                    return;
                }
            }
            _ => return,
        }
    }
}
