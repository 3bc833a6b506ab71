//! How is a stale writer kept out of data in the etcd that has the lock? By a comparison in its transaction.
//!
//! ```text
//! cargo run -p lockfast-space --features etcd --example fence_etcd -- etcd://127.0.0.1:2379/jobs
//! ```
//!
//! Two machines take the same lock one after the other, played here by two spaces. The first one is "stopped" in the
//! middle of its work, loses the lock, and writes when the second one has written already. The writes are those of
//! `etcdctl txn`; a client in Rust passes the same key and revision to its own transactions.

use std::env;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use lockfast_space::{LockKey, OnEtcd, SPACE, Space};

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).or_else(|| env::var(SPACE).ok());
    let url = url.ok_or("pass the URL of a space on etcd, or set LOCKFAST_SPACE")?;
    let balance = stale_writer(&url, Path::new("etcdctl"))?;
    println!("the stale writer was refused: the balance is {balance}");
    Ok(())
}

/// Has a stale writer try its luck, and returns the balance in the end.
pub(crate) fn stale_writer(url: &str, etcdctl: &Path) -> Result<String, Box<dyn Error>> {
    let (here, there) = (Space::open(url)?, Space::open(url)?);
    let data = Data::beside(&here, etcdctl);

    let first = here.lock("balance")?.lock()?;
    let stopped = first.etcd_key().ok_or("the space is not on etcd")?;
    assert!(data.write(&stopped, 100)?, "it holds the lock");
    // Its lease ends while it is stopped, or somebody takes the lock away.
    here.break_token("balance", first.token().ok_or("a lock has a token")?)?;

    let second = there.lock("balance")?.lock()?;
    let key = second.etcd_key().ok_or("the space is not on etcd")?;
    assert!(data.write(&key, 200)?, "it holds the lock");

    if data.write(&stopped, 300)? {
        return Err("the stale writer passed".into());
    }
    second.release()?;
    data.read()
}

/// The data: a key in the cluster of the locks.
struct Data<'a> {
    etcdctl: &'a Path,
    servers: &'a str,
}

impl<'a> Data<'a> {
    fn beside(space: &'a Space, etcdctl: &'a Path) -> Self {
        let servers = space.url().split('/').nth(2).unwrap_or_default();
        let servers = servers.rsplit('@').next().unwrap_or_default();
        Self { etcdctl, servers }
    }

    /// Writes if the lock is still held; returns whether it was.
    fn write(&self, lock: &LockKey, amount: u32) -> Result<bool, Box<dyn Error>> {
        let comparison = lock.comparison();
        let printed = self.run(
            &["txn"],
            &format!("{comparison}\n\nput balance {amount}\n\n\n"),
        )?;
        Ok(printed.starts_with("SUCCESS"))
    }

    fn read(&self) -> Result<String, Box<dyn Error>> {
        let printed = self.run(&["get", "balance", "--print-value-only"], "")?;
        Ok(printed.trim_end().to_owned())
    }

    /// Runs `etcdctl`, whose own variables (`ETCDCTL_USER` and so on) have what a server with TLS or users needs.
    fn run(&self, arguments: &[&str], input: &str) -> Result<String, Box<dyn Error>> {
        let mut command = Command::new(self.etcdctl);
        command
            .arg(format!("--endpoints={}", self.servers))
            .args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().ok_or("it has an input")?;
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        let done = child.wait_with_output()?;
        if !done.status.success() {
            return Err(format!("etcdctl {arguments:?} failed").into());
        }
        Ok(String::from_utf8(done.stdout)?)
    }
}
