//! How do I make sure that my program runs once at a time?
//!
//! Start it twice: `cargo run --example single_instance`.

use std::io;
use std::process::ExitCode;

use lockfast::Lock;

fn main() -> lockfast::Result<ExitCode> {
    let lock = Lock::open(std::env::temp_dir().join("lockfast-example.lock"))?;
    // Kept until the end of `main`; a crash frees it too.
    let _only_one = match lock.try_lock() {
        Ok(guard) => guard,
        Err(error) if error.is_contended() => {
            match error.holder() {
                Some(holder) => eprintln!("already running: {holder}"),
                None => eprintln!("already running"),
            }
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error),
    };
    println!("running; press Enter to end");
    let _ = io::stdin().read_line(&mut String::new());
    Ok(ExitCode::SUCCESS)
}
