//! Debian packages: of the programs that the tests use, and of others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{self, Failure, Outcome};

/// Programs that the tests use, with their packages.
const PROGRAMS: [(&str, &str); 21] = [
    ("/usr/bin/etcd", "etcd-server"),
    ("/usr/bin/etcdctl", "etcd-client"),
    ("/usr/lib/postgresql/15/bin/postgres", "postgresql-15"),
    ("/usr/sbin/pgbouncer", "pgbouncer"),
    ("bash", "bash"),
    ("faketime", "faketime"),
    ("flock", "util-linux"),
    ("fusermount3", "fuse3"),
    ("ip", "iproute2"),
    ("java", "default-jdk-headless"),
    ("javac", "default-jdk-headless"),
    ("nft", "nftables"),
    ("openssl", "openssl"),
    ("perl", "perl-base"),
    ("python3", "python3"),
    ("script", "bsdutils"),
    ("setpriv", "util-linux"),
    ("setsid", "util-linux"),
    ("strace", "strace"),
    ("tmux", "tmux"),
    ("unshare", "util-linux"),
];

/// Installs the packages of the programs that the tests use and that are missing.
pub(crate) fn install() -> Outcome {
    let packages = missing(&PROGRAMS).into_iter().chain(for_python());
    install_all(packages.collect()).map_err(|Failure(why)| {
        Failure(format!(
            "{why}\nOr run `cargo xtask test --no-setup`, which leaves out what needs them."
        ))
    })
}

/// Installs the packages of the missing entries: each is a program or the path of a file, with its package.
pub(crate) fn require(needed: &[(&str, &'static str)]) -> Outcome {
    install_all(missing(needed))
}

fn missing(needed: &[(&str, &'static str)]) -> Vec<&'static str> {
    let missing = needed.iter().filter(|(name, _)| !is_installed(name));
    missing.map(|&(_, package)| package).collect()
}

fn install_all(mut packages: Vec<&'static str>) -> Outcome {
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    install_by(&packages).map_err(|Failure(why)| {
        Failure(format!(
            "{why}\nWhat is needed is in these packages: {}. Install them by hand.",
            packages.join(" ")
        ))
    })
}

/// Installs the package that Python needs to create environments, if it is missing.
pub(crate) fn require_python() -> Outcome {
    install_all(for_python().collect())
}

fn for_python() -> impl Iterator<Item = &'static str> {
    let missing = !can_make_python_environments();
    missing.then_some("python3-venv").into_iter()
}

/// Unpacks packages into a directory, without installing them.
pub(crate) fn unpack(packages: &[&str], into: &Path) -> Outcome {
    let fail = |error| step::failed("write", into, &error);
    let archives = into.join("archives");
    fs::create_dir_all(&archives).map_err(fail)?;
    let mut download = Command::new("apt-get");
    download.args(["--quiet", "download"]).args(packages);
    step::run_in(&archives, &mut download)?;
    for archive in fs::read_dir(&archives).map_err(fail)? {
        let archive = archive.map_err(fail)?.path();
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("--extract").args([&archive, into]);
        step::run(&mut unpack)?;
    }
    fs::remove_dir_all(&archives).map_err(fail)
}

/// Updates apt's list of packages.
pub(crate) fn update() -> Outcome {
    if !is_installed("apt-get") {
        return Err(Failure("there is no apt-get here".to_owned()));
    }
    step::run(&mut apt_get(&["update"]))
}

/// Returns the versions of a package that apt can install.
pub(crate) fn versions(package: &str) -> Result<Vec<String>, Failure> {
    let table = step::output(Command::new("apt-cache").args(["madison", package]))?;
    let versions = table.lines().filter_map(|line| line.split('|').nth(1));
    Ok(versions.map(|version| version.trim().to_owned()).collect())
}

/// Returns the first package that this one depends on with this beginning of the name.
pub(crate) fn dependency(package: &str, begin: &str) -> Result<String, Failure> {
    let depends = step::output(Command::new("apt-cache").args(["depends", package]))?;
    let names = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "));
    let mut fitting = names.filter(|name| name.starts_with(begin));
    fitting.next().map(ToOwned::to_owned).ok_or_else(|| {
        Failure(format!(
            "`apt-cache depends {package}` names nothing that begins with {begin}"
        ))
    })
}

/// Installs the packages, or upgrades them.
pub(crate) fn install_by(packages: &[&str]) -> Outcome {
    update()?;
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
    command.args([
        "DEBIAN_FRONTEND=noninteractive",
        "sh",
        "-c",
        WITHOUT_DAEMONS,
    ]);
    command.args(["apt-get", "--quiet"]);
    // Another process may be installing, and a mirror may fail for a moment.
    command.args(["--option", "DPkg::Lock::Timeout=600"]);
    command.args(["--option", "Acquire::Retries=3"]);
    command.args(arguments);
    command
}

/// Runs apt-get with a policy by which no package starts its daemon, unless the machine has a policy.
const WITHOUT_DAEMONS: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
"$0" "$@"
"#;

fn is_root() -> bool {
    let id = Command::new("id").arg("--user").output();
    id.is_ok_and(|id| id.stdout == b"0\n")
}

/// Whether a program, by its name, or a file, by its path, exists.
fn is_installed(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    // The last two are not in the path of Debian's users.
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let for_root = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&directories)
        .chain(for_root)
        .any(|directory| directory.join(program).is_file())
}

/// Whether Python has two modules that are in a separate package of Debian.
fn can_make_python_environments() -> bool {
    let tried = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .output();
    tried.is_ok_and(|tried| tried.status.success())
}
