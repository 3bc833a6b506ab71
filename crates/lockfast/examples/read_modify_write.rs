//! How do I change a file that other processes change too?
//!
//! Each run counts on: `cargo run --example read_modify_write`.

use std::error::Error;
use std::fs;
use std::path::Path;

use lockfast::Lock;

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::temp_dir().join("lockfast-example.count");
    println!("run number {}", count_on(&count)?);
    Ok(())
}

/// Reads a number, adds one, and replaces the file in one step, so that readers never see half.
///
/// The lock is a file beside it: the file itself is replaced, and a lock on it would go with it.
fn count_on(path: &Path) -> Result<u64, Box<dyn Error>> {
    let lock = Lock::open(path.with_extension("lock"))?;
    let guard = lock.lock()?;
    let count = match fs::read_to_string(path) {
        Ok(text) => text.trim().parse::<u64>()? + 1,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 1,
        Err(error) => return Err(error.into()),
    };
    let new = path.with_extension("new");
    fs::write(&new, count.to_string())?;
    fs::rename(&new, path)?;
    guard.release()?;
    Ok(count)
}
