//! Figures on how the code is built, and the rules that it must keep.

pub(crate) mod calls;
mod comments;
mod imports;
mod names;
mod sources;

use std::path::Path;

use clap::Args;

use crate::step::{self, Failure, Outcome};
use sources::Source;

/// The rooms of the library, from the bottom to the top. A module imports from its own room and from those below.
const ROOMS: [&str; 9] = [
    "sys", "protocol", "types", "file", "queue", "wait", "handle", "inspect", "api",
];

#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// List each finding with its file
    #[arg(long)]
    list: bool,
    /// Also count the functions between the call of a free lock and the kernel. Takes gdb
    #[arg(long)]
    calls: bool,
}

/// Prints the figures, and fails if an import goes up or in a circle.
pub(crate) fn run(options: &Options) -> Outcome {
    let library = sources::read(&step::root().join("crates/lockfast/src"))?;
    let graph = imports::Graph::of(&library);
    let upward = graph.upward(&ROOMS);
    let circles = graph.circles();
    println!("The library");
    figure("imports that go up", upward.len());
    figure("circles of imports", circles.len());
    figure(
        "files in the largest circle",
        circles.iter().map(Vec::len).max().unwrap_or(0),
    );
    let repeated = names::repeated(&library);
    figure("type names used twice", repeated.len());
    let lines = comments::lines(&library);
    figure("lines, without tests and models", lines.all);
    println!(
        "{:>8.3}  comment lines to a code line",
        lines.comments_to_code()
    );
    let largest = library.iter().map(Source::lines).max().unwrap_or(0);
    figure("lines in the largest file", largest);
    if options.calls {
        let functions = calls::before_the_kernel()?;
        let way = || functions.iter().filter(|function| function.is_open);
        figure(
            "functions on the way to the kernel, free lock",
            way().count(),
        );
        figure("files of these", calls::files(way()));
        figure(
            "functions that run before the kernel, of any kind",
            functions.len(),
        );
        figure("files of these", calls::files(functions.iter()));
        if options.list {
            let shown = |function: &calls::Function| {
                let mark = if function.is_open {
                    "on the way"
                } else {
                    "returned"
                };
                format!("{mark}: {} {}", function.file, function.name)
            };
            list("call", functions.iter().map(shown));
        }
    }
    if options.list {
        list(
            "up",
            upward.iter().map(|(from, to)| format!("{from} -> {to}")),
        );
        list("circle", circles.iter().map(|circle| circle.join(", ")));
        list(
            "name",
            repeated
                .iter()
                .map(|(name, files)| format!("{name}: {}", files.join(", "))),
        );
        let long = library.iter().filter(|source| source.lines() > 300);
        list(
            "long",
            long.map(|source| format!("{}: {}", source.name(), source.lines())),
        );
    }
    let mut dialect = 0;
    for folder in ["crates", "xtask"] {
        let sources = sources::read(&step::root().join(folder))?;
        dialect += documented(folder, &sources, options.list);
    }
    let tests = sources::read_tests(&step::root().join("crates"))?;
    dialect += documented("tests of crates", &tests, options.list);
    let mut broken = Vec::new();
    if !upward.is_empty() {
        broken.push("an import goes up");
    }
    if !circles.is_empty() {
        broken.push("files import each other in a circle");
    }
    if dialect > 0 {
        broken.push("a doc comment is a question, or too many start with a pronoun clause");
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(Failure(format!(
            "{}; --list shows where",
            broken.join("; ")
        )))
    }
}

/// Prints how the doc comments of a folder begin. Returns how many are too many.
fn documented(folder: &str, sources: &[Source], list_them: bool) -> usize {
    let docs = comments::docs(sources);
    #[allow(clippy::cast_precision_loss, reason = "a figure to read")]
    let share = |count: usize| 100.0 * count as f64 / docs.all.max(1) as f64;
    println!("\n{folder}: {} doc comments", docs.all);
    println!(
        "{:>7.1}%  start with a pronoun clause",
        share(docs.clauses.len())
    );
    println!("{:>7.1}%  are a question", share(docs.questions.len()));
    if list_them {
        list("clause", docs.clauses.iter().cloned());
        list("question", docs.questions.iter().cloned());
    }
    let allowed = docs.all / 50;
    docs.questions.len() + docs.clauses.len().saturating_sub(allowed)
}

fn figure(name: &str, value: usize) {
    println!("{value:>8}  {name}");
}

fn list(label: &str, lines: impl Iterator<Item = String>) {
    for line in lines {
        println!("          {label}: {line}");
    }
}

/// Whether the path is of a test or of a model, by its name.
fn is_of_tests(path: &Path) -> bool {
    path.components().any(|part| {
        let part = part.as_os_str().to_string_lossy();
        [
            "tests",
            "tests.rs",
            "model",
            "model.rs",
            "together",
            "together.rs",
            "benches",
            "examples",
        ]
        .contains(&&*part)
    })
}
