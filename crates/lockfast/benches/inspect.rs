//! How long it takes to look at one path, and at the machine, among 1,000 processes with 10,000 open
//! files. It starts them itself: `cargo bench --features inspect --bench inspect`.

#[cfg(all(target_os = "linux", feature = "inspect"))]
fn main() {
    linux::main();
}

#[cfg(not(all(target_os = "linux", feature = "inspect")))]
fn main() {
    println!("nothing to measure here: Linux and the feature `inspect` are needed");
}

#[cfg(all(target_os = "linux", feature = "inspect"))]
mod linux {
    use std::fs::File;
    use std::io::Read;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};
    use std::{env, iter};

    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;

    const PROCESSES: usize = 1000;
    const FILES: usize = 10;
    const ROUNDS: usize = 20;

    pub(super) fn main() {
        let arguments: Vec<_> = env::args().collect();
        if arguments.get(1).is_some_and(|first| first == "--sit") {
            sit(Path::new(&arguments[2]), &arguments[3]);
            return;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("asked.lock");
        let lock = lockfast::Lock::open(&path).expect("a lock");
        let guard = lock.lock().expect("it is free");
        let company = Company::gather(directory.path());
        let one = measured(|| {
            let report = lockfast::inspect::path(&path).expect("a report");
            assert_eq!(report.holders().count(), 1);
        });
        let shared = directory.path().join("shared.lock");
        let cache = lockfast::RwLock::open(&shared).expect("a lock");
        let reader = cache.read().expect("it is free");
        let read = measured(|| {
            let report = lockfast::inspect::path(&shared).expect("a report");
            assert_eq!(report.holders().count(), 1);
        });
        let all = measured(|| {
            let report = lockfast::inspect::machine().expect("a report");
            assert!(report.holders().count() > PROCESSES);
        });
        println!(
            "{PROCESSES} processes, {} files, each process with a lock\n",
            PROCESSES * FILES
        );
        println!("| bar | best | median | worst | processor time of each | |");
        println!("|---|---:|---:|---:|---:|---|");
        let bars = [
            ("one path, held by a writer", one, Duration::from_millis(50)),
            (
                "one path, held by a reader",
                read,
                Duration::from_millis(50),
            ),
            ("machine", all, Duration::from_secs(1)),
        ];
        for (what, (times, cpu), limit) in bars {
            let (best, median, worst) = (times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
            let result = if median < limit { "met" } else { "**missed**" };
            println!(
                "| {what}: under {limit:?} | {best:.1?} | {median:.1?} | {worst:.1?} | {cpu:.1?} | {result} |"
            );
        }
        drop(reader);
        drop((company, guard));
    }

    /// How long each took, in order, and how much of the processors' time on average: that does not
    /// depend on what else the machine does.
    fn measured(mut act: impl FnMut()) -> (Vec<Duration>, Duration) {
        let before = processor_time();
        let mut round = || {
            let start = Instant::now();
            act();
            start.elapsed()
        };
        let mut times: Vec<_> = iter::repeat_with(&mut round).take(ROUNDS).collect();
        times.sort();
        let spent = processor_time().saturating_sub(before);
        (
            times,
            spent / u32::try_from(ROUNDS).expect("a small number"),
        )
    }

    fn processor_time() -> Duration {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("it is told");
        [usage.user_time(), usage.system_time()]
            .map(|time| Duration::from_micros(time.num_microseconds().unsigned_abs()))
            .iter()
            .sum()
    }

    /// Opens its files, locks one, and sits there until its input is closed.
    fn sit(directory: &Path, number: &str) {
        let open = |file: usize| File::create(directory.join(format!("{number}-{file}")));
        let files: Vec<_> = (1..FILES).map(open).collect();
        let lock = lockfast::Lock::open(directory.join(number)).expect("a lock");
        let _guard = lock.lock().expect("it is free");
        println!("here");
        let _ = std::io::stdin().read(&mut [0]);
        drop(files);
    }

    struct Company(Vec<Child>);

    impl Company {
        fn gather(directory: &Path) -> Self {
            let program = env::current_exe().expect("this program");
            let start = |number: usize| {
                Command::new(&program)
                    .arg("--sit")
                    .arg(directory)
                    .arg(number.to_string())
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .expect("it starts")
            };
            let mut all: Vec<_> = (0..PROCESSES).map(start).collect();
            for child in &mut all {
                let output = child.stdout.as_mut().expect("a pipe");
                output.read_exact(&mut [0; 5]).expect("it is here");
            }
            Self(all)
        }
    }

    impl Drop for Company {
        fn drop(&mut self) {
            for child in &mut self.0 {
                drop(child.stdin.take());
            }
            for child in &mut self.0 {
                let _ = child.wait();
            }
        }
    }
}
