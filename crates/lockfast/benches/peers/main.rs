//! lockfast against the kernel's bare calls and against its peers, all in one run.
//!
//! ```text
//! cargo bench --bench peers -- [--python PATH] [--lockfast PATH] [--inspect PATH] [--before PATH]
//!     [--out DIRECTORY] [--only PART] [--quick]
//! ```
//!
//! | argument | meaning |
//! |---|---|
//! | `--python` | an interpreter that has fasteners, filelock, portalocker and the package for Python; what it lacks is left out |
//! | `--lockfast` | the release build of the command; without it the command is left out |
//! | `--inspect` | the benchmark of `inspect`; without it that is left out |
//! | `--before` | a build of this benchmark with the code before a change, to compare the hand-over with |
//! | `--out` | where `report.md` and `handover.svg` go; `bench` in Cargo's target directory if not given |
//! | `--only` | measure this part alone, by the name that is told when it begins |
//! | `--quick` | short runs, for trying |
//!
//! Relative paths start at the package, which is where Cargo runs a benchmark.
//!
//! Bars are ratios to something bare that is measured beside them, and the report has them all in one
//! table. Where the bare thing can't be better than the bar either, the machine is the reason for a miss,
//! and the table says so.
//!
//! A whole run takes about 20 minutes on two processors that do nothing else, of which the rush takes
//! nine. The report has the duration of each part.
//!
//! Each measurement is made in rounds, and each round visits every contender once, so that whatever
//! else the machine does meanwhile hits all of them alike. What counts are the ratios. This program
//! is benchmark and worker in one: it starts itself again as `worker`, and the peers in Python by
//! the scripts in `python/`. For Linux.

mod arguments;
mod bare;
mod bench;
mod clock;
mod command;
mod contenders;
mod crew;
mod deadlines;
mod fairness;
mod greedy;
mod hammer;
mod handover;
mod idle;
mod inspect;
mod instructions;
mod linger;
mod locks;
mod machine;
mod permits;
mod plot;
mod processes;
mod python;
mod relay;
mod report;
mod ring;
mod rush;
mod statistics;
mod stream;
mod threads;
mod uncontended;
mod visits;
mod wakeups;
mod worker;

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use arguments::Arguments;
use bench::Bench;
use report::Report;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let done = match &arguments[..] {
        [first, contender, path] if first == worker::ARGUMENT => {
            worker::run(contender, path.as_ref()).map(|()| ExitCode::SUCCESS)
        }
        [first, contender, path, count] if first == worker::ROUNDS => {
            worker::rounds(contender, path.as_ref(), count).map(|()| ExitCode::SUCCESS)
        }
        _ => Arguments::parse(arguments).and_then(|arguments| measure(&arguments)),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// Measures everything and writes the report. A bar that is missed is no failure.
fn measure(arguments: &Arguments) -> Outcome<ExitCode> {
    let mut report = Report::new(arguments.quick, arguments.only.clone());
    let mut bench = Bench::new(arguments, &mut report)?;
    let machine = bare::measure(&bench)?;
    report.machine(&machine.to_string());
    bench.set_machine(machine);
    let mut handovers = Vec::new();
    report.part("uncontended", |part| uncontended::run(&bench, part));
    report.part("instructions", |part| instructions::run(&bench, part));
    report.part("rush", |part| fairness::run(&bench, part));
    report.part("stream", |part| stream::run(&bench, part));
    report.part("hand-over", |part| {
        handovers = handover::run(&bench, part)?;
        Ok(())
    });
    report.part("hammer", |part| hammer::run(&bench, part));
    report.part("linger", |part| linger::run(&bench, part));
    report.part("threads", |part| threads::run(&bench, part));
    report.part("greedy readers", |part| greedy::run(&bench, part));
    report.part("permits", |part| permits::run(&bench, part));
    report.part("deadlines", |part| deadlines::run(&bench, part));
    report.part("wake-ups", |part| wakeups::run(&bench, part));
    report.part("idle", |part| idle::run(&bench, part));
    report.part("command", |part| command::run(&bench, part));
    report.part("inspect", |part| inspect::run(&bench, part));
    report.part("python", |part| python::run(&bench, part));

    if !report.has_parts() {
        return Err("there is no such part".into());
    }
    fs::create_dir_all(&arguments.out)?;
    fs::write(arguments.out.join("report.md"), report.to_string())?;
    if !handovers.is_empty() {
        plot::draw(&arguments.out.join("handover.svg"), &handovers)?;
    }
    println!("{report}");
    Ok(report.exit_code())
}
