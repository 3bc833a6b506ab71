#[lockfast::locked]
struct Job;

trait Work {
    #[lockfast::locked]
    fn work(&self);
}

impl Work for Job {
    fn work(&self) {}
}

fn main() {
    Job.work();
}
