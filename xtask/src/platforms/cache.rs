//! The cache for all clones of the repository: the compiler, the linker, and third-party code that CI has built.
//!
//! Several runs may use it at once. One of them creates an entry, under a lock; after that the entry never
//! changes. Built code is copied to and from the cache and never built in it, because two clones have different
//! code under the same names.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockfast::{Options, RwLock, RwLockWriteGuard};

use crate::step::{self, Failure, Outcome};

/// The folder of the cache.
pub(crate) fn folder() -> Result<PathBuf, Failure> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let caches = set("XDG_CACHE_HOME").map(PathBuf::from);
    let caches = caches.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")));
    let folder = caches.map(|caches| caches.join("lockfast-platforms"));
    folder.ok_or_else(|| {
        Failure("set XDG_CACHE_HOME or HOME, so that there is a place for a compiler".to_owned())
    })
}

/// Locks the cache for a run that creates an entry, until the guard is dropped.
pub(crate) fn alone() -> Result<RwLockWriteGuard, Failure> {
    let lock = lock()?;
    lock.try_write().or_else(|error| {
        if !error.is_contended() {
            return Err(Failure(error.to_string()));
        }
        println!("waiting for another run that fills the cache");
        lock.write().map_err(|error| Failure(error.to_string()))
    })
}

fn lock() -> Result<RwLock, Failure> {
    let path = folder()?.join("making.lock");
    let options = Options::<RwLock>::default().create_dirs(true);
    options
        .open(path)
        .map_err(|error| Failure(error.to_string()))
}

/// Returns a short name for some content.
pub(super) fn key(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Third-party code that one version of the compiler has built.
#[derive(Debug)]
pub(super) struct Builds {
    folder: PathBuf,
}

/// Folders that Cargo builds in, below the folder of the platforms.
const BUILT_IN: [&str; 2] = ["build", "check"];

/// Folders that Cargo needs to use built code again.
const KEPT: [&str; 3] = [".fingerprint", "build", "deps"];

impl Builds {
    pub(super) fn of(compiler: &str) -> Result<Self, Failure> {
        // Not named after Cargo.lock too: a new dependency must not discard the standard libraries.
        let folder = folder()?.join(format!("{PREFIX}{}", key(compiler.as_bytes())));
        Ok(Self { folder })
    }

    /// Copies the code to targets for which nothing is built yet.
    pub(super) fn restore(&self) -> Outcome {
        let reading = lock()?.read();
        let reading = reading.map_err(|error| Failure(error.to_string()))?;
        for kind in BUILT_IN {
            for target in names(&self.folder.join(kind))? {
                let into = super::folder().join(kind);
                if !into.join(&target).exists() {
                    copy(&self.folder.join(kind), &[target], &into)?;
                }
            }
        }
        drop(reading);
        Ok(())
    }

    /// Adds new code, and removes code that other compilers have built.
    pub(super) fn keep(&self) -> Outcome {
        let making = alone()?;
        if !self.folder.exists() {
            remove_others()?;
        }
        for kind in BUILT_IN {
            let from = super::folder().join(kind);
            for target in names(&from)? {
                let target = PathBuf::from(target);
                let profiles = names(&from.join(&target))?;
                let profiles = profiles.into_iter().map(|profile| target.join(profile));
                // Build scripts and macros run here: they are in a profile without a target.
                for profile in profiles.chain([target.clone()]) {
                    for part in KEPT {
                        let part = profile.join(part);
                        add(&from.join(&part), &self.folder.join(kind).join(&part))?;
                    }
                }
            }
        }
        drop(making);
        Ok(())
    }
}

/// The beginning of the folders' names.
const PREFIX: &str = "builds-";

fn remove_others() -> Outcome {
    let all = folder()?;
    for name in names(&all)? {
        let path = all.join(&name);
        if name.to_string_lossy().starts_with(PREFIX) {
            fs::remove_dir_all(&path).map_err(|error| step::failed("remove", &path, &error))?;
        }
    }
    Ok(())
}

/// Copies entries that are new and do not belong to the workspace.
fn add(from: &Path, into: &Path) -> Outcome {
    let present: HashSet<_> = names(into)?.into_iter().collect();
    let new = names(from)?.into_iter().filter(|name| {
        let text = name.to_string_lossy();
        // Programs are tests: third-party code is in libraries.
        let is_program = from.ends_with("deps") && !text.starts_with("lib");
        !present.contains(name) && !is_program && !text.contains("lockfast")
    });
    copy(from, &new.collect::<Vec<_>>(), into)
}

/// Copies files and folders with their times, by which Cargo knows that they are fresh.
fn copy(from: &Path, names: &[OsString], into: &Path) -> Outcome {
    if names.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(into).map_err(|error| step::failed("create", into, &error))?;
    let mut copy = Command::new("cp");
    copy.arg("--archive").arg("--target-directory").arg(into);
    copy.args(names.iter().map(|name| from.join(name)));
    let status = copy.status().map_err(|error| Failure(error.to_string()))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure(format!(
        "cannot copy {} to {}: cp failed: {status}",
        from.display(),
        into.display()
    )))
}

/// Returns the names in a directory; none if there is no directory.
fn names(directory: &Path) -> Result<Vec<OsString>, Failure> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if is_no_directory(&error) => return Ok(Vec::new()),
        Err(error) => return Err(step::failed("read", directory, &error)),
    };
    entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<_>>()
        .map_err(|error| step::failed("read", directory, &error))
}

fn is_no_directory(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}
