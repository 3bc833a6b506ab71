//! The source files of a folder, parsed.

use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, File, Item};

use super::is_of_tests;
use crate::step::{self, Failure};

/// A source file that is no test.
pub(crate) struct Source {
    /// Relative to the folder.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// Without the modules of tests.
    pub(crate) file: File,
}

impl Source {
    #[cfg(test)]
    pub(crate) fn of(path: &str, text: &str) -> Self {
        Self {
            path: path.into(),
            text: text.to_owned(),
            file: syn::parse_file(text).expect("Rust"),
        }
    }

    /// The path of its module: `["file", "open"]`. Empty for the root.
    pub(crate) fn module(&self) -> Vec<String> {
        let mut parts: Vec<String> = self
            .path
            .with_extension("")
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if parts
            .last()
            .is_some_and(|last| last == "mod" || last == "lib" || last == "main")
        {
            parts.pop();
        }
        parts
    }

    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// How many lines come before its tests.
    pub(crate) fn lines(&self) -> usize {
        self.text.lines().count()
    }
}

/// All Rust files below a folder but those of tests.
pub(crate) fn read(folder: &Path) -> Result<Vec<Source>, Failure> {
    read_if(folder, |path| !is_of_tests(path))
}

/// All Rust files below the folder `tests` of each package in a folder.
pub(crate) fn read_tests(folder: &Path) -> Result<Vec<Source>, Failure> {
    read_if(folder, |path| {
        path.iter().nth(1).is_none_or(|part| part == "tests")
    })
}

fn read_if(folder: &Path, is_meant: fn(&Path) -> bool) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    add(folder, folder, is_meant, &mut sources)?;
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(sources)
}

fn add(
    root: &Path,
    folder: &Path,
    is_meant: fn(&Path) -> bool,
    sources: &mut Vec<Source>,
) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).map_err(|error| step::failed("read", folder, &error))?;
    for entry in entries {
        let path = entry
            .map_err(|error| step::failed("read", folder, &error))?
            .path();
        let relative = path
            .strip_prefix(root)
            .expect("it was found there")
            .to_path_buf();
        if !is_meant(&relative) || relative.ends_with("target") {
            continue;
        }
        if path.is_dir() {
            add(root, &path, is_meant, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(parse(&path, relative)?);
        }
    }
    Ok(())
}

fn parse(path: &Path, relative: PathBuf) -> Result<Source, Failure> {
    let text = fs::read_to_string(path).map_err(|error| step::failed("read", path, &error))?;
    // Tests stand last in a file.
    let end = text
        .find("\n#[cfg(test)]\nmod tests {")
        .map_or(text.len(), |end| end + 1);
    let text = text[..end].to_owned();
    let mut file = syn::parse_file(&text)
        .map_err(|error| Failure(format!("cannot parse {}: {error}", path.display())))?;
    file.items.retain(|item| !is_test(item));
    Ok(Source {
        path: relative,
        text,
        file,
    })
}

/// Whether an item is there for tests only.
fn is_test(item: &Item) -> bool {
    let is_cfg_test = |attribute: &Attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .meta
                .require_list()
                .is_ok_and(|list| list.tokens.to_string() == "test")
    };
    match item {
        Item::Mod(item) => item.attrs.iter().any(is_cfg_test),
        Item::Use(item) => item.attrs.iter().any(is_cfg_test),
        Item::Fn(item) => item.attrs.iter().any(is_cfg_test),
        Item::Impl(item) => item.attrs.iter().any(is_cfg_test),
        _ => false,
    }
}
