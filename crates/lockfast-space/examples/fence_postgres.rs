//! How is a stale writer kept out of data in the database that has the lock? By a comparison in its statement.
//!
//! ```text
//! cargo run -p lockfast-space --features postgres --example fence_postgres -- postgres://me@localhost/jobs
//! ```
//!
//! Two machines take the same lock one after the other, played here by two spaces. The first one is "stopped" in the
//! middle of its work, loses the lock, and writes when the second one has written already.

use std::env;
use std::error::Error;

use lockfast_space::{LockRow, OnPostgres, SPACE, Space};
use tokio_postgres::{Client, Config, NoTls};

/// Writes while the lock has that number in its row, which nobody can change before the write is committed.
const WRITE: &str = "
    with held as materialized
        (select 1 from lockfast.names where key = $1 and fence = $2 for share)
    update balance set amount = $3 where exists (select from held)";

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).or_else(|| env::var(SPACE).ok());
    let url = url.ok_or("pass the URL of a space on PostgreSQL, or set LOCKFAST_SPACE")?;
    let balance = stale_writer(&url)?;
    println!("the stale writer was refused: the balance is {balance}");
    Ok(())
}

/// Has a stale writer try its luck, and returns the balance in the end.
pub(crate) fn stale_writer(url: &str) -> Result<i32, Box<dyn Error>> {
    let mut tasks = tokio::runtime::Builder::new_current_thread();
    let tasks = tasks.enable_all().build()?;
    let (here, there) = (Space::open(url)?, Space::open(url)?);
    tasks.block_on(async {
        let first = here.lock("balance")?.lock_async().await?;
        let stopped = first.postgres_row().ok_or("the lock has no fence row")?;
        let data = data_beside(&here).await?;
        assert!(write(&data, stopped, 100).await?, "it holds the lock");
        // Its lease ends while it is stopped, or somebody takes the lock away.
        here.break_token("balance", first.token().ok_or("a lock has a token")?)?;

        let second = there.lock("balance")?.lock_async().await?;
        let row = second.postgres_row().ok_or("the lock has no fence row")?;
        assert!(write(&data, row, 200).await?, "it holds the lock");

        if write(&data, stopped, 300).await? {
            return Err("the stale writer passed".into());
        }
        second.release()?;
        let balance = data.query_one("select amount from balance", &[]).await?;
        Ok(balance.get("amount"))
    })
}

/// Writes if no later holder has come; returns whether that was so.
async fn write(data: &Client, lock: LockRow, amount: i32) -> Result<bool, tokio_postgres::Error> {
    let rows = data
        .execute(WRITE, &[&lock.key, &lock.fence, &amount])
        .await?;
    Ok(rows == 1)
}

/// Connects to the database of the locks, and creates a table that is gone with the connection.
async fn data_beside(space: &Space) -> Result<Client, Box<dyn Error>> {
    let mut config: Config = space.url().parse()?;
    if let Ok(password) = env::var("PGPASSWORD") {
        config.password(password);
    }
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    let table = "create temporary table balance as select 0 as amount";
    client.batch_execute(table).await?;
    Ok(client)
}
