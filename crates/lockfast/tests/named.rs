//! Locks by name: this program starts itself again as the other process, in an environment that is
//! made for the test.
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use lockfast::{Lock, RwLock, Scope};
use tempfile::TempDir;

const NOBODY: &str = "65534";
const NAME: &str = "LOCKFAST_TEST_NAME";
const SCOPE: &str = "LOCKFAST_TEST_SCOPE";
const USER: &str = "LOCKFAST_TEST_USER";
const EXPOSE: &str = "LOCKFAST_TEST_EXPOSE";
const ANSWER: &str = "actor: ";

/// Another process that takes a lock by its name.
struct Actor {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Actor {
    fn start(name: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "actor", "--ignored", "--nocapture"])
            .env(NAME, name)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let output = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { child, output }
    }

    /// The path of the lock that it holds now, or why it holds none.
    fn answer(&mut self) -> String {
        let answer = self.output.find_map(|line| {
            let line = line.expect("a line");
            let answer = line.split_once(ANSWER)?.1;
            Some(answer.to_owned())
        });
        answer.expect("an answer")
    }

    /// What it answers; it is gone then.
    fn answer_of(name: &str, environment: &[(&str, &str)]) -> String {
        let mut actor = Self::start(name, environment);
        let answer = actor.answer();
        drop(actor.child.stdin.take());
        actor.output.for_each(drop);
        actor.child.wait().expect("its end");
        answer
    }
}

/// Takes the lock, says so, and holds it until its input ends.
#[test]
#[ignore = "the other process of these tests"]
fn actor() {
    let Ok(name) = std::env::var(NAME) else {
        return;
    };
    if let Ok(user) = std::env::var(USER) {
        let user: u32 = user.parse().expect("a number");
        nix::unistd::setgid(user.into()).expect("the group of the user");
        nix::unistd::setuid(user.into()).expect("the user");
    }
    let mut options = Lock::options();
    if std::env::var_os(SCOPE).is_some() {
        options = options.scope(Scope::Machine);
    }
    let guard = options.open_named(&name).and_then(|lock| {
        if std::env::var_os(EXPOSE).is_some() {
            let directory = lock.path().parent().expect("it has one");
            fs::set_permissions(directory, Permissions::from_mode(0o777)).expect("its mode");
            fs::remove_file(lock.path()).expect("removed");
        }
        lock.try_lock()
    });
    match &guard {
        Ok(guard) => println!("{ANSWER}{}", guard.path().display()),
        Err(error) => println!("{ANSWER}{error}"),
    }
    std::io::stdin().lines().for_each(drop);
}

fn runtime() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).expect("its mode");
    directory
}

fn in_runtime(runtime: &TempDir) -> (&'static str, &str) {
    (
        "XDG_RUNTIME_DIR",
        runtime.path().to_str().expect("a plain path"),
    )
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it exists").mode() & 0o7777
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn processes_exclude_each_other_by_name() {
    let runtime = runtime();
    let environment = [in_runtime(&runtime)];
    let mut holder = Actor::start("test::exclusion", &environment);
    let path = PathBuf::from(holder.answer());
    assert_eq!(path, runtime.path().join("lockfast/test::exclusion.lock"));
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().expect("it has one")), 0o700);

    let refused = Actor::answer_of("test::exclusion", &environment);
    let held = format!("held by pid {}", holder.child.id());
    assert!(
        refused.contains("test::exclusion.lock") && refused.contains(&held),
        "{refused}"
    );
    let other = Actor::answer_of("test::other", &environment);
    assert!(other.ends_with("lockfast/test::other.lock"), "{other}");

    holder.child.kill().expect("killed");
    holder.child.wait().expect("its end");
    let next = Actor::answer_of("test::exclusion", &environment);
    assert_eq!(Path::new(&next), path);
}

#[test]
fn what_is_planted_in_the_runtime_directory_is_refused() {
    let runtime = runtime();
    let elsewhere = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink(elsewhere.path(), runtime.path().join("lockfast")).expect("a link");
    let refused = Actor::answer_of("planted", &[in_runtime(&runtime)]);
    assert!(
        refused.contains("cannot keep named locks in") && refused.contains("symbolic link"),
        "{refused}"
    );
    assert_eq!(fs::read_dir(elsewhere.path()).expect("it").count(), 0);
}

#[test]
fn the_directory_is_looked_at_whenever_the_file_is_opened() {
    let runtime = runtime();
    let refused = Actor::answer_of("exposed", &[in_runtime(&runtime), (EXPOSE, "1")]);
    assert!(
        refused.contains("cannot keep named locks in") && refused.contains("others can enter"),
        "{refused}"
    );
}

#[test]
fn a_lock_and_an_rwlock_of_one_name_exclude_each_other() {
    let name = unique("both");
    let readers = RwLock::named(&name).expect("a lock");
    let reader = readers.read().expect("free");
    let lock = lockfast::named(&name).expect("a lock");
    assert!(lock.try_lock().expect_err("held").is_contended());
    drop(reader);
    drop(lock.try_lock().expect("free"));
    fs::remove_file(lock.path()).expect("removed");
}

#[test]
fn names_are_checked_before_anything_is_created() {
    for name in ["", "..", "a/b", ".hidden", "a\0"] {
        let error = Lock::named(name).expect_err("not a name");
        assert!(error.is_invalid_path(), "{error}");
        assert_eq!(error.path(), Path::new(name));
    }
}

#[test]
fn all_users_share_the_machines_locks() {
    let name = unique("machine");
    let lock = match Lock::options().scope(Scope::Machine).open_named(&name) {
        Ok(lock) => lock,
        // Not all systems have a directory for that, and some have it for root alone.
        Err(error) => {
            assert!(
                error.is_unsupported() || error.is_permission_denied(),
                "{error}"
            );
            return;
        }
    };
    assert!(
        lock.path()
            .ends_with(format!("lock/lockfast-{name}.lock").as_str()),
        "{lock:?}"
    );
    assert_eq!(mode(lock.path()), 0o666);
    let mut environment = vec![(SCOPE, "machine")];
    if is_root() {
        environment.push((USER, NOBODY));
    }
    let guard = lock.lock().expect("free");
    let refused = Actor::answer_of(&name, &environment);
    assert!(
        refused.contains("cannot take lock") && refused.contains("held by pid"),
        "{refused}"
    );
    drop(guard);
    let path = Actor::answer_of(&name, &environment);
    assert_eq!(Path::new(&path), lock.path());
    fs::remove_file(lock.path()).expect("removed");
}

#[test]
fn users_have_locks_of_their_own() {
    if !is_root() {
        eprintln!("left out: only root can be two users");
        return;
    }
    let name = unique("users");
    let as_user = |user| PathBuf::from(Actor::answer_of(&name, &[(USER, user)]));
    let (one, other) = (as_user("0"), as_user(NOBODY));
    assert_ne!(one, other);
    for (path, owner) in [(one, "0"), (other, NOBODY)] {
        let directory = path.parent().expect("it has one");
        assert_eq!(mode(directory), 0o700, "{}", path.display());
        let found = directory.metadata().expect("it is there").uid();
        assert_eq!(found.to_string(), owner);
        fs::remove_file(path).expect("removed");
    }
}

/// A name that no other run has.
fn unique(what: &str) -> String {
    format!("lockfast-test-{what}-{}", std::process::id())
}
