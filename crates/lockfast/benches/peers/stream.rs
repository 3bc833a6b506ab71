//! A waiter beside a stream of commands that each come once.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::bench::Bench;
use crate::clock;
use crate::command::{microseconds, tool};
use crate::contenders::Contender;
use crate::report::{Beside, Part, Table, or_none};
use crate::statistics::{median, number};
use crate::visits::Visits;

/// How many commands are on their way at any time: enough for the lock to be free for instants only.
const COMMANDS: usize = 3;

/// How long the waiter pauses after each visit.
const PAUSE: Duration = Duration::from_millis(10);

/// In milliseconds.
const LONGEST: f64 = 20.0;

/// A stream, and one that waits beside it.
#[derive(Clone, Copy, Debug)]
struct Scene {
    stream: Stream,
    waiter: Waiter,
    is_promised: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Lockfast,
    Flock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiter {
    /// A process that has opened the lock before.
    Worker(Contender),
    /// A command such as those of the stream.
    Command,
}

const SCENES: [Scene; 8] = [
    scene(Stream::Lockfast, Waiter::Worker(Contender::Lockfast), true),
    scene(
        Stream::Lockfast,
        Waiter::Worker(Contender::LockfastTimed),
        true,
    ),
    scene(
        Stream::Lockfast,
        Waiter::Worker(Contender::LockfastTask),
        true,
    ),
    scene(
        Stream::Lockfast,
        Waiter::Worker(Contender::LockfastWrite),
        true,
    ),
    scene(Stream::Lockfast, Waiter::Command, true),
    scene(Stream::Lockfast, Waiter::Worker(Contender::Raw), false),
    scene(Stream::Flock, Waiter::Worker(Contender::RawFlock), false),
    scene(Stream::Flock, Waiter::Command, false),
];

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let Some(lockfast) = bench.lockfast() else {
        part.leave_out("a stream of commands, as there is no --lockfast");
        return Ok(());
    };
    let programs = Programs {
        lockfast: lockfast.to_owned(),
        flock: tool("flock").ok_or("flock(1) is not installed")?,
    };
    let lasting = Duration::from_millis(bench.extent(3000, 800));
    let mut table = Table::new(
        "One that waits beside a stream of commands",
        &[
            "stream, and waiter",
            "commands/s",
            "waits",
            "p50 ms",
            "longest ms",
        ],
        "Three at a time of `lockfast run LOCK -- sleep 0.001`, or the same with flock(1), each \
         followed by the next one; another process takes the lock, lets it go at once and comes again \
         after 10 ms. A command that waits is measured from its start to its end. A wait ends with \
         the stream at the latest.",
    );
    let (alone, longest_alone) = alone(bench, &programs)?;
    for scene in SCENES {
        let seen = scene.play(bench, &programs, lasting)?;
        let longest = seen.waits.iter().copied().fold(0.0, f64::max);
        let name = scene.name();
        table.row(vec![
            name.clone(),
            format!("{:.0}", seen.commands / lasting.as_secs_f64()),
            seen.waits.len().to_string(),
            or_none(median(&seen.waits), |p50| format!("{p50:.1}")),
            format!("{longest:.1}"),
        ]);
        if scene.is_promised {
            let beside = Beside::best(
                format!("a command alone {alone:.1} ms, the longest {longest_alone:.1} ms"),
                Some(longest_alone),
            );
            let promise = format!("{name}: in within so many ms");
            part.at_most(LONGEST, &promise, Some(longest), beside);
        }
    }
    part.table(table);
    Ok(())
}

/// How long a command of the stream takes when nobody else wants the lock, and the longest of many, in
/// milliseconds.
fn alone(bench: &Bench, programs: &Programs) -> Outcome<(f64, f64)> {
    let path = bench.lock("stream-alone");
    let mut figures = Vec::new();
    for _ in 0..bench.extent(100, 20) {
        let mut command = programs.command(Stream::Lockfast, &path, &["sleep", "0.001"]);
        figures.push(microseconds(&mut command)? / 1e3);
    }
    let longest = figures.iter().copied().fold(0.0, f64::max);
    Ok((median(&figures).ok_or("no figures")?, longest))
}

struct Programs {
    lockfast: PathBuf,
    flock: PathBuf,
}

impl Programs {
    fn command(&self, stream: Stream, lock: &Path, words: &[&str]) -> Command {
        let mut command = match stream {
            Stream::Lockfast => {
                let mut command = Command::new(&self.lockfast);
                command.arg("run").arg(lock).arg("--");
                command
            }
            Stream::Flock => {
                let mut command = Command::new(&self.flock);
                command.arg(lock);
                command
            }
        };
        command.args(words).stdin(Stdio::null());
        command
    }
}

/// The figures of a scene.
struct Seen {
    /// How many of the stream came to their end.
    commands: f64,
    /// In milliseconds.
    waits: Vec<f64>,
}

const fn scene(stream: Stream, waiter: Waiter, is_promised: bool) -> Scene {
    Scene {
        stream,
        waiter,
        is_promised,
    }
}

impl Scene {
    fn name(self) -> String {
        let stream = match self.stream {
            Stream::Lockfast => "`lockfast run`",
            Stream::Flock => "flock(1)",
        };
        match self.waiter {
            Waiter::Worker(contender) => format!("a stream of {stream}, {contender}"),
            Waiter::Command => format!("a stream of {stream}, one more command"),
        }
    }

    fn play(self, bench: &Bench, programs: &Programs, lasting: Duration) -> Outcome<Seen> {
        let lock = match self.waiter {
            Waiter::Worker(contender) => bench.lock_of(contender),
            Waiter::Command => bench.lock("stream"),
        };
        let mut crew = match self.waiter {
            Waiter::Worker(contender) => Some(bench.crew(1, contender)?),
            Waiter::Command => None,
        };
        let until = clock::now() + clock::nanoseconds(lasting);
        let stream = || -> Outcome<u64> {
            let mut count = 0;
            while clock::now() < until {
                let mut command = programs.command(self.stream, &lock, &["sleep", "0.001"]);
                microseconds(&mut command)?;
                count += 1;
            }
            Ok(count)
        };
        thread::scope(|scope| {
            let streams: Vec<_> = (0..COMMANDS).map(|_| scope.spawn(stream)).collect();
            let waits = if let Some(crew) = &mut crew {
                let pause = clock::nanoseconds(PAUSE);
                let visits: Vec<Visits> = crew.ask_all(&format!("visits 0 {pause} {until}"))?;
                visits[0].waits().map(|wait| number(wait) / 1e6).collect()
            } else {
                let mut waits = Vec::new();
                while clock::now() < until {
                    let begin = Instant::now();
                    microseconds(&mut programs.command(self.stream, &lock, &["true"]))?;
                    waits.push(begin.elapsed().as_secs_f64() * 1e3);
                    thread::sleep(PAUSE);
                }
                waits
            };
            let mut commands = 0.0;
            for stream in streams {
                commands += number(stream.join().map_err(|_| "a stream panicked")??);
            }
            Ok(Seen { commands, waits })
        })
    }
}
