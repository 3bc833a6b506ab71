//! The benchmark of `inspect`, which is another program, as it needs a feature of the library.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::bench::Bench;
use crate::report::{Part, Table};

const HEADER: [&str; 8] = [
    "look",
    "at most",
    "/ bare",
    "bare ms",
    "best ms",
    "median ms",
    "worst ms",
    "CPU ms",
];

pub(crate) fn run(bench: &Bench, part: &mut Part) -> Outcome<()> {
    let Some(program) = bench.inspect() else {
        part.leave_out("looks at who holds what, as there is no --inspect");
        return Ok(());
    };
    let mut table = Table::new(
        "Looks at who holds what",
        &HEADER,
        "Among 1,000 processes with 10,000 open files, by turns with a bare walk: for a path, \
         `/proc/locks` and the names of all descriptors; for the machine, the `fdinfo` of each.",
    );
    for row in rows(bench, program)? {
        let [look, limit, ratio, bare, ..] = &row[..] else {
            return Err(format!("not a row: {row:?}").into());
        };
        let (limit, ratio) = (limit.parse()?, ratio.parse()?);
        let promise = format!("inspect, {look} / a bare walk");
        part.at_most(limit, &promise, Some(ratio), format!("bare {bare} ms"));
        table.row(row);
    }
    part.table(table);
    Ok(())
}

/// The rows of the table that the program prints.
fn rows(bench: &Bench, program: &Path) -> Outcome<Vec<Vec<String>>> {
    let output = Command::new(program)
        .args(bench.extent(None, Some("--quick")))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the benchmark of inspect ended with {}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    let rows = rows.filter_map(|row| row.strip_suffix(" |")).skip(1);
    let cells = |row: &str| row.split(" | ").map(ToOwned::to_owned).collect();
    Ok(rows.map(cells).collect())
}
