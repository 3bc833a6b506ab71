//! A whole run of the command, from its start to its end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Outcome;
use crate::bench::Bench;
use crate::report::{Part, Table, in_short};
use crate::statistics::median;

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let Some(lockfast) = bench.lockfast() else {
        part.leave_out("the command, as there is no --lockfast");
        return Ok(());
    };
    let Some(flock) = tool("flock") else {
        part.leave_out("the command, as flock(1) is not installed");
        return Ok(());
    };
    let (own, other) = (bench.lock("command"), bench.lock("command-flock"));
    let mut commands = [
        ("`lockfast run LOCK -- true`", Command::new(lockfast)),
        ("`flock LOCK true`", Command::new(flock)),
        ("`true` alone", Command::new("true")),
    ];
    commands[0].1.arg("run").arg(&own).args(["--", "true"]);
    commands[1].1.arg(&other).arg("true");

    let mut figures = [const { Vec::new() }; 3];
    for _ in 0..bench.extent(400, 40) {
        for ((_, command), figures) in commands.iter_mut().zip(&mut figures) {
            figures.push(microseconds(command)?);
        }
    }
    let taken = figures.map(|figures| median(&figures).unwrap_or_default());
    let flock = taken[1];
    let mut table = Table::new(
        "The command",
        &["command", "µs", "/ flock(1)"],
        "The whole process, from its start to its end, by turns; the median.",
    );
    for ((name, _), taken) in commands.iter().zip(taken) {
        table.row(vec![
            (*name).to_owned(),
            format!("{taken:.0}"),
            in_short(taken / flock),
        ]);
    }
    part.table(table);
    let beside = format!("flock(1) {flock:.0} µs, `true` {:.0} µs", taken[2]);
    let promise = "`lockfast run LOCK -- true` / `flock LOCK true`";
    part.at_most(1.2, promise, Some(taken[0] / flock), beside);
    Ok(())
}

/// Runs a command that must succeed, and tells how long that took.
pub(crate) fn microseconds(command: &mut Command) -> Outcome<f64> {
    let name = Path::new(command.get_program()).file_name();
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    let begin = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("{name} does not start: {error}"))?;
    let taken = begin.elapsed();
    if status.success() {
        Ok(taken.as_secs_f64() * 1e6)
    } else {
        Err(format!("{name} ended with {status}").into())
    }
}

/// The program of that name that a shell would run.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let directories = std::env::var_os("PATH")?;
    std::env::split_paths(&directories)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}
