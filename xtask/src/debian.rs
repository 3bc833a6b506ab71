//! Programs that the tests use, from Debian's packages.

use std::process::Command;

use crate::step::{self, Failure, Outcome};

/// Which package has which program, or which file.
const PROGRAMS: [(&str, &str); 11] = [
    ("bash", "bash"),
    ("flock", "util-linux"),
    ("fusermount3", "fuse3"),
    ("java", "default-jdk-headless"),
    ("javac", "default-jdk-headless"),
    ("perl", "perl-base"),
    ("python3", "python3"),
    ("setsid", "util-linux"),
    ("strace", "strace"),
    ("tmux", "tmux"),
    ("unshare", "util-linux"),
];

/// Installs the packages of the programs that are missing.
pub(crate) fn install() -> Outcome {
    let mut packages: Vec<_> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_installed(program))
        .map(|&(_, package)| package)
        .collect();
    if !can_make_python_environments() {
        packages.push("python3-venv");
    }
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    install_by(&packages).map_err(|Failure(why)| {
        Failure(format!(
            "{why}\nThe tests need programs of these packages: {}. Install them, or run \
             `cargo xtask test --no-setup`, which leaves out what needs them.",
            packages.join(" ")
        ))
    })
}

fn install_by(packages: &[&str]) -> Outcome {
    if !is_installed("apt-get") {
        return Err(Failure("there is no apt-get here".to_owned()));
    }
    step::run(&mut apt_get(&["update"]))?;
    let mut install = apt_get(&["install", "--yes", "--no-install-recommends"]);
    step::run(install.args(packages))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = if is_root() {
        Command::new("env")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg("env");
        sudo
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
    command.args(arguments);
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("--user").output();
    id.is_ok_and(|id| id.stdout == b"0\n")
}

fn is_installed(program: &str) -> bool {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&directories).any(|directory| directory.join(program).is_file())
}

/// Debian has these two modules in a package of their own.
fn can_make_python_environments() -> bool {
    let tried = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .output();
    tried.is_ok_and(|tried| tried.status.success())
}
