//! A network of hosts on one machine: network namespaces on a bridge, without root.
//!
//! [`enter`] runs the test program again in a user namespace of its own, where it may make interfaces. There each
//! [`Network`] has a bridge of its own, and a [`Host`] is a network namespace with one interface on the bridge.
//! Connections of the program itself go over the bridge.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// Names the program that [`enter`] has run again.
const INSIDE: &str = "LOCKFAST_TEST_NETWORK";

/// Where `ip` keeps network namespaces that have a name.
const NAMESPACES: &str = "/run/netns";

/// Runs this program again, with the same arguments, where it may make networks. Call it first in `main`: it returns
/// in the program that runs there, and where that is impossible. [`available`] then says why.
///
/// # Panics
///
/// Panics if the program can't be run again.
pub fn enter() {
    if env::var_os(INSIDE).is_some() || try_unshare().is_err() {
        return;
    }
    let own = env::current_exe().expect("this program");
    let error = unshare()
        .arg(own)
        .args(env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    panic!("cannot run this program again: {error}");
}

/// Whether networks can be made: the program runs where [`enter`] has run it.
///
/// # Errors
///
/// Says what is missing.
pub fn available() -> Result<(), String> {
    static PREPARED: OnceLock<Result<(), String>> = OnceLock::new();
    PREPARED.get_or_init(prepare).clone()
}

fn prepare() -> Result<(), String> {
    if env::var_os(INSIDE).is_none() {
        try_unshare()?;
        return Err("the program did not call network::enter".to_owned());
    }
    // The names of the namespaces are kept here, and nobody else sees them.
    run("mount", &["-t", "tmpfs", "none", "/run"])?;
    fs::create_dir(NAMESPACES).map_err(|error| format!("{NAMESPACES}: {error}"))?;
    run("ip", &["link", "set", "lo", "up"])
}

fn try_unshare() -> Result<(), String> {
    let tried = unshare().args(["nft", "list", "tables"]).output();
    match tried {
        Err(error) => Err(format!("cannot start unshare: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "no network namespace can be made: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount"]);
    command.args(["--propagation", "private", "--"]);
    command
}

/// A bridge, and the hosts on it.
#[derive(Debug)]
pub struct Network {
    number: u8,
    hosts: u8,
}

/// A host with an address of its own on a [`Network`].
#[derive(Debug)]
pub struct Host {
    name: String,
    address: String,
}

impl Network {
    /// Makes a network without hosts.
    ///
    /// # Panics
    ///
    /// Panics where it is not [`available`].
    pub fn new() -> Self {
        static NUMBER: AtomicU8 = AtomicU8::new(1);
        available().unwrap_or_else(|why| panic!("{why}"));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let bridge = format!("bridge{number}");
        ip(&["link", "add", &bridge, "type", "bridge"]);
        ip(&[
            "addr",
            "add",
            &format!("10.77.{number}.254/24"),
            "dev",
            &bridge,
        ]);
        ip(&["link", "set", &bridge, "up"]);
        Self { number, hosts: 0 }
    }

    /// Adds a host.
    ///
    /// # Panics
    ///
    /// Panics if the kernel refuses.
    pub fn add_host(&mut self) -> Host {
        self.hosts += 1;
        let name = format!("n{}h{}", self.number, self.hosts);
        let address = format!("10.77.{}.{}", self.number, self.hosts);
        let host = Host { name, address };
        let (name, outside) = (&host.name, host.outside());
        let bridge = format!("bridge{}", self.number);
        ip(&["netns", "add", name]);
        let link = ["link", "add", &outside, "type", "veth", "peer", "name"];
        ip(&[&link[..], &["eth0", "netns", name]].concat());
        ip(&["link", "set", &outside, "master", &bridge, "up"]);
        let own = format!("{}/24", host.address);
        ip(&["-n", name, "addr", "add", &own, "dev", "eth0"]);
        ip(&["-n", name, "link", "set", "eth0", "up"]);
        ip(&["-n", name, "link", "set", "lo", "up"]);
        let rules = "table inet faults { chain in { type filter hook input priority 0; }; }";
        host.filter(rules);
        host
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = run("ip", &["link", "del", &format!("bridge{}", self.number)]);
    }
}

impl Host {
    /// The address, without a port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns a command that runs the program on this host.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        let mut namespace = PathBuf::from(NAMESPACES);
        namespace.push(&self.name);
        let mut net = std::ffi::OsString::from("--net=");
        net.push(namespace);
        command.arg(net).arg("--").arg(program);
        command
    }

    /// Cuts the host off from all others. Nothing tells them.
    ///
    /// # Panics
    ///
    /// Panics if the kernel refuses.
    pub fn cut(&self) {
        ip(&["link", "set", &self.outside(), "down"]);
    }

    /// Ends [`cut`](Self::cut).
    ///
    /// # Panics
    ///
    /// Panics if the kernel refuses.
    pub fn heal(&self) {
        ip(&["link", "set", &self.outside(), "up"]);
    }

    /// Loses what comes from that host, one way.
    ///
    /// # Panics
    ///
    /// Panics if the kernel refuses.
    pub fn lose_from(&self, other: &Self) {
        self.lose_from_address(&other.address);
    }

    /// Loses what comes from that address, one way.
    ///
    /// # Panics
    ///
    /// Panics if the kernel refuses.
    pub fn lose_from_address(&self, address: &str) {
        self.filter(&format!("add rule inet faults in ip saddr {address} drop"));
    }

    /// Ends [`lose_from`](Self::lose_from), for all others.
    ///
    /// # Panics
    ///
    /// Panics if the kernel refuses.
    pub fn lose_nothing(&self) {
        self.filter("flush chain inet faults in");
    }

    fn filter(&self, rules: &str) {
        let done = self.command("nft").arg(rules).output();
        let done = done.expect("nft can be started");
        assert!(done.status.success(), "{rules}: {done:?}");
    }

    /// The end of the link that is on the bridge.
    fn outside(&self) -> String {
        format!("to-{}", self.name)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = run("ip", &["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) {
    run("ip", arguments).unwrap_or_else(|why| panic!("{why}"));
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let done = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&done.stderr);
    Err(format!("{program} {}: {errors}", arguments.join(" ")))
}
