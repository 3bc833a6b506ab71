//! Tasks that run side by side. Each prints into a file, which is shown when the task ends.

use std::fs::{self, File};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use crate::step::{self, Failure, Outcome};

/// A task of this program.
pub(crate) struct Task {
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
}

/// Runs all tasks, even if some fail.
pub(crate) fn run(tasks: &[Task]) -> Outcome {
    let names: Vec<_> = tasks.iter().map(|task| task.name.as_str()).collect();
    let logs = step::target().join("logs");
    println!(
        "\nRunning side by side: {}. Each prints into a file in {}, which is shown when it ends.",
        names.join(", "),
        logs.display()
    );
    fs::create_dir_all(&logs).map_err(|error| step::failed("create", &logs, &error))?;
    // Taken while the output of a task is shown, so that it stays in one piece.
    let screen = Mutex::new(());
    thread::scope(|scope| {
        let running: Vec<_> = tasks
            .iter()
            .map(|task| scope.spawn(|| task.run(&screen)))
            .collect();
        running
            .into_iter()
            .map(|task| task.join().expect("a task does not panic"))
            .fold(Ok(()), step::both)
    })
}

impl Task {
    fn run(&self, screen: &Mutex<()>) -> Outcome {
        let path = step::target().join("logs").join(&self.name);
        let fail = |what, error| step::failed(what, &path, &error);
        let begun = Instant::now();
        let log = File::create(&path).map_err(|error| fail("create", error))?;
        let errors = log.try_clone().map_err(|error| fail("open", error))?;
        // A task may have built this program anew, so its path may mean another file.
        let status = Command::new("/proc/self/exe")
            .args(&self.arguments)
            .env(crate::skips::LOG, crate::skips::log())
            .stdout(log)
            .stderr(errors)
            .status()
            .map_err(|error| Failure(format!("cannot start {}: {error}", self.name)))?;
        let output = fs::read(&path).map_err(|error| fail("read", error))?;
        let seconds = begun.elapsed().as_secs();
        let _whole = screen.lock().expect("a task does not panic");
        println!("\n=== {}, in {seconds} s", self.name);
        print!("{}", String::from_utf8_lossy(&output));
        if status.success() {
            Ok(())
        } else {
            Err(Failure(format!("{} failed: {status}", self.name)))
        }
    }
}
