#[lockfast::locked("a.lock", colour = "blue")]
fn unknown() {}

#[lockfast::locked("a.lock", name = "a")]
fn two_locks() {}

fn main() {
    unknown();
    two_locks();
}
