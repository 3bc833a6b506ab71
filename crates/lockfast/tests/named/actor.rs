//! Another process that takes a lock, or a permit, by its name.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use lockfast::{Lock, LockGuard, Options, Scope, Semaphore, SemaphorePermit};

use lockfast_testing::own_program;

pub(crate) const NOBODY: u32 = 65_534;
/// The word that makes this program one.
pub(crate) const ACTOR: &str = "actor";
pub(crate) const SCOPE: &str = "LOCKFAST_TEST_SCOPE";
pub(crate) const USER: &str = "LOCKFAST_TEST_USER";
pub(crate) const PERMITS: &str = "LOCKFAST_TEST_PERMITS";
pub(crate) const EXPOSE: &str = "LOCKFAST_TEST_EXPOSE";
const ANSWER: &str = "actor: ";

pub(crate) struct Actor {
    pub(crate) child: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Actor {
    pub(crate) fn start(name: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = own_program()
            .args([ACTOR, name])
            .env_remove("XDG_RUNTIME_DIR")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let output = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { child, output }
    }

    /// The path of the lock that it holds now, or why it holds none.
    pub(crate) fn answer(&mut self) -> String {
        let answer = self.output.find_map(|line| {
            let line = line.expect("a line");
            let answer = line.split_once(ANSWER)?.1;
            Some(answer.to_owned())
        });
        answer.expect("an answer")
    }

    /// Waits for its answer and its end.
    pub(crate) fn answer_of(name: &str, environment: &[(&str, &str)]) -> String {
        let mut actor = Self::start(name, environment);
        let answer = actor.answer();
        actor.end();
        answer
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("its end");
    }

    pub(crate) fn end(mut self) {
        drop(self.child.stdin.take());
        self.output.for_each(drop);
        self.child.wait().expect("its end");
    }
}

/// Takes the lock or a permit, says so, and holds it until its input ends.
pub(crate) fn run(name: &str) {
    if let Ok(user) = std::env::var(USER) {
        let user: u32 = user.parse().expect("a number");
        nix::unistd::setgid(user.into()).expect("the group of the user");
        nix::unistd::setuid(user.into()).expect("the user");
    }
    if let Ok(permits) = std::env::var(PERMITS) {
        let permits = permits.parse().expect("a number");
        let permit = scoped(Semaphore::options())
            .open_named(name, permits)
            .and_then(|semaphore| {
                expose_if_told(semaphore.path());
                semaphore.try_acquire()
            });
        hold(permit.as_ref().map(SemaphorePermit::path));
    } else {
        let guard = scoped(Lock::options()).open_named(name).and_then(|lock| {
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
