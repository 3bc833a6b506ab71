//! How do I tell the user that, and for whom, the program waits?
//!
//! Start it twice: `cargo run --example wait_with_message`.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use lockfast::{Lock, Waiting};

fn main() -> lockfast::Result<()> {
    let lock = Lock::options()
        .on_wait(|waiting| {
            tell(waiting);
            ControlFlow::Continue(())
        })
        .wait_interval(Duration::from_secs(5))
        .open(std::env::temp_dir().join("lockfast-example.lock"))?;
    let _guard = lock.lock()?;
    println!("locked; press Enter to release");
    let _ = io::stdin().read_line(&mut String::new());
    Ok(())
}

fn tell(waiting: &Waiting<'_>) {
    let (path, seconds) = (waiting.path().display(), waiting.waited().as_secs());
    match waiting.holder() {
        Some(holder) => println!("waiting for {path} for {seconds} s, held by {holder}"),
        None => println!("waiting for {path} for {seconds} s"),
    }
}
