#[lockfast::locked("a.lock")]
async fn forever() {}

#[lockfast::write_locked("a.lock", timeout = "10s")]
async fn limited() -> lockfast::Result<()> {
    Ok(())
}

fn main() {
    drop(forever());
    drop(limited());
}
