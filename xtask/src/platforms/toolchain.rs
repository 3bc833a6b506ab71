//! A compiler with the sources of the standard library, for systems and processors without a standard library
//! on this machine.
//!
//! Debian's security archive has a compiler for building browsers, with matching sources. Its packages are
//! unpacked, not installed, so that they do not replace any other Rust.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache;
use crate::debian;
use crate::step::{self, Failure};

/// The compiler, in its folder of the cache.
#[derive(Debug)]
pub(crate) struct Toolchain {
    directory: PathBuf,
}

const PACKAGES: [&str; 4] = [
    "rustc-web",
    "rust-web-clippy",
    "rust-web-src",
    "libstd-rust-web-dev",
];

/// Folders that builds do not need: half of 720 MB.
const NOT_NEEDED: [&str; 3] = ["usr/src/rustc/compiler", "usr/src/rustc/src", "usr/share"];

impl Toolchain {
    /// Installs the compiler, unless it is there.
    pub(crate) fn install() -> Result<Self, Failure> {
        let directory = cache::folder()?.join("toolchain");
        let toolchain = Self { directory };
        // The file names the package of the code generator, which is installed and not in the cache.
        let complete = toolchain.directory.join("complete");
        if !complete.exists() {
            let making = cache::alone()?;
            // Another run may have installed it meanwhile.
            if !complete.exists() {
                let generator = toolchain.make()?;
                fs::write(&complete, generator)
                    .map_err(|error| step::failed("write", &complete, &error))?;
            }
            drop(making);
        }
        if toolchain.version().is_err() {
            let generator = fs::read_to_string(&complete)
                .map_err(|error| step::failed("read", &complete, &error))?;
            debian::install_by(&[&generator])?;
        }
        Ok(toolchain)
    }

    /// Returns the version that the compiler reports.
    pub(crate) fn version(&self) -> Result<String, Failure> {
        let mut compiler = Command::new(self.directory.join("usr/bin/rustc"));
        compiler.env("LD_LIBRARY_PATH", self.directory.join("usr/lib"));
        step::output(compiler.arg("-vV"))
    }

    /// Unpacks the compiler, and returns the name of the package of its code generator.
    fn make(&self) -> Result<String, Failure> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            let why = "the toolchain for other platforms is for Debian on x86-64";
            return Err(Failure(why.to_owned()));
        }
        if self.directory.exists() {
            fs::remove_dir_all(&self.directory)
                .map_err(|error| step::failed("remove", &self.directory, &error))?;
        }
        debian::update()?;
        let library = debian::dependency("libstd-rust-web-dev", "libstd-rust-web-")?;
        let generator = debian::dependency(&library, "libllvm")?;
        let packages: Vec<_> = PACKAGES.into_iter().chain([library.as_str()]).collect();
        debian::unpack(&packages, &self.directory)?;
        self.tidy()
            .map_err(|error| step::failed("change", &self.directory, &error))?;
        Ok(generator)
    }

    fn tidy(&self) -> std::io::Result<()> {
        // The directory of the sources has the version in its name.
        let sources = only_entry(&self.directory.join("usr/src"))?;
        for path in NOT_NEEDED {
            let path = path.replacen("usr/src/rustc", &sources.to_string_lossy(), 1);
            let path = self.directory.join(path);
            if path.exists() {
                fs::remove_dir_all(path)?;
            }
        }
        // The programs look for the library here, and must not find others.
        let beside = self.directory.join("usr/lib/x86_64-linux-gnu");
        for library in fs::read_dir(beside)? {
            let name = library?.file_name();
            if name.to_string_lossy().starts_with("librustc_driver") {
                let target = Path::new("x86_64-linux-gnu").join(&name);
                symlink(target, self.directory.join("usr/lib").join(name))?;
            }
        }
        Ok(())
    }

    /// Returns a command of Cargo with this compiler, which builds the standard library too.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut command = step::cargo(&[subcommand]);
        self.prepare(&mut command);
        command
    }

    /// Returns a command of this compiler's Clippy.
    pub(crate) fn clippy(&self) -> Command {
        let mut command = Command::new(self.directory.join("usr/bin/cargo-clippy"));
        command.arg("clippy");
        self.prepare_in("check", &mut command);
        command
    }

    /// Makes a command use this compiler.
    pub(crate) fn prepare(&self, command: &mut Command) {
        self.prepare_in("build", command);
    }

    fn prepare_in(&self, folder: &str, command: &mut Command) {
        let programs = self.directory.join("usr/bin");
        command
            .arg("-Zbuild-std=std,panic_unwind")
            .arg("--target-dir")
            .arg(super::folder().join(folder))
            // Building the standard library needs a flag of nightly compilers.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", programs.join("rustc"))
            .env("RUSTDOC", programs.join("rustdoc"))
            .env("LD_LIBRARY_PATH", self.directory.join("usr/lib"))
            // Saves a fifth of the time and half of the disk space.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            // Incremental builds help only after a small change.
            .env("CARGO_INCREMENTAL", "0")
            .env_remove("RUSTUP_TOOLCHAIN");
    }
}

fn only_entry(directory: &Path) -> std::io::Result<OsString> {
    let mut entries = fs::read_dir(directory)?;
    let entry = entries
        .next()
        .unwrap_or_else(|| Err(std::io::ErrorKind::NotFound.into()))?;
    Ok(entry.path().into_os_string())
}
