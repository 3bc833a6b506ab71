//! Old compilers, from rustup or from Debian packages.
//!
//! Packages are unpacked into the cache, not installed, so that they do not replace any other Rust.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian;
use crate::platforms::cache;
use crate::step::{self, Failure};

/// A compiler with a standard library for this machine.
#[derive(Debug)]
pub(super) struct Compiler {
    program: PathBuf,
    /// The directory of the libraries, unless the system finds them by itself.
    libraries: Option<PathBuf>,
}

impl Compiler {
    /// Finds a compiler of that version, or fails with the reason why there is none.
    ///
    /// Unless `may_install` is set, the compiler must be on this machine already.
    pub(super) fn find(version: &str, may_install: bool) -> Result<Self, Failure> {
        let compiler = match of_rustup(version) {
            Some(compiler) => compiler,
            None => of_debian(version, may_install)?,
        };
        let release = compiler.release()?;
        if is_of(&release, version) {
            Ok(compiler)
        } else {
            let program = compiler.program.display();
            Err(Failure(format!("{program} is of version {release}")))
        }
    }

    /// Makes Cargo use this compiler.
    pub(super) fn prepare(&self, command: &mut Command) {
        self.find_libraries(command);
        command
            .env("RUSTC", &self.program)
            .env_remove("RUSTUP_TOOLCHAIN")
            // The Python package uses the stable ABI, which needs no interpreter.
            .env("PYO3_NO_PYTHON", "1")
            .env("PYO3_BUILD_EXTENSION_MODULE", "1");
    }

    fn release(&self) -> Result<String, Failure> {
        let mut tell = Command::new(&self.program);
        self.find_libraries(&mut tell);
        let told = step::output(tell.arg("-vV"))?;
        let release = told.lines().find_map(|line| line.strip_prefix("release: "));
        Ok(release.unwrap_or_default().to_owned())
    }

    fn find_libraries(&self, command: &mut Command) {
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
    }
}

/// Returns rustup's toolchain of that version, if it is installed.
fn of_rustup(version: &str) -> Option<Compiler> {
    let list = Command::new("rustup").args(["toolchain", "list"]).output();
    let list = String::from_utf8(list.ok()?.stdout).ok()?;
    // Such as `1.85.0-x86_64-unknown-linux-gnu (default)`.
    let mut names = list.lines().filter_map(|line| line.split(' ').next());
    let name = names.find(|name| name.split('-').next().is_some_and(|it| is_of(it, version)))?;
    let mut which = Command::new("rustup");
    let path = which.args(["which", "--toolchain", name, "rustc"]).output();
    let path = String::from_utf8(path.ok()?.stdout).ok()?;
    let program = PathBuf::from(path.trim_end());
    program.is_file().then_some(Compiler {
        program,
        libraries: None,
    })
}

/// Returns the compiler of that version from Debian packages.
fn of_debian(version: &str, may_install: bool) -> Result<Compiler, Failure> {
    let directory = cache::folder()?.join(format!("rust-{version}"));
    let complete = directory.join("complete");
    if !complete.exists() {
        if !may_install {
            let why = "rustup has no toolchain of it, and nothing is installed with --no-setup";
            return Err(Failure(why.to_owned()));
        }
        let making = cache::alone()?;
        // Another run may have unpacked it meanwhile.
        if !complete.exists() {
            unpack(version, &directory)?;
            fs::write(&complete, version)
                .map_err(|error| step::failed("write", &complete, &error))?;
        }
        drop(making);
    }
    Ok(Compiler {
        program: directory.join("usr/bin/rustc"),
        libraries: Some(libraries(&directory)?),
    })
}

fn unpack(version: &str, directory: &Path) -> Result<(), Failure> {
    debian::update()?;
    for (compiler, library) in FAMILIES {
        let releases = debian::versions(compiler)?;
        let Some(release) = releases.into_iter().find(|release| is_of(release, version)) else {
            continue;
        };
        if directory.exists() {
            fs::remove_dir_all(directory)
                .map_err(|error| step::failed("remove", directory, &error))?;
        }
        // The package of the compiler's library has the version in its name, and depends on the code generator.
        let own = format!("{library}-{version}");
        let generator = debian::dependency(&own, "libllvm")?;
        let packages = [
            format!("{compiler}={release}"),
            format!("{library}-dev={release}"),
            own,
            generator,
        ];
        return debian::unpack(&packages.each_ref().map(String::as_str), directory);
    }
    Err(Failure(
        "rustup has no toolchain of it, and Debian's packages have none of this version".to_owned(),
    ))
}

/// Packages of compilers, with the beginning of the names of their libraries' packages.
const FAMILIES: [(&str, &str); 2] = [("rustc", "libstd-rust"), ("rustc-web", "libstd-rust-web")];

/// Returns the directory of the libraries of the compiler and its code generator.
fn libraries(directory: &Path) -> Result<PathBuf, Failure> {
    let all = directory.join("usr/lib");
    let fail = |error| step::failed("read", &all, &error);
    let mut folders = fs::read_dir(&all).map_err(fail)?.filter_map(Result::ok);
    let folder = folders.find(|folder| folder.file_name().to_string_lossy().contains("-linux-"));
    folder
        .map(|folder| folder.path())
        .ok_or_else(|| Failure(format!("{} has no libraries", all.display())))
}

/// Whether a release such as `1.85.1`, or `1.85.0+dfsg3-1`, is one of a version such as `1.85`.
fn is_of(release: &str, version: &str) -> bool {
    let rest = release.strip_prefix(version);
    rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_belongs_to_one_version() {
        for release in ["1.85", "1.85.0", "1.85.1", "1.85.0+dfsg3-1"] {
            assert!(is_of(release, "1.85"), "{release}");
        }
        for release in ["1.850.0", "1.8", "1.86.0", "stable", ""] {
            assert!(!is_of(release, "1.85"), "{release}");
        }
        assert!(is_of("1.85.1", "1.85.1") && !is_of("1.85.10", "1.85.1"));
    }
}
