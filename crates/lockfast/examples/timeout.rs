//! How do I give up after a while?
//!
//! Start it twice: `cargo run --example timeout`.

use std::io;
use std::time::Duration;

use lockfast::Lock;

fn main() -> lockfast::Result<()> {
    let lock = Lock::open(std::env::temp_dir().join("lockfast-example.lock"))?;
    match lock.try_lock_for(Duration::from_secs(3)) {
        Ok(_guard) => {
            println!("locked; press Enter to release");
            let _ = io::stdin().read_line(&mut String::new());
            Ok(())
        }
        Err(error) if error.is_timed_out() => {
            // It names the path, the time and the holder.
            println!("{error}");
            Ok(())
        }
        Err(error) => Err(error),
    }
}
