//! Rust programs of the pages: each is compiled as it stands, and run.
//!
//! A block without a `main` is code for a function that returns a `Result`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use libtest_mimic::Trial;
use lockfast_testing::trial_needing;
use serde_json::Value;

use crate::block::{Block, blocks};
use crate::cargo_builds;
use crate::normal::normal;
use crate::page::{self, PAGES};
use crate::session::{Session, until_the_end};

pub(crate) fn trials() -> Vec<Trial> {
    all()
        .into_iter()
        .map(|block| {
            let name = block.name("rust");
            trial_needing!(&name, cargo_builds(), move || compiles_and_runs(&block))
        })
        .collect()
}

fn all() -> Vec<Block> {
    PAGES.iter().flat_map(|page| blocks(page, "rust")).collect()
}

fn compiles_and_runs(block: &Block) {
    let program = programs().get(&program_name(block));
    let program = program.expect("it compiles; what the compiler says is above");
    let session = Session::new();
    let directory = session.path();
    let mut command = Command::new(program);
    let (output, succeeds) = until_the_end(command.current_dir(&directory));
    assert!(succeeds, "{output}");
    // The expected output is in a comment on the line that prints it.
    let shown = block.lines.iter().filter(|line| line.contains("println!("));
    let shown = shown.filter_map(|line| line.split_once(" // "));
    let shown: Vec<_> = shown.map(|(_, text)| normal(text, &directory)).collect();
    if !shown.is_empty() {
        let printed: Vec<_> = output
            .lines()
            .map(|line| normal(line, &directory))
            .collect();
        assert_eq!(printed, shown, "it prints\n{output}");
    }
}

fn program_name(block: &Block) -> String {
    let page = Path::new(block.page).file_stem().expect("a file");
    format!("{}-{}", page.to_string_lossy().to_lowercase(), block.line)
}

/// Compiles the programs of all blocks and returns those that succeeded, by name.
fn programs() -> &'static HashMap<String, PathBuf> {
    static PROGRAMS: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    PROGRAMS.get_or_init(compile)
}

fn compile() -> HashMap<String, PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documents");
    let sources = folder.join("src/bin");
    // Ignores programs of earlier versions of the pages.
    let _ = fs::remove_dir_all(&sources);
    fs::create_dir_all(&sources).expect("a directory");
    let crates = page::clone().join("crates");
    let manifest = format!(
        "[package]\nname = \"documents\"\nedition = \"2024\"\n\n[dependencies]\n\
         lockfast = {{ path = '{0}/lockfast', features = ['macros', 'inspect'] }}\n\
         lockfast-space = {{ path = '{0}/lockfast-space' }}\n\
         tokio = {{ version = '1', default-features = false, features = ['rt', 'time', 'macros'] }}\n\n\
         [workspace]\n",
        crates.display()
    );
    fs::write(folder.join("Cargo.toml"), manifest).expect("a manifest");
    let versions = page::clone().join("Cargo.lock");
    fs::copy(versions, folder.join("Cargo.lock")).expect("the versions");
    for block in all() {
        let path = sources.join(program_name(&block)).with_extension("rs");
        fs::write(path, whole(&block)).expect("a source");
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--offline", "--keep-going", "--bins"])
        .args(["--message-format", "json-render-diagnostics"])
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("RUSTFLAGS")
        .current_dir(&folder)
        .stderr(Stdio::inherit());
    let told = cargo.output().expect("Cargo starts").stdout;
    let told = String::from_utf8(told).expect("JSON");
    let messages = told
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    messages
        .filter_map(|message: Value| program(&message))
        .collect()
}

/// Returns the name and path of the program, if the message is about a built one.
fn program(message: &Value) -> Option<(String, PathBuf)> {
    let path = PathBuf::from(message["executable"].as_str()?);
    Some((message["target"]["name"].as_str()?.to_owned(), path))
}

fn whole(block: &Block) -> String {
    let text = block.lines.join("\n");
    // Guards are bound to variables to hold them.
    let allowed = "#![allow(unused)]\n";
    if text.contains("fn main()") {
        format!("{allowed}{text}\n")
    } else {
        format!(
            "{allowed}fn main() -> Result<(), Box<dyn std::error::Error>> {{\n{text}\nOk(())\n}}\n"
        )
    }
}
