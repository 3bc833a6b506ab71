//! A wall clock that jumps.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::NamedTempFile;

/// The wall clock of some processes. Their other clocks are those of the machine.
#[derive(Debug)]
pub struct WallClock {
    library: PathBuf,
    /// With the time to add.
    file: NamedTempFile,
}

impl WallClock {
    /// Whether there can be one.
    ///
    /// # Errors
    ///
    /// Says what is missing.
    pub fn available() -> Result<(), String> {
        library().map(drop)
    }

    /// Returns a clock that shows the time of the machine.
    ///
    /// # Panics
    ///
    /// Panics where it is not [`available`](Self::available).
    pub fn start() -> Self {
        let clock = Self {
            library: library().unwrap_or_else(|why| panic!("{why}")),
            file: NamedTempFile::new().expect("a temporary file"),
        };
        clock.set(0);
        clock
    }

    /// Sets the clock to that many seconds after the time of the machine, or before it.
    ///
    /// # Panics
    ///
    /// Panics if its file can't be written.
    pub fn set(&self, seconds: i64) {
        // One write, so that nobody reads a part.
        fs::write(self.file.path(), format!("{seconds:+}\n")).expect("written");
    }

    /// Adds a command that runs the one after it by this clock.
    ///
    /// The library leaves shared memory behind, unless the program that it is loaded for ends in order and becomes no
    /// other one.
    pub fn add_to(&self, command: &mut Command) {
        let set = |name: &str, path: &Path| format!("{name}={}", path.display());
        command
            .arg("env")
            .arg(set("LD_PRELOAD", &self.library))
            .arg(set("FAKETIME_TIMESTAMP_FILE", self.file.path()))
            .args(["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]);
    }
}

/// Finds the library, whose directory is that of the processor.
fn library() -> Result<PathBuf, String> {
    const FILE: &str = "faketime/libfaketimeMT.so.1";
    let directories = fs::read_dir("/usr/lib").into_iter().flatten();
    directories
        .filter_map(|directory| Some(directory.ok()?.path().join(FILE)))
        .find(|path| path.exists())
        .ok_or_else(|| format!("there is no {FILE}; `cargo xtask setup` installs it"))
}
