//! Promises 8 and 10: what can't be a lock file is refused, clearly and unharmed, and a file system
//! that can't lock says so.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use lockfast::{Lock, Verify};
use lockfast_testing::{own_words, trial, trial_needing};
use nix::sys::stat::Mode;

use crate::stage::{Actor, Stage};

pub(crate) fn trials() -> Vec<Trial> {
    let in_namespace = |name, test: fn()| trial_needing!(name, can_unshare(), test);
    vec![
        trial("inputs::links_are_refused", links_are_refused),
        trial(
            "inputs::links_are_followed_when_asked",
            links_are_followed_when_asked,
        ),
        trial(
            "inputs::what_is_not_a_regular_file_is_refused",
            not_a_regular_file,
        ),
        trial(
            "inputs::paths_that_can_not_be_are_refused",
            paths_that_can_not_be,
        ),
        trial(
            "inputs::any_bytes_but_nul_make_a_path",
            any_bytes_but_nul_make_a_path,
        ),
        trial("inputs::missing_directories", missing_directories),
        trial(
            "inputs::options_that_contradict_are_refused",
            options_that_contradict,
        ),
        trial("inputs::the_mode_is_exact", the_mode_is_exact),
        trial(
            "inputs::the_content_is_left_alone",
            the_content_is_left_alone,
        ),
        trial(
            "inputs::a_full_table_of_descriptors",
            a_full_table_of_descriptors,
        ),
        trial("inputs::files_that_were_given", files_that_were_given),
        trial("inputs::no_permission", no_permission),
        in_namespace("inputs::a_read_only_file_system", a_read_only_file_system),
        trial_needing!(
            "inputs::a_file_system_without_locks",
            can_mount_programs(),
            a_file_system_without_locks,
        ),
    ]
}

/// Opening that path fails with this kind and text, and leaks no descriptor.
#[track_caller]
fn refuses(actor: &mut Actor, path: &Path, options: &str, kind: &str, text: &str) {
    let before = actor.ask("count fd");
    let command = format!("open x {} {options}", path.display());
    let error = actor.ask_in_vain(command.trim_end());
    assert!(error.starts_with(&format!("{kind}:")), "{error}");
    assert!(error.contains(&*path.to_string_lossy()), "{error}");
    assert!(error.contains(text), "{error}");
    assert_eq!(actor.ask("count fd"), before, "{error}");
}

fn links_are_refused() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    let (target, link) = (stage.path("target"), stage.path("link"));
    symlink(&target, &link).expect("a link");
    refuses(&mut actor, &link, "", "invalid-path", "symbolic link");
    assert!(!target.exists(), "a dangling link was followed");
    fs::write(&target, "content").expect("a file");
    refuses(&mut actor, &link, "", "invalid-path", "symbolic link");
    assert_eq!(fs::read(&target).expect("the target"), b"content");

    // Put in place of the lock while it is open.
    actor.ask(&format!("open a {}", stage.lock().display()));
    fs::remove_file(stage.lock()).expect("removed");
    symlink(&target, stage.lock()).expect("a link");
    assert!(actor.ask_in_vain("lock a g").starts_with("invalid-path:"));
}

fn links_are_followed_when_asked() {
    let stage = Stage::new();
    let mut one = Actor::start();
    let mut other = Actor::start();
    let target = stage.path("target");
    symlink("target", stage.path("second")).expect("a link");
    symlink("second", stage.lock()).expect("a link");
    one.ask(&format!("open a {} follow", stage.lock().display()));
    assert!(
        target.is_file(),
        "a chain of dangling links leads to the new file"
    );
    other.ask(&format!("open a {}", target.display()));
    one.ask("lock a g");
    assert_eq!(one.ask("current g"), "true");
    assert!(other.ask_in_vain("try a g").starts_with("contended:"));

    let circle = stage.path("circle");
    symlink("circle", &circle).expect("a link");
    refuses(&mut one, &circle, "follow", "system", "ymbolic link");
}

fn not_a_regular_file() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    let fifo = stage.path("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).expect("a FIFO");
    refuses(&mut actor, &fifo, "", "invalid-path", "FIFO");
    assert!(fifo.metadata().expect("still there").file_type().is_fifo());
    let socket = stage.path("socket");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    refuses(&mut actor, &socket, "", "invalid-path", "socket");
    refuses(
        &mut actor,
        stage.directory(),
        "",
        "invalid-path",
        "directory",
    );
    refuses(
        &mut actor,
        Path::new("/dev/null"),
        "",
        "invalid-path",
        "device",
    );
    refuses(
        &mut actor,
        Path::new("/dev/tty"),
        "",
        "invalid-path",
        "device",
    );
}

fn paths_that_can_not_be() {
    let stage = Stage::new();
    let empty = Lock::open("").expect_err("an empty path");
    assert!(
        empty.is_invalid_path() && empty.to_string().contains("empty"),
        "{empty}"
    );
    let nul = Lock::open("a\0b").expect_err("a NUL byte");
    assert!(
        nul.is_invalid_path() && nul.to_string().contains("NUL"),
        "{nul}"
    );

    let mut actor = Actor::start();
    let long_name = stage.directory().join("n".repeat(300));
    refuses(&mut actor, &long_name, "", "system", "too long");
    let mut long_path = PathBuf::from(stage.directory());
    long_path.extend(std::iter::repeat_n("0123456789", 500));
    refuses(&mut actor, &long_path, "", "system", "too long");
    refuses(
        &mut actor,
        &stage.path("no-file/"),
        "",
        "system",
        "directory",
    );
}

fn any_bytes_but_nul_make_a_path() {
    let stage = Stage::new();
    let name = std::ffi::OsStr::from_bytes(b"\xff \n\xc3\x28.lock");
    let path = stage.path(name);
    let lock = Lock::open(&path).expect("opened");
    let guard = lock.lock().expect("locked");
    assert_eq!(guard.path(), path);
    let error = Lock::open(&path)
        .expect("opened")
        .try_lock()
        .expect_err("held");
    assert!(error.to_string().contains(".lock"), "{error}");
}

fn missing_directories() {
    let stage = Stage::new();
    let mut actor = Actor::start();
    let deep = stage.path("one/two/three/a.lock");
    refuses(
        &mut actor,
        &deep,
        "no-dirs",
        "system",
        "directory does not exist",
    );
    assert!(!stage.path("one").exists());
    actor.ask(&format!("open a {}", deep.display()));
    // The whole directory vanishes: it is made anew, as at the first time.
    fs::remove_dir_all(stage.path("one")).expect("removed");
    actor.ask("lock a g");
    assert!(deep.exists());

    let file = stage.path("file");
    fs::write(&file, "content").expect("a file");
    let below = file.join("a.lock");
    refuses(
        &mut actor,
        &below,
        "",
        "system",
        "a file where a directory must be",
    );
    refuses(
        &mut actor,
        &below,
        "no-dirs",
        "system",
        "a file where a directory must be",
    );
    assert_eq!(fs::read(&file).expect("the file"), b"content");
}

fn options_that_contradict() {
    let stage = Stage::new();
    let error = Lock::options()
        .mode(0o100_644)
        .open(stage.lock())
        .expect_err("a mode");
    assert!(error.to_string().contains("mode"), "{error}");
    let contradiction = Lock::options().remove_on_release(true).verify(Verify::Off);
    let error = contradiction
        .open(stage.lock())
        .expect_err("a contradiction");
    assert!(error.to_string().contains("remove_on_release"), "{error}");
    assert!(!stage.lock().exists());
    let file = tempfile::tempfile().expect("a file");
    let error = Lock::options()
        .remove_on_release(true)
        .from_file(file)
        .expect_err("no path");
    assert!(error.to_string().contains("remove_on_release"), "{error}");
}

fn the_mode_is_exact() {
    for (mode, umask) in [
        ("600", "000"),
        ("666", "077"),
        ("660", "777"),
        ("2664", "022"),
    ] {
        let stage = Stage::new();
        let script = format!("umask {umask}; exec \"$0\" \"$@\" actor");
        let mut shell = Command::new("sh");
        let mut actor = Actor::start_by(shell.arg("-c").arg(script).args(own_words()));
        actor.ask(&format!("open a {} mode={mode}", stage.lock().display()));
        let got = stage.lock().metadata().expect("the file").mode() & 0o7777;
        assert_eq!(format!("{got:o}"), mode, "umask {umask}");
        // A file that exists keeps its own.
        actor.ask(&format!("open b {} mode=640", stage.lock().display()));
        assert_eq!(
            stage.lock().metadata().expect("the file").mode() & 0o7777,
            got
        );
        let names = fs::read_dir(stage.directory())
            .expect("the directory")
            .count();
        assert_eq!(names, 1, "nothing else is left in the directory");
    }
    let stage = Stage::new();
    let mut actor = Actor::start_by(
        Command::new("sh")
            .arg("-c")
            .arg("umask 027; exec \"$0\" \"$@\" actor")
            .args(own_words()),
    );
    actor.ask(&format!("open a {}", stage.lock().display()));
    assert_eq!(
        stage.lock().metadata().expect("the file").mode() & 0o7777,
        0o640
    );
}

fn the_content_is_left_alone() {
    let stage = Stage::new();
    fs::write(stage.lock(), "content").expect("a file");
    fs::set_permissions(stage.lock(), Permissions::from_mode(0o604)).expect("a mode");
    let before = stage.lock().metadata().expect("the file");
    for options in ["", "protocol=both mode=600", "verify=path"] {
        let mut actor = Actor::with_lock(&stage, options);
        actor.ask("lock a g");
        assert_eq!(actor.ask("read-guard g"), "content");
        actor.ask("release g");
        let after = stage.lock().metadata().expect("the file");
        assert_eq!(after.mode(), before.mode());
        assert_eq!(
            after.modified().expect("a time"),
            before.modified().expect("a time")
        );
        assert_eq!(after.len(), before.len());
    }
}

fn a_full_table_of_descriptors() {
    let stage = Stage::new();
    let mut actor = Actor::with_lock(&stage, "");
    let other = stage.path("other.lock");
    actor.ask("lock a g");
    actor.ask("fill-table");
    let open_other = format!("open x {}", other.display());
    let error = actor.ask_in_vain(&open_other);
    assert!(error.contains("too many open files"), "{error}");
    assert!(error.contains(&*other.to_string_lossy()), "{error}");
    // What is open works on, and makes room once nobody uses it.
    actor.ask("release g");
    actor.ask("lock a g");
    actor.ask("release g");
    actor.ask(&open_other);
    actor.ask("lock x h");
    let error = actor.ask_in_vain("lock a g");
    assert!(error.contains("too many open files"), "{error}");
    actor.ask("release h");
    actor.ask("lock a g");
    actor.ask("release g");
    fs::remove_file(stage.lock()).expect("removed");
    actor.ask("drop-filling");
    actor.ask("try a g");
}

fn files_that_were_given() {
    let stage = Stage::new();
    fs::write(stage.lock(), "content").expect("a file");
    let reading = fs::File::open(stage.lock()).expect("opened");
    let lock = Lock::from_file(reading).expect("a handle");
    for _ in 0..2 {
        let error = lock.try_lock().expect_err("not open for writing");
        assert!(error.to_string().contains("open for writing"), "{error}");
        assert_eq!(error.path(), stage.lock());
    }
    let directory = fs::File::open(stage.directory()).expect("opened");
    assert!(
        Lock::from_file(directory)
            .expect_err("a directory")
            .is_invalid_path()
    );

    // Locked wherever it is, even when it has no name any more.
    let unnamed = tempfile::tempfile().expect("a file");
    let lock = Lock::from_file(unnamed).expect("a handle");
    for _ in 0..2 {
        let guard = lock.try_lock().expect("locked");
        assert!(lock.try_lock().expect_err("held").is_contended());
        guard.release().expect("released");
    }
}

fn no_permission() {
    const NOBODY: u32 = 65_534;
    let stage = Stage::new();
    fs::set_permissions(stage.directory(), Permissions::from_mode(0o755)).expect("a mode");
    // A copy that everybody can execute, wherever the build is.
    let own = stage.path("program");
    lockfast_testing::copy_program(std::env::current_exe().expect("this program"), &own);
    let closed = stage.path("closed");
    fs::create_dir(&closed).expect("a directory");
    fs::set_permissions(&closed, Permissions::from_mode(0o555)).expect("a mode");
    fs::write(stage.lock(), "content").expect("a file");
    fs::set_permissions(stage.lock(), Permissions::from_mode(0o444)).expect("a mode");

    let mut command = Command::new(&own);
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut actor = Actor::start_by(command.arg("actor"));
    refuses(
        &mut actor,
        &stage.lock(),
        "",
        "permission-denied",
        "owner and mode",
    );
    refuses(
        &mut actor,
        &closed.join("a.lock"),
        "",
        "permission-denied",
        "owner and mode",
    );
    refuses(
        &mut actor,
        &closed.join("x/a.lock"),
        "",
        "permission-denied",
        "owner and mode",
    );
    assert_eq!(fs::read(stage.lock()).expect("the file"), b"content");

    // To read under a readers-writer lock takes no right to write.
    actor.ask(&format!("rw open r {}", stage.lock().display()));
    actor.ask("rw read r h");
    actor.ask("rw release h");
    for how in ["write", "try-write", "upgradable"] {
        let refused = actor.ask_in_vain(&format!("rw {how} r i"));
        assert!(refused.starts_with("permission-denied:"), "{refused}");
        assert!(refused.contains("reading only"), "{refused}");
    }

    // A flock needs no right to write, as flock(1) shows.
    actor.ask(&format!("open a {} protocol=flock", stage.lock().display()));
    actor.ask("lock a g");
    fs::set_permissions(stage.lock(), Permissions::from_mode(0o000)).expect("a mode");
    refuses(
        &mut actor,
        &stage.lock(),
        "protocol=flock",
        "permission-denied",
        "owner and mode",
    );
}

fn a_read_only_file_system() {
    let stage = Stage::new();
    let script = "mount -t tmpfs lockfast \"$1\" && touch \"$1/a.lock\" \
                  && mount -o remount,ro \"$1\" && exec \"$0\" actor";
    let mut actor = in_namespace(script, stage.directory());
    refuses(&mut actor, &stage.lock(), "", "system", "read-only");
    refuses(
        &mut actor,
        &stage.path("new.lock"),
        "",
        "system",
        "read-only",
    );
    refuses(
        &mut actor,
        &stage.path("x/new.lock"),
        "",
        "system",
        "read-only",
    );
    actor.ask(&format!("open a {} protocol=flock", stage.lock().display()));
    actor.ask("lock a g");
}

fn a_file_system_without_locks() {
    let cases = [
        (libc::ENOLCK, "unsupported"),
        (libc::ENOSYS, "unsupported"),
        (libc::EOPNOTSUPP, "unsupported"),
        (libc::EIO, "system"),
    ];
    for (errno, kind) in cases {
        for protocol in ["fcntl", "flock", "both"] {
            let stage = Stage::new();
            let mut actor = in_namespace("exec \"$0\" actor", stage.directory());
            actor.ask(&format!(
                "mount-lockless {} {errno}",
                stage.directory().display()
            ));
            actor.ask(&format!(
                "open a {} protocol={protocol}",
                stage.lock().display()
            ));
            let before: usize = actor.ask("count fd").parse().expect("a number");
            for command in ["try a g", "lock a g", "for a g 3600000"] {
                let error = actor.ask_in_vain(command);
                assert!(error.starts_with(&format!("{kind}:")), "{error}");
                assert!(error.contains(&*stage.lock().to_string_lossy()), "{error}");
                if kind == "unsupported" {
                    assert!(error.contains("local file system"), "{error}");
                }
            }
            // A file that could not even be unlocked is closed, and opened again when needed.
            let after: usize = actor.ask("count fd").parse().expect("a number");
            assert!(after <= before, "{after} descriptors after {before}");
            actor.ask("unmount-lockless");
        }
    }

    // One that grants them all is no better.
    let stage = Stage::new();
    let mut actor = in_namespace("exec \"$0\" actor", stage.directory());
    actor.ask(&format!("mount-lockless {} 0", stage.directory().display()));
    for protocol in ["fcntl", "both"] {
        let options = format!("protocol={protocol}");
        let text = "grants a lock that is held already";
        refuses(&mut actor, &stage.lock(), &options, "unsupported", text);
    }
    let lock = stage.lock();
    actor.ask(&format!("open a {} protocol=flock", lock.display()));
    actor.ask("unmount-lockless");
}

/// An actor in a mount namespace of its own, where mounting harms nobody.
pub(crate) fn in_namespace(script: &str, directory: &Path) -> Actor {
    let own = std::env::current_exe().expect("this program");
    Actor::start_by(
        Command::new("unshare")
            .args(unshare_arguments())
            .args(["sh", "-c", script])
            .arg(own)
            .arg(directory),
    )
}

fn unshare_arguments() -> &'static [&'static str] {
    if nix::unistd::geteuid().is_root() {
        &["--mount"]
    } else {
        &["--user", "--map-root-user", "--mount"]
    }
}

/// Whether a program can be mounted as a file system.
pub(crate) fn can_mount_programs() -> Result<(), String> {
    if Path::new("/dev/fuse").exists() {
        can_unshare()
    } else {
        Err("it needs /dev/fuse".into())
    }
}

fn can_unshare() -> Result<(), String> {
    let mut command = Command::new("unshare");
    command
        .args(unshare_arguments())
        .arg("true")
        .stderr(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err("it needs unshare(1) and the right to use it".into()),
    }
}
