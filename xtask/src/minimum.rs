//! Compiles each crate with the oldest Rust that it declares (`rust-version`).
//!
//! A version for which there is no compiler is skipped.

mod compiler;

use std::collections::{BTreeMap, HashMap, HashSet};

use clap::Args;
use serde_json::Value;

use compiler::Compiler;

use crate::skips;
use crate::step::{self, Failure, Outcome, cargo};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Install nothing; skip the versions for which there is no compiler here
    #[arg(long)]
    pub(crate) no_setup: bool,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let packages = Packages::read()?;
    packages.compare_with_dependencies()?;
    for (version, crates) in packages.by_version() {
        let names = crates.join(", ");
        match Compiler::find(&version, !options.no_setup) {
            Ok(compiler) => {
                for name in &crates {
                    check(name, &compiler)?;
                }
                println!("minimum Rust {version}: checked: {names}");
            }
            Err(Failure(why)) => {
                let reason = format!("{names} can't be compiled: {why}");
                skips::skip(&format!("minimum::{version}"), &reason)?;
            }
        }
    }
    Ok(())
}

/// Compiles a crate with none of its features and with all of them.
fn check(name: &str, compiler: &Compiler) -> Outcome {
    let target = step::target().join("minimum");
    let check = |features: &str| {
        let mut check = cargo(&["check", "--locked", "--package", name, features]);
        check.arg("--target-dir").arg(&target);
        compiler.prepare(&mut check);
        check
    };
    step::run(&mut check("--no-default-features"))?;
    step::run(&mut check("--all-features"))?;
    if name == "lockfast" {
        // The library for platforms without locks.
        let flags = "--cfg lockfast_unsupported";
        step::run(check("--no-default-features").env("RUSTFLAGS", flags))?;
    }
    Ok(())
}

/// The packages of the workspace and their dependencies.
struct Packages {
    metadata: Value,
}

impl Packages {
    fn read() -> Result<Self, Failure> {
        let words = ["metadata", "--locked", "--all-features"];
        let text = step::output(cargo(&words).args(["--format-version", "1"]))?;
        let metadata = serde_json::from_str(&text)
            .map_err(|error| Failure(format!("`cargo metadata` prints no JSON: {error}")))?;
        Ok(Self { metadata })
    }

    /// Returns the names of the workspace's crates by declared version.
    fn by_version(&self) -> BTreeMap<String, Vec<&str>> {
        let mut all = BTreeMap::<_, Vec<_>>::new();
        let packages = self.packages();
        for id in self.members() {
            let package = packages[id];
            let version = text(&package["rust_version"]).to_owned();
            all.entry(version).or_default().push(text(&package["name"]));
        }
        all
    }

    /// Fails if a crate declares an older version than one of its dependencies. This needs no compiler.
    fn compare_with_dependencies(&self) -> Outcome {
        let packages = self.packages();
        for member in self.members() {
            let (name, declared) = (
                text(&packages[member]["name"]),
                text(&packages[member]["rust_version"]),
            );
            for id in self.built_from(member) {
                let other = text(&packages[id]["rust_version"]);
                if numbers(other) > numbers(declared) {
                    let other_name = text(&packages[id]["name"]);
                    return Err(Failure(format!(
                        "{name} declares Rust {declared}, but {other_name}, which it is built from, needs {other}"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Returns the dependencies of a crate, without those of its tests.
    fn built_from<'a>(&'a self, member: &'a str) -> HashSet<&'a str> {
        let nodes = array(&self.metadata["resolve"]["nodes"]);
        let nodes: HashMap<_, _> = nodes.map(|node| (text(&node["id"]), node)).collect();
        let mut found = HashSet::new();
        let mut open = vec![member];
        while let Some(id) = open.pop() {
            for dependency in array(&nodes[id]["deps"]) {
                let mut kinds = array(&dependency["dep_kinds"]);
                let is_for_tests = kinds.all(|kind| kind["kind"] == "dev");
                let id = text(&dependency["pkg"]);
                if !is_for_tests && found.insert(id) {
                    open.push(id);
                }
            }
        }
        found
    }

    fn packages(&self) -> HashMap<&str, &Value> {
        array(&self.metadata["packages"])
            .map(|package| (text(&package["id"]), package))
            .collect()
    }

    fn members(&self) -> impl Iterator<Item = &str> {
        array(&self.metadata["workspace_members"]).map(text)
    }
}

/// Splits a version into numbers, so that 1.9 is less than 1.85. No version is the least.
fn numbers(version: &str) -> Vec<u32> {
    let parts = version.split('.').map_while(|part| part.parse().ok());
    let mut numbers: Vec<_> = parts.collect();
    numbers.resize(3, 0);
    numbers
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(numbers("1.9") < numbers("1.85") && numbers("") < numbers("1.0"));
        assert_eq!(numbers("1.85"), numbers("1.85.0"));
    }

    #[test]
    fn a_crate_that_declares_too_little_is_found() {
        let metadata = |declared| {
            serde_json::json!({
                "workspace_members": ["own"],
                "packages": [
                    {"id": "own", "name": "own", "rust_version": declared},
                    {"id": "near", "name": "near", "rust_version": null},
                    {"id": "far", "name": "far", "rust_version": "1.86.0"},
                    {"id": "test", "name": "test", "rust_version": "1.95"},
                ],
                "resolve": {"nodes": [
                    {"id": "own", "deps": [
                        {"pkg": "near", "dep_kinds": [{"kind": null}]},
                        {"pkg": "test", "dep_kinds": [{"kind": "dev"}]},
                    ]},
                    {"id": "near", "deps": [{"pkg": "far", "dep_kinds": [{"kind": "build"}]}]},
                    {"id": "far", "deps": []},
                    {"id": "test", "deps": []},
                ]},
            })
        };
        let compare = |declared| {
            let metadata = metadata(declared);
            Packages { metadata }.compare_with_dependencies()
        };
        assert!(compare("1.86").is_ok() && compare("1.90").is_ok());
        let Err(Failure(why)) = compare("1.85") else {
            panic!("far needs more");
        };
        assert!(why.contains("own") && why.contains("far"), "{why}");
    }
}
