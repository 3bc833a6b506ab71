//! Registers behind a fence, which the clients write while they hold a lock. A socket in a directory leads there,
//! so that a client that is cut off from the network still reaches them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use lockfast_servers::checkers::register::Register;

/// A client's connection to the registers.
#[derive(Debug)]
pub(crate) struct Fence(Mutex<BufReader<UnixStream>>);

impl Fence {
    pub(crate) fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("the registers");
        Self(Mutex::new(BufReader::new(stream)))
    }

    /// Writes the register with this token; `false` if it is refused.
    pub(crate) fn write(&self, register: &str, token: u64) -> bool {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let request = format!("{register} {token} {}\n", process::id());
        let sent = stream.get_mut().write_all(request.as_bytes());
        let mut answer = String::new();
        sent.and_then(|()| stream.read_line(&mut answer))
            .expect("the registers answer");
        answer == "ok\n"
    }
}

/// The registers, by name, each with the process that wrote it last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registers(Arc<Mutex<HashMap<String, (Register, u32)>>>);

impl Registers {
    /// Serves clients until the program ends.
    pub(crate) fn serve(&self, socket: &Path) {
        let listener = UnixListener::bind(socket).expect("a socket");
        let own = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = own.clone();
                thread::spawn(move || own.answer(stream));
            }
        });
    }

    /// The process that wrote last: in all likelihood the holder.
    pub(crate) fn last_writer(&self, register: &str) -> Option<u32> {
        let registers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        registers.get(register).map(|&(_, process)| process)
    }

    pub(crate) fn history(&self, register: &str) -> Register {
        let registers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = registers.get(register);
        found.map_or_else(Register::default, |(register, _)| register.clone())
    }

    fn answer(&self, mut stream: UnixStream) {
        let requests = BufReader::new(stream.try_clone().expect("a copy"));
        for line in requests.lines().map_while(Result::ok) {
            let words: Vec<_> = line.split(' ').collect();
            let [name, token, process] = words[..] else {
                panic!("a client wrote {line}");
            };
            let token = token.parse().expect("a token");
            let mut registers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = registers.entry(name.to_owned()).or_default();
            let is_accepted = entry.0.write(token);
            if is_accepted {
                entry.1 = process.parse().expect("a process");
            }
            drop(registers);
            let answer: &[u8] = if is_accepted { b"ok\n" } else { b"refused\n" };
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    }
}
