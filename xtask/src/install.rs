//! Installs the command with its man pages and completions.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::step::{self, Failure, Outcome, cargo};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder of `bin` and `share`; ~/.local by default
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,

    /// Also install the command as `flock`, which may hide that of util-linux
    #[arg(long)]
    flock: bool,
}

/// The file of each shell's completions, below the prefix.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/lockfast"),
    ("zsh", "share/zsh/site-functions/_lockfast"),
    ("fish", "share/fish/vendor_completions.d/lockfast.fish"),
];

pub(crate) fn run(options: &Options) -> Outcome {
    let prefix = prefix(options)?;
    step::run(&mut cargo(&[
        "build",
        "--profile=dist",
        "--package",
        "lockfast-cli",
    ]))?;
    let built = step::target().join("dist/lockfast");
    install(&built, &prefix, options.flock)
}

/// Installs the debug build of the tests, and checks the installed files.
pub(crate) fn try_out() -> Outcome {
    let prefix = step::target().join("installed");
    if prefix.exists() {
        fs::remove_dir_all(&prefix).map_err(|error| step::failed("remove", &prefix, &error))?;
    }
    let built = step::target().join("debug/lockfast");
    install(&built, &prefix, false)?;
    let flock = prefix.join("bin/flock");
    if flock.exists() {
        return Err(Failure(format!("{} was not asked for", flock.display())));
    }
    // Once more, over the installed files.
    install(&built, &prefix, true)?;
    for file in ["bin/lockfast", "bin/flock", "share/man/man1/lockfast.1"]
        .into_iter()
        .chain(COMPLETIONS.map(|(_, path)| path))
    {
        if read(&prefix.join(file))?.is_empty() {
            return Err(Failure(format!("{file} is empty")));
        }
    }
    step::output(Command::new(flock).arg(built).arg("true")).map(drop)
}

fn install(built: &Path, prefix: &Path, with_flock: bool) -> Outcome {
    println!("\nInstalling to {}", prefix.display());
    let binary = prefix.join("bin/lockfast");
    replace(&binary, |new| {
        fs::copy(built, new)?;
        fs::set_permissions(new, fs::Permissions::from_mode(0o755))
    })?;
    if with_flock {
        replace(&prefix.join("bin/flock"), |new| symlink("lockfast", new))?;
    }
    let pages = prefix.join("share/man/man1");
    create(&pages)?;
    step::output(Command::new(built).arg("man").arg(&pages))?;
    println!("  {}", pages.join("lockfast*.1").display());
    for (shell, path) in COMPLETIONS {
        let text = step::output(Command::new(built).args(["completions", shell]))?;
        replace(&prefix.join(path), |new| fs::write(new, text))?;
    }
    Ok(())
}

fn prefix(options: &Options) -> Result<PathBuf, Failure> {
    let prefix = match &options.prefix {
        Some(prefix) => prefix.clone(),
        None => match std::env::var_os("HOME").filter(|home| !home.is_empty()) {
            Some(home) => Path::new(&home).join(".local"),
            None => return Err(Failure("there is no HOME: say --prefix DIR".to_owned())),
        },
    };
    std::path::absolute(&prefix).map_err(|error| step::failed("find", &prefix, &error))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| step::failed("read", path, &error))
}

fn create(directory: &Path) -> Outcome {
    fs::create_dir_all(directory).map_err(|error| step::failed("create", directory, &error))
}

/// Replaces a file by a new one. The old one may be a program that runs.
fn replace(path: &Path, make: impl FnOnce(&Path) -> std::io::Result<()>) -> Outcome {
    create(path.parent().expect("it is below the prefix"))?;
    let new = path.with_extension(format!("new-{}", std::process::id()));
    make(&new)
        .and_then(|()| fs::rename(&new, path))
        .map_err(|error| {
            // Exists only if the rename failed.
            let _ = fs::remove_file(&new);
            step::failed("write", path, &error)
        })?;
    println!("  {}", path.display());
    Ok(())
}
