//! How long it takes to look at one path, and at the machine, among 1,000 processes with 10,000 open
//! files. It starts them itself: `cargo bench --features inspect --bench inspect`, and with words
//! behind `--` measures only the bars that have one of them in their name.

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

    use nix::fcntl::{FcntlArg, fcntl};
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;

    const PROCESSES: usize = 1000;
    const FILES: usize = 10;
    const ROUNDS: usize = 20;

    /// What is measured, and how long it may take.
    struct Bar<'a> {
        what: &'static str,
        limit: Duration,
        look: Box<dyn Fn() + 'a>,
    }

    pub(super) fn main() {
        let arguments: Vec<_> = env::args().collect();
        if arguments.get(1).is_some_and(|first| first == "--sit") {
            sit(Path::new(&arguments[2]), &arguments[3]);
            return;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        let (written, read, foreign) = (path("writer"), path("reader"), path("foreign"));
        let lock = lockfast::Lock::open(&written).expect("a lock");
        let _writer = lock.lock().expect("it is free");
        let cache = lockfast::RwLock::open(&read).expect("a lock");
        let _reader = cache.read().expect("it is free");
        let _foreign = locked_by_another_program(&foreign);
        let company = Company::gather(directory.path());
        println!(
            "{PROCESSES} processes, {} files, each process with a lock\n",
            PROCESSES * FILES
        );
        println!("| bar | best | median | worst | processor time of each | |");
        println!("|---|---:|---:|---:|---:|---|");
        let one = |path: &Path| {
            let report = lockfast::inspect::path(path).expect("a report");
            let holders: Vec<_> = report.holders().collect();
            assert_eq!(holders.len(), 1);
            assert_eq!(holders[0].processes[0].pid, std::process::id());
        };
        let machine = || {
            let report = lockfast::inspect::machine().expect("a report");
            assert!(report.holders().count() > PROCESSES);
        };
        let of_path = |what, path| Bar {
            what,
            limit: Duration::from_millis(50),
            look: Box::new(move || one(path)),
        };
        let bars = [
            of_path("one path, held by a writer", &written),
            of_path("one path, held by a reader", &read),
            of_path("one path, held by a foreign OFD lock", &foreign),
            Bar {
                what: "machine",
                limit: Duration::from_secs(1),
                look: Box::new(machine),
            },
        ];
        let asked = |bar: &&Bar<'_>| {
            let words = arguments[1..].iter().filter(|word| !word.starts_with('-'));
            let mut words = words.peekable();
            words.peek().is_none() || words.any(|word| bar.what.contains(word))
        };
        let missed: Vec<_> = bars
            .iter()
            .filter(asked)
            .filter(|bar| !is_met(bar))
            .map(|bar| bar.what)
            .collect();
        drop(company);
        if missed.is_empty() {
            println!("\nAll bars are met.");
        } else {
            println!("\nMissed: {}.", missed.join("; "));
        }
    }

    /// Measures it, prints the line of the table, and says whether the median is below the bar.
    fn is_met(bar: &Bar<'_>) -> bool {
        let Bar { what, limit, look } = bar;
        let (times, cpu) = measured(look);
        let (best, median, worst) = (times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
        let is_met = median < *limit;
        let verdict = if is_met { "met" } else { "**missed**" };
        println!(
            "| {what}: under {limit:?} | {best:.1?} | {median:.1?} | {worst:.1?} | {cpu:.1?} | {verdict} |"
        );
        is_met
    }

    /// Locks as programs do that know nothing of lockfast.
    fn locked_by_another_program(path: &Path) -> File {
        let file = File::create(path).expect("a file");
        let all = libc::flock {
            l_type: libc::F_WRLCK.try_into().expect("a small number"),
            l_whence: libc::SEEK_SET.try_into().expect("a small number"),
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(&file, FcntlArg::F_OFD_SETLK(&all)).expect("it is free");
        file
    }

    /// How long each took, in order, and how much of the processors' time on average: that does not
    /// depend on what else the machine does.
    fn measured(act: &dyn Fn()) -> (Vec<Duration>, Duration) {
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
