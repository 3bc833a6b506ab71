//! SMB: a server on this machine, and two clients.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::image::Image;
use super::machine::{self, Card, Machine};
use super::scenes::{self, Findings, HELD};
use crate::debian;
use crate::step::{self, Failure, Outcome};

const PROGRAMS: [(&str, &str); 2] = [("smbd", "samba"), ("busybox", "busybox-static")];

const SHARED: &str = "/mnt";

pub(crate) fn run() -> Outcome {
    debian::require(&PROGRAMS)?;
    let image = Image::make()?;
    let mut server = Server::start(&image.folder().join("smb"))?;
    println!("\nSMB");
    let mut findings = Findings::default();
    play(&image, &mut server, &mut findings)?;
    findings.conclude("SMB")
}

fn play(image: &Image, server: &mut Server, findings: &mut Findings) -> Outcome {
    let card = || {
        [Card::Port(
            server.port,
            format!("busybox nc 127.0.0.1 {}", server.port),
        )]
    };
    let mut one = Machine::start(image, "one", &card())?;
    let mut other = Machine::start(image, "other", &card())?;
    for client in [&mut one, &mut other] {
        client.is_up()?;
        client.run(&format!(
            "modprobe cifs && mount.cifs //10.0.2.100/shared {SHARED} \
             -o port={},user=root,pass={PASSWORD},vers=3.1.1,cache=none,nodfs",
            server.port
        ))?;
    }
    scenes::between(&mut one, &mut other, SHARED, findings)?;
    doctor(&mut one, findings)?;
    on_the_server(server, &mut one, findings)?;
    // In this protocol locks do not survive a restart of the server, and a client does not ask for them again
    // before it uses the file.
    let what = "a server that was started again has forgotten a lock that is held";
    let restart = || server.restart();
    scenes::restarted(&mut one, &mut other, SHARED, restart, (what, 0), findings)?;
    machine_lost(one, &mut other, findings)
}

/// Expects all promises but two: the protocol has no upgrade, and the server delays a deletion while the file is
/// open.
fn doctor(one: &mut Machine, findings: &mut Findings) -> Outcome {
    let found = one
        .ask(&format!("NO_COLOR=1 lockfast doctor {SHARED}"))?
        .text;
    println!("{found}");
    let kept = found
        .lines()
        .filter(|line| line.trim_start().starts_with("kept "))
        .count();
    findings.add(
        "lockfast doctor finds six promises kept",
        kept == 6,
        format!("{kept}"),
    );
    let refused = found.lines().any(|line| {
        line.contains("from reader to writer") && !line.trim_start().starts_with("BROKEN")
    });
    findings.add("and an upgrade unsupported", refused, "");
    let code = one
        .ask(&format!(
            "lockfast run --permits 2 {SHARED}/permits.lock -- true"
        ))?
        .code;
    findings.add("and a semaphore refused", code != 0, format!("{code}"));
    Ok(())
}

/// Takes a lock in the shared directory itself.
fn on_the_server(server: &Server, one: &mut Machine, findings: &mut Findings) -> Outcome {
    let here = format!("{SHARED}/server.lock");
    let held = scenes::hold(one, "", &here)?;
    let code = server.attempt("server.lock", &["--protocol", "fcntl"])?;
    findings.add(
        "the server itself is refused",
        code == Some(HELD),
        format!("{code:?}"),
    );
    let code = server.attempt("server.lock", &["--protocol", "flock"])?;
    findings.add(
        "flock on the server does not see it",
        code == Some(0),
        format!("{code:?}"),
    );
    held.release(one)
}

/// Switches off the machine that holds the lock: the server notices the broken connection.
fn machine_lost(mut one: Machine, other: &mut Machine, findings: &mut Findings) -> Outcome {
    let path = format!("{SHARED}/lost.lock");
    scenes::hold(&mut one, "", &path)?;
    let waiter = scenes::begin(other, "", &path)?;
    waiter.waits(other)?;
    drop(one);
    let is_in = waiter.has_it_within(other, 60)?;
    findings.add(
        "a waiter gets it when the holder's machine is lost",
        is_in,
        "",
    );
    waiter.release(other)
}

/// Samba, on a port that only this machine reaches.
#[derive(Debug)]
struct Server {
    process: Child,
    configuration: PathBuf,
    port: u16,
    folder: PathBuf,
}

/// The password of a user that only this server knows.
const PASSWORD: &str = "lockfast";

impl Server {
    fn start(folder: &Path) -> Result<Self, Failure> {
        let port = free_port()?;
        let configuration = configure(folder, port)?;
        let mut password = Command::new("smbpasswd");
        password
            .arg("-c")
            .arg(&configuration)
            .args(["-s", "-a", "root"]);
        let mut input = password
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| Failure(format!("cannot start smbpasswd: {error}")))?;
        let words = format!("{PASSWORD}\n{PASSWORD}\n");
        let said = input
            .stdin
            .take()
            .expect("piped")
            .write_all(words.as_bytes());
        let set = input.wait();
        if said.is_err() || !set.is_ok_and(|status| status.success()) {
            return Err(Failure("smbpasswd failed; it needs root".to_owned()));
        }
        let server = Self {
            process: start(&configuration)?,
            configuration,
            port,
            folder: folder.to_path_buf(),
        };
        server.answers()?;
        Ok(server)
    }

    /// Kills the server with the processes that serve the guests, and starts it again.
    fn restart(&mut self) -> Outcome {
        let pid = self.process.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
            .map_err(|error| Failure(format!("who serves the guests is not known: {error}")))?;
        let mut kill = Command::new("kill");
        step::run(
            kill.args(["-KILL", &pid.to_string()])
                .args(children.split_whitespace()),
        )?;
        let _ = self.process.wait();
        self.process = start(&self.configuration)?;
        self.answers()
    }

    fn answers(&self) -> Outcome {
        let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok();
        machine::until(connect)
            .map(drop)
            .ok_or_else(|| Failure("smbd does not answer".to_owned()))
    }

    /// Returns the exit code of an attempt to take a lock in the directory itself.
    fn attempt(&self, name: &str, options: &[&str]) -> Result<Option<i32>, Failure> {
        let mut attempt = Command::new(crate::platforms::linked::static_command());
        attempt.args(["run", "-n"]).args(options);
        attempt
            .arg(self.folder.join("shared").join(name))
            .args(["--", "true"]);
        let tried = attempt.status();
        tried
            .map(|status| status.code())
            .map_err(|error| Failure(format!("cannot start {attempt:?}: {error}")))
    }
}

fn start(configuration: &Path) -> Result<Child, Failure> {
    let mut smbd = Command::new("/usr/sbin/smbd");
    smbd.args(["--foreground", "--no-process-group", "--configfile"])
        .arg(configuration);
    smbd.stdin(Stdio::null())
        .spawn()
        .map_err(|error| Failure(format!("cannot start smbd: {error}")))
}

impl Drop for Server {
    fn drop(&mut self) {
        // The processes that serve the guests end with their connections.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configure(folder: &Path, port: u16) -> Result<PathBuf, Failure> {
    let fail = |error| step::failed("write", folder, &error);
    for name in ["shared", "private", "lock", "state", "cache", "pid", "rpc"] {
        fs::create_dir_all(folder.join(name)).map_err(fail)?;
    }
    let path = |name| folder.join(name).display().to_string();
    let text = format!(
        "[global]
server role = standalone server
smb ports = {port}
interfaces = lo
bind interfaces only = yes
disable netbios = yes
load printers = no
disable spoolss = yes
passdb backend = tdbsam
private dir = {}
lock directory = {}
state directory = {}
cache directory = {}
pid directory = {}
ncalrpc dir = {}
log file = {}
[shared]
path = {}
read only = no
# Otherwise a client that is alone with a file keeps its locks to itself.
oplocks = no
",
        path("private"),
        path("lock"),
        path("state"),
        path("cache"),
        path("pid"),
        path("rpc"),
        path("log"),
        path("shared"),
    );
    let configuration = folder.join("smb.conf");
    fs::write(&configuration, text).map_err(fail)?;
    Ok(configuration)
}

fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let port = listener.and_then(|listener| listener.local_addr());
    port.map(|address| address.port())
        .map_err(|error| Failure(format!("there is no port: {error}")))
}
