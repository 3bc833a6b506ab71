//! How is a writer refused that was stopped, lost its lock, and goes on? By a fence at the resource.
//!
//! Two holders take the same lock one after the other. The first one is "stopped" in the middle of its work, which is
//! played here by keeping its token; when it goes on, the second holder has written already.

use std::error::Error;
use std::fs;
use std::path::Path;

use lockfast_space::{Fence, Fenced, Space, Token};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let url = format!("file://{}", dir.path().join("locks").display());
    // With etcd:// or postgres:// the rest stays as it is.
    let space = Space::open(&std::env::args().nth(1).unwrap_or(url))?;
    let lock = space.lock("report")?;
    let fence = Fence::open(dir.path().join("report.fence"))?;
    let report = dir.path().join("report");

    let first = lock.lock()?;
    let stopped = first.fencing_token().ok_or("the lock has no tokens")?;
    write(&fence, stopped, &report, "of the first holder")?;
    drop(first); // its lease ends while it is stopped

    let second = lock.lock()?;
    let token = second.fencing_token().ok_or("the lock has no tokens")?;
    write(&fence, token, &report, "of the second holder")?;

    match write(&fence, stopped, &report, "of a stale writer") {
        Ok(()) => return Err("the stale writer passed".into()),
        Err(error) => println!("{error}"),
    }
    println!("the report is {}", fs::read_to_string(&report)?);
    second.release()?;
    Ok(())
}

fn write(fence: &Fence, token: Token, report: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    let _passed = fence.pass(&token)?; // until the file is written, nobody else passes
    Ok(fs::write(report, text)?)
}
