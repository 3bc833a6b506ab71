use std::future::Future;

#[lockfast::locked("a.lock")]
fn future() -> impl Future<Output = ()> {
    async {}
}

fn main() {
    drop(future());
}
