#[lockfast::locked]
const fn table() {}

fn main() {
    table();
}
