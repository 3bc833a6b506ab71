//! The map in DESIGN.md names each module of the library under its room, and no other module.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use lockfast_testing::trial;

use crate::page;

const PAGE: &str = include_str!("../../../../DESIGN.md");

/// Modules that are known by the room, the side or the module that they belong to.
const UNNAMED: [&str; 2] = ["mod", "tests"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("map::DESIGN.md", each_module_is_named_in_its_room)]
}

fn each_module_is_named_in_its_room() {
    let source = page::clone().join("crates/lockfast/src");
    let mut missing = Vec::new();
    let mut left_over = Vec::new();
    for room in folders(&source) {
        let name = room.file_name().expect("a name").to_string_lossy();
        let modules = modules(&room);
        let named = named_in(&name);
        missing.extend(modules.difference(&named).map(|of| format!("{name}/{of}")));
        let gone = named.difference(&modules).filter(|of| **of != name);
        left_over.extend(gone.map(|of| format!("{name}/{of}")));
    }
    assert!(
        missing.is_empty() && left_over.is_empty(),
        "not in the map: {missing:?}; no such module: {left_over:?}"
    );
}

/// The folders in a folder.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("its entries").path());
    paths.filter(|path| path.is_dir()).collect()
}

/// The last parts of the names of the modules in a folder and below it.
fn modules(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("its entries").path());
    let files = paths.filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    let stems = files.map(|path| path.file_stem().expect("a name").to_owned());
    let own = stems.map(|stem| stem.into_string().expect("plain text"));
    let own = own.filter(|stem| !UNNAMED.contains(&stem.as_str()));
    let below = folders(folder).into_iter().flat_map(|each| modules(&each));
    own.chain(below).collect()
}

/// The last parts of the names in the first column of that room's tables.
fn named_in(room: &str) -> BTreeSet<String> {
    let map = PAGE.split_once("\n## The map\n").expect("the map").1;
    let heading = format!("\n### {room}\n");
    let section = map.split_once(&heading).map(|(_, rest)| rest);
    let section = section.unwrap_or_else(|| panic!("the map has no room {room}"));
    let section = section.split("\n### ").next().expect("its text");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.split('|').next().expect("a cell"));
    let names = cells.flat_map(|cell| cell.split('`').step_by(2));
    let last = names.map(|name| name.trim().rsplit('/').next().unwrap_or_default());
    last.filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}
