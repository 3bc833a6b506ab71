#[lockfast::locked("a.lock", try)]
fn attempt() {}

#[lockfast::read_locked("a.lock", timeout = "10s")]
fn limited() -> Option<u32> {
    None
}

fn main() {
    attempt();
    limited();
}
