//! How do I let at most so many processes do something at once?
//!
//! Start it three times: `cargo run --example semaphore`.

use std::io;

use lockfast::Semaphore;

fn main() -> lockfast::Result<()> {
    let path = std::env::temp_dir().join("lockfast-example-semaphore.lock");
    let workers = Semaphore::open(path, 2)?;
    println!("waiting for one of two places");
    let _permit = workers.acquire()?;
    println!("in; press Enter to leave");
    let _ = io::stdin().read_line(&mut String::new());
    Ok(())
}
