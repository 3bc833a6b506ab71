//! How long it takes to look at one path, and at the machine, among 1,000 processes with 10,000 open
//! files, in relation to a bare walk through the same part of `/proc`. It starts the processes itself:
//! `cargo bench --features inspect --bench inspect`, and with words behind `--` measures only the bars
//! that have one of them in their name. `--quick` makes fewer rounds. The report of the benchmark
//! `peers` has the figures.

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
    use std::env;
    use std::fs::{self, File};
    use std::io::Read;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use nix::fcntl::{FcntlArg, fcntl};
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;

    const PROCESSES: usize = 1000;
    const FILES: usize = 10;
    const ROUNDS: usize = 20;
    const QUICK_ROUNDS: usize = 3;

    /// A look, and how long it may take in relation to a bare walk.
    struct Bar<'a> {
        what: &'static str,
        limit: f64,
        bare: fn() -> usize,
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
        println!("| bar | at most | / bare | bare ms | best ms | median ms | worst ms | CPU ms |");
        println!("|---|---:|---:|---:|---:|---:|---:|---:|");
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
            limit: 3.0,
            bare: list_descriptors,
            look: Box::new(move || one(path)),
        };
        let bars = [
            of_path("one path, held by a writer", &written),
            of_path("one path, held by a reader", &read),
            of_path("one path, held by a foreign OFD lock", &foreign),
            Bar {
                what: "machine",
                limit: 3.0,
                bare: read_descriptors,
                look: Box::new(machine),
            },
        ];
        let asked = |bar: &&Bar<'_>| {
            let words = arguments[1..].iter().filter(|word| !word.starts_with('-'));
            let mut words = words.peekable();
            words.peek().is_none() || words.any(|word| bar.what.contains(word))
        };
        let is_quick = arguments.iter().any(|argument| argument == "--quick");
        let rounds = if is_quick { QUICK_ROUNDS } else { ROUNDS };
        bars.iter()
            .filter(asked)
            .for_each(|bar| measure(bar, rounds));
        drop(company);
    }

    /// Measures it by turns with the bare walk, and prints the line of the table.
    fn measure(bar: &Bar<'_>, rounds: usize) {
        let Bar {
            what,
            limit,
            bare,
            look,
        } = bar;
        let (mut bares, mut times, mut cpu) = (Vec::new(), Vec::new(), Duration::ZERO);
        for _ in 0..rounds {
            let start = Instant::now();
            assert!(bare() > PROCESSES);
            bares.push(start.elapsed());
            let (start, before) = (Instant::now(), processor_time());
            look();
            times.push(start.elapsed());
            cpu += processor_time().saturating_sub(before);
        }
        bares.sort();
        times.sort();
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
        let bare = milliseconds(bares[rounds / 2]);
        let [best, median, worst] =
            [0, rounds / 2, rounds - 1].map(|round| milliseconds(times[round]));
        let cpu = milliseconds(cpu) / f64::from(u32::try_from(rounds).expect("a small number"));
        println!(
            "| {what} | {limit} | {:.2} | {bare:.1} | {best:.1} | {median:.1} | {worst:.1} | {cpu:.1} |",
            median / bare
        );
    }

    /// The bare walk for a path: lists the locks of the machine, and the descriptors of each process.
    fn list_descriptors() -> usize {
        let locks = fs::read_to_string("/proc/locks").expect("the locks");
        let listed = |process| fs::read_dir(process).map_or(0, Iterator::count);
        let descriptors: usize = processes().map(|process| listed(process + "/fd")).sum();
        locks.lines().count() + descriptors
    }

    /// The bare walk for the machine: reads the kernel's facts about each descriptor.
    fn read_descriptors() -> usize {
        let read = |process| -> usize {
            let descriptors = fs::read_dir(process).into_iter().flatten().flatten();
            let texts =
                descriptors.filter_map(|descriptor| fs::read_to_string(descriptor.path()).ok());
            texts.map(|text| text.lines().count()).sum()
        };
        processes().map(|process| read(process + "/fdinfo")).sum()
    }

    fn processes() -> impl Iterator<Item = String> {
        let all = fs::read_dir("/proc").expect("the processes").flatten();
        let names = all.filter_map(|entry| entry.file_name().into_string().ok());
        names
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .map(|pid| format!("/proc/{pid}"))
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
