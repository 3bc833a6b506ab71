//! How does a task wait without blocking its thread, and how does it give up?
//!
//! Start it twice: `cargo run --example tasks`.

use std::io;
use std::time::Duration;

use lockfast::Lock;
use tokio::time::{Instant, interval_at, timeout};

#[tokio::main(flavor = "current_thread")]
async fn main() -> lockfast::Result<()> {
    let lock = Lock::open(std::env::temp_dir().join("lockfast-example.lock"))?;
    let ticker = tokio::spawn(tick());
    // Any runtime's limit will do: what it drops leaves nothing behind.
    let taken = timeout(Duration::from_secs(5), lock.lock_async()).await;
    ticker.abort();
    match taken {
        Ok(guard) => {
            let _guard = guard?;
            println!("locked; press Enter to release");
            let _ = io::stdin().read_line(&mut String::new());
        }
        Err(_) => println!("it was held for five seconds"),
    }
    Ok(())
}

/// Goes on meanwhile, on the same thread.
async fn tick() {
    let second = Duration::from_secs(1);
    let mut ticks = interval_at(Instant::now() + second, second);
    loop {
        ticks.tick().await;
        println!("waiting");
    }
}
