//! Locks by name: this program starts itself again as the other process, in an environment that is
//! made for the test.
#![cfg(unix)]

#[path = "processes/program.rs"]
mod program;

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};

use lockfast::{
    Lock, LockGuard, Options, ReentrantLock, RwLock, Scope, Semaphore, SemaphorePermit,
};
use program::own_program;
use tempfile::TempDir;

const NOBODY: &str = "65534";
const NAME: &str = "LOCKFAST_TEST_NAME";
const SCOPE: &str = "LOCKFAST_TEST_SCOPE";
const USER: &str = "LOCKFAST_TEST_USER";
const PERMITS: &str = "LOCKFAST_TEST_PERMITS";
const EXPOSE: &str = "LOCKFAST_TEST_EXPOSE";
const ANSWER: &str = "actor: ";

/// Another process that takes a lock, or a permit, by its name.
struct Actor {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Actor {
    fn start(name: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = own_program()
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
        actor.end();
        answer
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        self.output.for_each(drop);
        self.child.wait().expect("its end");
    }
}

/// Takes the lock or a permit, says so, and holds it until its input ends.
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
    if let Ok(permits) = std::env::var(PERMITS) {
        let permits = permits.parse().expect("a number");
        let permit = scoped(Semaphore::options())
            .open_named(&name, permits)
            .and_then(|semaphore| {
                expose_if_told(semaphore.path());
                semaphore.try_acquire()
            });
        hold(permit.as_ref().map(SemaphorePermit::path));
    } else {
        let guard = scoped(Lock::options()).open_named(&name).and_then(|lock| {
            expose_if_told(lock.path());
            lock.try_lock()
        });
        hold(guard.as_ref().map(LockGuard::path));
    }
}

fn scoped<L>(options: Options<L>) -> Options<L> {
    match std::env::var_os(SCOPE) {
        Some(_) => options.scope(Scope::Machine),
        None => options,
    }
}

/// Lets others into the directory, and removes the file, so that it must be opened again.
fn expose_if_told(file: &Path) {
    if std::env::var_os(EXPOSE).is_some() {
        let directory = file.parent().expect("it has one");
        fs::set_permissions(directory, Permissions::from_mode(0o777)).expect("its mode");
        fs::remove_file(file).expect("removed");
    }
}

fn hold(taken: Result<&Path, &lockfast::Error>) {
    match taken {
        Ok(path) => println!("{ANSWER}{}", path.display()),
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
fn processes_share_the_permits_of_a_name() {
    let runtime = runtime();
    let environment = [in_runtime(&runtime), (PERMITS, "2")];
    let mut holders = [(); 2].map(|()| Actor::start("test::permits", &environment));
    for holder in &mut holders {
        let path = PathBuf::from(holder.answer());
        assert_eq!(path, runtime.path().join("lockfast/test::permits.lock"));
        assert_eq!(mode(&path), 0o600);
    }
    let refused = Actor::answer_of("test::permits", &environment);
    assert!(refused.contains("test::permits.lock"), "{refused}");
    let other = Actor::answer_of("test::other", &environment);
    assert!(other.ends_with("lockfast/test::other.lock"), "{other}");
    let another_number = [in_runtime(&runtime), (PERMITS, "3")];
    let refused = Actor::answer_of("test::permits", &another_number);
    assert!(refused.contains("3 permits here and 2 where"), "{refused}");

    let [mut killed, other] = holders;
    killed.child.kill().expect("killed");
    killed.child.wait().expect("its end");
    let next = Actor::answer_of("test::permits", &environment);
    assert!(next.ends_with("lockfast/test::permits.lock"), "{next}");
    other.end();
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
    for permits in [None, Some((PERMITS, "2"))] {
        let mut environment = vec![in_runtime(&runtime), (EXPOSE, "1")];
        environment.extend(permits);
        let refused = Actor::answer_of("exposed", &environment);
        assert!(
            refused.contains("cannot keep named locks in") && refused.contains("others can enter"),
            "{refused}"
        );
        let directory = runtime.path().join("lockfast");
        fs::set_permissions(directory, Permissions::from_mode(0o700)).expect("its mode");
    }
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
fn a_lock_and_a_semaphore_of_one_name_exclude_each_other() {
    let name = unique("permits");
    let pool = Semaphore::named(&name, 2).expect("a semaphore");
    let permit = pool.acquire().expect("free");
    assert_eq!(
        Semaphore::named(&name, 2).expect("it").available().ok(),
        Some(1)
    );
    let lock = lockfast::named(&name).expect("a lock");
    assert!(lock.try_lock().expect_err("held").is_contended());
    drop(permit);
    drop(lock.try_lock().expect("free"));
    fs::remove_file(lock.path()).expect("removed");
}

#[test]
fn a_reentrant_lock_and_a_lock_of_one_name_exclude_each_other() {
    let name = unique("reentrant");
    let lock = ReentrantLock::named(&name).expect("a lock");
    let guards = (lock.lock().expect("free"), lock.lock().expect("again"));
    let other = lockfast::named(&name).expect("a lock");
    assert!(other.try_lock().expect_err("held").is_contended());
    drop(guards);
    drop(other.try_lock().expect("free"));
    fs::remove_file(other.path()).expect("removed");
}

#[test]
fn names_are_checked_before_anything_is_created() {
    for name in ["", "..", "a/b", ".hidden", "a\0"] {
        for refused in [
            Lock::named(name).map(drop),
            RwLock::named(name).map(drop),
            ReentrantLock::named(name).map(drop),
            Semaphore::named(name, 2).map(drop),
        ] {
            let error = refused.expect_err("not a name");
            assert!(error.is_invalid_path(), "{error}");
            assert_eq!(error.path(), Path::new(name));
        }
    }
}

#[test]
fn what_no_semaphore_can_have_is_refused_by_name_too() {
    let name = unique("refused");
    let path = lockfast::named(&name).expect("a lock").path().to_owned();
    fs::remove_file(&path).expect("removed");
    let removing = Semaphore::options().remove_on_release(true);
    for refused in [Semaphore::named(&name, 0), removing.open_named(&name, 2)] {
        assert_eq!(refused.expect_err("refused").path(), path);
        assert!(!path.exists());
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

    let pool = Semaphore::options().scope(Scope::Machine);
    let pool = pool.open_named(&name, 2).expect("a semaphore");
    assert_eq!(pool.path(), lock.path());
    environment.push((PERMITS, "2"));
    let permit = pool.acquire().expect("free");
    let path = Actor::answer_of(&name, &environment);
    assert_eq!(Path::new(&path), lock.path());
    let other = pool.acquire().expect("free");
    let refused = Actor::answer_of(&name, &environment);
    assert!(refused.contains("cannot"), "{refused}");
    drop((permit, other));
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
