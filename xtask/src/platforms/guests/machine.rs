//! A virtual machine that gets its commands by a serial line.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::image::Image;
use crate::step::Failure;

/// The time limit for each command. Guests are emulated without help of the processor, and locks of NFS may take
/// a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// One end of a cable, or a connection to this machine.
#[derive(Debug)]
pub(super) enum Card {
    /// The end that listens for the other one, with its address.
    Listens(PathBuf, &'static str),
    /// The end that connects.
    Connects(PathBuf, &'static str),
    /// A network with a single port, at 10.0.2.100, which this command serves.
    Port(u16, String),
}

/// A machine that runs; dropping it switches it off.
#[derive(Debug)]
pub(super) struct Machine {
    name: &'static str,
    process: Child,
    console: UnixStream,
    heard: Vec<u8>,
    commands: u32,
    names: u32,
}

/// The result of a command.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: i32,
    pub(super) text: String,
}

impl Machine {
    /// Switches the machine on, without waiting for it.
    pub(super) fn start(
        image: &Image,
        name: &'static str,
        cards: &[Card],
    ) -> Result<Self, Failure> {
        let socket = image.socket(name);
        // Left by an earlier run.
        let _ = std::fs::remove_file(&socket);
        let mut words = format!("console=ttyS0 quiet panic=-1 mitigations=off guest={name}");
        let mut emulator = Command::new("qemu-system-x86_64");
        emulator
            .args([
                "-accel",
                "tcg",
                "-m",
                "512",
                "-display",
                "none",
                "-nodefaults",
                "-no-reboot",
            ])
            .arg("-chardev")
            .arg(format!(
                "socket,id=console,server=on,wait=off,path={}",
                socket.display()
            ))
            .args(["-serial", "chardev:console"]);
        for (number, card) in cards.iter().enumerate() {
            let (network, address) = card.describe(number);
            emulator.args(["-netdev", &network, "-device"]);
            // A cable has two ends, so that a different last digit is enough.
            let end = u8::from(matches!(card, Card::Listens(..)));
            emulator.arg(format!(
                "virtio-net-pci,netdev=net{number},romfile=,mac=52:54:00:00:0{number}:0{end}"
            ));
            words.extend([format!(" eth{number}={address}")]);
        }
        emulator.arg("-kernel").arg(image.kernel());
        emulator.arg("-initrd").arg(image.file_system());
        emulator.args(["-append", &words]);
        let process = emulator
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| Failure(format!("cannot start {emulator:?}: {error}")))?;
        let console = connect(&socket)?;
        Ok(Self {
            name,
            process,
            console,
            heard: Vec::new(),
            commands: 0,
            names: 0,
        })
    }

    /// Waits until the machine takes commands.
    pub(super) fn is_up(&mut self) -> Result<(), Failure> {
        self.hear_until("guest is up\n").map(drop)
    }

    /// Runs a command that must succeed, and returns its output.
    pub(super) fn run(&mut self, command: &str) -> Result<String, Failure> {
        let Answer { code, text } = self.ask(command)?;
        if code == 0 {
            Ok(text)
        } else {
            Err(Failure(format!(
                "{}: `{command}` failed with {code}: {text}",
                self.name
            )))
        }
    }

    /// Runs a command.
    pub(super) fn ask(&mut self, command: &str) -> Result<Answer, Failure> {
        self.commands += 1;
        let end = format!("\u{1}{} ", self.commands);
        // The shell reads the next line only when the command has ended.
        let line = format!(
            "{{ {command}\n}} </dev/null 2>&1; printf '\\001%d %d\\n' {} $?\n",
            self.commands
        );
        self.console
            .write_all(line.as_bytes())
            .map_err(|error| self.failure(&error))?;
        let mut text = self.hear_until(&end)?;
        text.truncate(text.len() - end.len());
        let code = self.hear_until("\n")?;
        let code = code
            .trim()
            .parse()
            .map_err(|_| Failure(format!("{}: {code:?} is no code", self.name)))?;
        Ok(Answer {
            code,
            text: text.trim().to_owned(),
        })
    }

    /// Returns a name that was not used on this machine yet.
    pub(super) fn new_name(&mut self) -> String {
        self.names += 1;
        format!("n{}", self.names)
    }

    fn hear_until(&mut self, end: &str) -> Result<String, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self
                .heard
                .windows(end.len())
                .position(|part| part == end.as_bytes());
            if let Some(start) = found {
                let heard: Vec<_> = self.heard.drain(..start + end.len()).collect();
                return Ok(String::from_utf8_lossy(&heard).replace('\r', ""));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let heard = String::from_utf8_lossy(&self.heard).into_owned();
                return Err(Failure(format!(
                    "{} says nothing more after {heard:?}",
                    self.name
                )));
            }
            self.console
                .set_read_timeout(Some(left))
                .map_err(|error| self.failure(&error))?;
            let mut buffer = [0; 4096];
            match self.console.read(&mut buffer) {
                Ok(0) => return Err(Failure(format!("{} is gone", self.name))),
                Ok(length) => self.heard.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(self.failure(&error)),
            }
        }
    }

    fn failure(&self, error: &std::io::Error) -> Failure {
        Failure(format!("cannot speak with {}: {error}", self.name))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // As sudden as a power failure.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Card {
    /// Returns the emulator's arguments, and the address.
    fn describe(&self, number: usize) -> (String, &'static str) {
        let cable = |side, path: &Path| {
            format!(
                "stream,id=net{number},server={side},addr.type=unix,addr.path={}",
                path.display()
            )
        };
        match self {
            Self::Listens(path, address) => {
                // Left by an earlier run.
                let _ = std::fs::remove_file(path);
                (cable("on", path), address)
            }
            Self::Connects(path, address) => {
                // The other emulator creates the socket when it starts.
                until(|| path.exists().then_some(()));
                (cable("off", path), address)
            }
            Self::Port(port, command) => (
                format!(
                    "user,id=net{number},restrict=on,guestfwd=tcp:10.0.2.100:{port}-cmd:{command}"
                ),
                "10.0.2.15",
            ),
        }
    }
}

fn connect(socket: &Path) -> Result<UnixStream, Failure> {
    let connected = until(|| UnixStream::connect(socket).ok());
    connected.ok_or_else(|| Failure(format!("nobody answers at {}", socket.display())))
}

/// Polls for a condition that nobody signals.
pub(super) fn until<T>(mut is_so: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match is_so() {
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            so => return so,
        }
    }
}
