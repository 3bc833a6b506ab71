//! Progress on a terminal, and the keyboard.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::stage::{Actor, DEADLINE, HOLD, Stage, hold, run, script, until};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

#[test]
fn without_a_terminal_a_line_reports_the_wait() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut holder = hold(&lock);
    let mut waiter = Actor::start(&mut script(&lock, "echo in"));
    let (path, pid) = (lock.display(), holder.pid());
    let expected = format!("lockfast: waiting for lock {path} (1s): it is held by pid {pid}");
    assert_eq!(waiter.complaint(), expected);
    holder.tell("end");
    waiter.says("in");
    assert_eq!(waiter.end().code(), Some(0));
    assert_eq!(waiter.complaints(), "");
}

#[test]
fn on_a_terminal_a_spinner_reports_the_wait_and_is_cleared() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut holder = hold(&lock);
    let mut terminal = Terminal::run(&script(&lock, "echo in; stty -echo; read line"));
    let (path, pid) = (lock.display(), holder.pid());
    terminal.shows(&format!(
        "waiting for lock {path} (1s): it is held by pid {pid}"
    ));
    terminal.shows("(2s)");
    holder.tell("end");
    // The line is erased before anything else is shown.
    terminal.shows("\r\u{1b}[2Kin\r\n");
    terminal.types("end\n");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn a_permit_is_not_called_a_lock() {
    let stage = Stage::new();
    let pool = stage.path("pool.lock");
    let permits = |text: &str| {
        let mut command = run(["--permits", "1"]);
        command.arg(&pool).args(["--", "sh", "-c", text]);
        command
    };
    let mut holder = Actor::start(&mut permits(HOLD));
    holder.says("ready");
    let mut waiter = Actor::start(&mut permits("echo in"));
    let path = pool.display();
    let expected = format!("lockfast: waiting for a permit of {path} (1s): too few are free");
    assert_eq!(waiter.complaint(), expected);
    holder.tell("end");
    waiter.says("in");
    assert_eq!(waiter.end().code(), Some(0));
}

/// Nothing is painted over the program in the foreground.
#[test]
fn in_the_background_a_line_reports_the_wait() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut holder = hold(&lock);
    let text = "set -m; \"$0\" run \"$1\" -- echo in & wait; echo over";
    let mut shell = Command::new("sh");
    shell.args(["-c", text, env!("CARGO_BIN_EXE_lockfast")]);
    let mut terminal = Terminal::run(shell.arg(&lock));
    let (path, pid) = (lock.display(), holder.pid());
    terminal.shows(&format!(
        "waiting for lock {path} (1s): it is held by pid {pid}"
    ));
    holder.tell("end");
    terminal.shows("in\r\n");
    terminal.shows("over\r\n");
    assert_eq!(terminal.end(), Some(0));
    let painted = terminal
        .seen()
        .contains(['\u{1b}', '\u{2801}', '\u{2802}', '\u{2804}']);
    assert!(!painted, "{:?}", terminal.seen());
}

#[test]
fn a_dumb_terminal_gets_lines() {
    let stage = Stage::new();
    let lock = stage.path("job.lock");
    let mut holder = hold(&lock);
    let mut command = script(&lock, "echo in");
    command.env("TERM", "dumb");
    let mut terminal = Terminal::run(&command);
    let (path, pid) = (lock.display(), holder.pid());
    let line = format!("lockfast: waiting for lock {path} (1s): it is held by pid {pid}\r\n");
    terminal.shows(&line);
    holder.tell("end");
    terminal.shows("in\r\n");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn the_keyboard_interrupts_the_command_once() {
    let stage = Stage::new();
    let text = "trap 'echo interrupted' INT; trap 'echo signalled' USR1; echo ready;
        until [ \"$line\" = end ]; do read line; done";
    let mut terminal = Terminal::run(&script(stage.path("job.lock"), text));
    terminal.shows("ready\r\n");
    // Once this is passed on, lockfast has started the command.
    terminal.signal(Signal::SIGUSR1);
    terminal.shows("signalled\r\n");
    // While lockfast is stopped the command handles the interrupt; a second one would show.
    terminal.stop();
    terminal.types("\u{3}");
    terminal.shows("interrupted\r\n");
    terminal.signal(Signal::SIGCONT);
    // Once these are passed on, one after the other, lockfast has handled the interrupt too.
    for _ in 0..2 {
        terminal.signal(Signal::SIGUSR1);
        terminal.shows("signalled\r\n");
    }
    terminal.types("end\n");
    assert_eq!(terminal.end(), Some(0));
    assert_eq!(
        terminal.seen.matches("interrupted\r\n").count(),
        1,
        "{}",
        terminal.seen
    );
}

#[test]
fn the_keyboard_interrupts_a_command_in_a_group_of_its_own() {
    let stage = Stage::new();
    let text = "trap 'echo interrupted; exit 7' INT; echo ready;
        until [ \"$line\" = end ]; do read line; done";
    let mut command = run([stage.path("job.lock")]);
    command.args(["--", "setsid", "sh", "-c", text]);
    let mut terminal = Terminal::run(&command);
    terminal.shows("ready\r\n");
    terminal.types("\u{3}");
    terminal.shows("interrupted\r\n");
    assert_eq!(terminal.end(), Some(7));
}

#[test]
fn a_hangup_of_the_terminal_reaches_the_command_of_a_session_leader() {
    let stage = Stage::new();
    let said = stage.path("said");
    let text = "trap 'echo hung up >\"$0\"; exit 0' HUP; echo ready; exec 2>/dev/null
        exec 3<\"$1\"; while :; do read line <&3; done";
    let fifo = stage.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let mut command = script(stage.path("job.lock"), text);
    command.arg(&said).arg(&fifo);
    let mut terminal = Terminal::run(&command);
    let open = File::options()
        .read(true)
        .write(true)
        .open(&fifo)
        .expect("the FIFO");
    terminal.shows("ready\r\n");
    terminal.hang_up();
    assert_eq!(terminal.end(), Some(0));
    assert_eq!(
        std::fs::read_to_string(said).expect("its word"),
        "hung up\n"
    );
    drop(open);
}

/// A terminal and a program that leads its session.
pub(crate) struct Terminal {
    keyboard: Option<File>,
    screen: Receiver<Vec<u8>>,
    /// Reads the screen until the socket is closed.
    reader: Option<(UnixStream, JoinHandle<()>)>,
    /// Everything that was shown.
    seen: String,
    /// Length of the part that was checked.
    looked: usize,
    pid: Pid,
    child: Option<Child>,
}

impl Terminal {
    pub(crate) fn run(command: &Command) -> Self {
        let (keyboard, screen_end) = open_terminal();
        let stdio = || Stdio::from(screen_end.try_clone().expect("a descriptor"));
        // A script that runs the tests in its background has them ignore the signals of the keyboard.
        let mut session = Command::new("env");
        session.args(["--default-signal=INT,QUIT", "setsid"]);
        session.env("TERM", "xterm");
        for (name, value) in command.get_envs() {
            session.env(name, value.expect("none is removed"));
        }
        let child = session
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .expect("setsid starts");
        let mut master = keyboard.try_clone().expect("a descriptor");
        let (stopped, stop) = UnixStream::pair().expect("sockets");
        let (tell, screen) = mpsc::channel();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while is_readable_before(&master, &stopped) {
                let Ok(length @ 1..) = master.read(&mut buffer) else {
                    return;
                };
                if tell.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            keyboard: Some(keyboard),
            screen,
            reader: Some((stop, reader)),
            seen: String::new(),
            looked: 0,
            pid: Pid::from_raw(child.id().try_into().expect("a pid")),
            child: Some(child),
        }
    }

    /// Waits until the text is on the screen, after the texts of earlier waits.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self.seen[self.looked..].find(text) {
                self.looked += at + text.len();
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(more) => self.seen.push_str(&String::from_utf8_lossy(&more)),
                Err(error) => panic!("{error}: no {text:?} in {:?}", self.seen),
            }
        }
    }

    /// Returns everything that was shown.
    pub(crate) fn seen(&self) -> &str {
        &self.seen
    }

    pub(crate) fn types(&mut self, text: &str) {
        let keyboard = self.keyboard.as_mut().expect("a terminal");
        keyboard.write_all(text.as_bytes()).expect("it takes keys");
    }

    /// Closes the user's side, as a terminal emulator does with its window.
    fn hang_up(&mut self) {
        let (stop, reader) = self.reader.take().expect("it hangs up once");
        drop(stop);
        reader.join().expect("it does not panic");
        self.keyboard = None;
    }

    /// Stops the program, and waits until it has stopped.
    fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        let status = format!("/proc/{}/status", self.pid);
        until("a stopped program", || {
            let status = std::fs::read_to_string(&status).expect("it lives");
            status.contains("State:\tT")
        });
    }

    fn signal(&self, signal: Signal) {
        signal::kill(self.pid, signal).expect("it lives");
    }

    /// Waits for the exit code; `seen` then has everything that was shown.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("it ends once");
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(child.wait()));
        let Ok(status) = told.recv_timeout(DEADLINE) else {
            let _ = signal::kill(self.pid, Signal::SIGKILL);
            panic!("it did not end: {:?}", self.seen);
        };
        while let Ok(more) = self.screen.recv_timeout(DEADLINE) {
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
        status.expect("its status").code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Opens a new terminal, wide enough for long paths. No other process inherits its ends.
fn open_terminal() -> (File, File) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let user = posix_openpt(flags).expect("a terminal");
    grantpt(&user).expect("its owner");
    unlockpt(&user).expect("its lock");
    let path = ptsname_r(&user).expect("its name");
    let program = File::options()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NOCTTY.bits())
        .open(&path)
        .expect("the other end");
    let sized = Command::new("stty")
        .args(["-F", &path, "rows", "24", "cols", "300"])
        .status();
    assert!(sized.expect("stty starts").success());
    (File::from(OwnedFd::from(user)), program)
}

/// Whether there is something to read before the other side is closed.
fn is_readable_before(file: &File, other: &UnixStream) -> bool {
    let wanted = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut both = [wanted(file.as_fd()), wanted(other.as_fd())];
    poll(&mut both, PollTimeout::NONE).expect("both are open");
    both[1].any() == Some(false)
}
