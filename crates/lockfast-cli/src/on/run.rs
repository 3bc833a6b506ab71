//! `lockfast run --on`: takes locks of a space, runs the command, and ends it if a lock is lost.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::future::poll_fn;
use std::process::Command;
use std::sync::mpsc::{self, TryRecvError};
use std::task::Poll;
use std::thread;

use lockfast::binding_support::lock_all;
use lockfast::engine::WaitLimit;
use lockfast::{ErrorKind, Member, MemberGuard, Protocol, Result};
use lockfast_space::{Any, RwLock, Semaphore, Space};

use super::failed;
use crate::args::{self, OnLost};
use crate::child::{self, Limit, Loss, Signals};
use crate::exit::{Exit, say};
use crate::run::start::{not_started, with_shell};
use crate::sys;

type Guards = Vec<MemberGuard<Any>>;

/// An opened lock of the command line.
enum Opened {
    Alone(RwLock),
    Shared(RwLock),
    Permits(Semaphore),
}

impl Opened {
    fn member(&self) -> Member<'_, Any> {
        match self {
            Self::Alone(lock) => Member::Write(lock),
            Self::Shared(lock) => Member::Read(lock),
            Self::Permits(semaphore) => Member::Permit(semaphore),
        }
    }
}

pub(crate) fn run(arguments: &args::Run, url: &str) -> Exit {
    if let Some(option) = of_files(arguments) {
        say(format_args!(
            "{option} is for lock files, and not for a space of names (--on, LOCKFAST_SPACE)"
        ));
        return Exit::USAGE;
    }
    let limit = match Limit::of(arguments) {
        Ok(limit) => limit,
        Err(why) => {
            say(why);
            return Exit::USAGE;
        }
    };
    let names: Option<Vec<_>> = arguments.locks.iter().map(|name| name.to_str()).collect();
    let Some(names) = names else {
        say("the name of a lock must be UTF-8");
        return Exit::USAGE;
    };
    // Before the locks are taken: a signal that ended this process would leave its place in the line.
    let mut signals = match Signals::catch(true) {
        Ok(signals) => signals,
        Err(error) => {
            say(format_args!("cannot handle signals: {error}"));
            return Exit::SYSTEM;
        }
    };
    match take(arguments, url, &names, &mut signals) {
        Ok(guards) => under_locks(arguments, limit.as_ref(), names[0], guards, signals),
        Err(exit) => exit,
    }
}

/// Takes the locks. An error has been printed already.
fn take(
    arguments: &args::Run,
    url: &str,
    names: &[&str],
    signals: &mut Signals,
) -> std::result::Result<Guards, Exit> {
    let limit = match arguments.timeout {
        _ if arguments.no_wait => WaitLimit::None,
        Some(timeout) => WaitLimit::lasting(timeout),
        None => WaitLimit::Forever,
    };
    let open = Open {
        url: url.to_owned(),
        names: names.iter().map(|&name| name.to_owned()).collect(),
        permits: arguments.permits,
        is_shared: arguments.shared,
    };
    let taking = async {
        // A thread takes a moment to start, so only what blocks has one: that on etcd waits with the first lock.
        let opened = if url.starts_with("postgres") {
            elsewhere(move || open.all()).await?
        } else {
            open.all()?
        };
        let members = opened.iter().map(Opened::member);
        lock_all(members, limit).await
    };
    let mut waited = 0;
    let tell = || {
        waited += 1;
        // The first second, and then each half minute.
        if !arguments.quiet && waited % 30 == 1 {
            say(format_args!("waiting for {} ({waited}s)", names.join(", ")));
        }
    };
    match signals.until_ready(taking, tell) {
        Ok(Ok(Ok(guards))) => Ok(guards.into_guards()),
        Ok(Ok(Err(error))) => Err(match error.kind() {
            ErrorKind::Contended | ErrorKind::TimedOut => {
                if !arguments.quiet {
                    say(&error);
                }
                Exit::code(arguments.conflict_exit_code)
            }
            _ => failed(error),
        }),
        Ok(Err(signal)) => Err(Exit::Signal(signal)),
        Err(error) => {
            say(format_args!("cannot handle signals: {error}"));
            Err(Exit::SYSTEM)
        }
    }
}

/// Does work that blocks on a thread of its own, which goes on if nobody waits any more.
fn elsewhere<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> impl Future<Output = R> {
    let (sender, done) = mpsc::channel();
    let mut begin = Some((work, sender));
    poll_fn(move |context| {
        if let Some((work, sender)) = begin.take() {
            let waker = context.waker().clone();
            thread::spawn(move || {
                // Fails if nobody waits any more.
                let _ = sender.send(work());
                waker.wake();
            });
        }
        match done.try_recv() {
            Ok(result) => Poll::Ready(result),
            Err(TryRecvError::Empty) => Poll::Pending,
            Err(TryRecvError::Disconnected) => panic!("the thread that opens has panicked"),
        }
    })
}

/// The locks to open.
struct Open {
    url: String,
    names: BTreeSet<String>,
    permits: Option<u32>,
    is_shared: bool,
}

impl Open {
    fn all(&self) -> Result<Vec<Opened>> {
        let space = Space::connect(&self.url)?;
        let open = |name: &String| {
            Ok(match self.permits {
                Some(permits) => Opened::Permits(space.semaphore(name, permits)?),
                None if self.is_shared => Opened::Shared(space.rwlock(name)?),
                None => Opened::Alone(space.rwlock(name)?),
            })
        };
        self.names.iter().map(open).collect()
    }
}

fn under_locks(
    arguments: &args::Run,
    limit: Option<&Limit>,
    first: &str,
    guards: Guards,
    mut signals: Signals,
) -> Exit {
    let of_first = guards.iter().find(|guard| is_named(guard, first));
    let variables = of_first.map(|guard| (guard.token(), guard.epoch()));
    let (token, epoch) = variables.unwrap_or_default();
    let start = |words: &[&OsStr]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command.env("LOCKFAST_NAME", first);
        // Those of an enclosing command belong to another lock.
        match token {
            Some(token) => command
                .env("LOCKFAST_TOKEN", token.to_string())
                .env("LOCKFAST_EPOCH", epoch.to_string()),
            None => command
                .env_remove("LOCKFAST_TOKEN")
                .env_remove("LOCKFAST_EPOCH"),
        };
        let loss = Loss::of(arguments.on_lost, &guards);
        let with_parent = sys::CAN_KILL_WITH_PARENT && arguments.kill_with_parent.unwrap_or(true);
        child::run(&mut command, &mut signals, limit, Some(loss), with_parent)
    };
    let words = &arguments.command;
    let exit = with_shell(words, start).unwrap_or_else(|error| not_started(&words[0], &error, &[]));
    let was_lost = release(guards, exit == Exit::LOST);
    if was_lost && arguments.on_lost != OnLost::Warn {
        Exit::LOST
    } else {
        exit
    }
}

/// Whether the guard is of that name, in whichever form its engine has it.
fn is_named(guard: &MemberGuard<Any>, name: &str) -> bool {
    let resource = guard.resource();
    match (resource.name(), resource.path()) {
        (Some(its), _) => its == name,
        (None, Some(path)) => {
            let file = path.file_name().and_then(OsStr::to_str);
            file.and_then(lockfast::engine::name_of).as_deref() == Some(name)
        }
        (None, None) => false,
    }
}

/// Releases the locks, in reverse order. Returns whether one was lost, which the user may know already.
fn release(guards: Guards, is_known: bool) -> bool {
    let mut was_lost = false;
    for guard in guards.into_iter().rev() {
        if let Err(error) = guard.release() {
            let is_loss = error.kind() == ErrorKind::NotHeld;
            was_lost |= is_loss;
            if !(is_loss && is_known) {
                say(error);
            }
        }
    }
    was_lost
}

/// The first option that only lock files have.
fn of_files(arguments: &args::Run) -> Option<&'static str> {
    let options = [
        (arguments.named.is_some(), "--named"),
        (
            arguments.fifo,
            "--fifo (a directory has the option `?fifo=yes` of its URL; servers keep the order)",
        ),
        (
            !matches!(arguments.protocol.0, Protocol::Fcntl),
            "--protocol",
        ),
        (arguments.mode.is_some(), "--mode"),
        (arguments.any_owner, "--any-owner"),
        (arguments.follow_symlinks, "--follow-symlinks"),
        (arguments.remove, "--remove"),
        (arguments.close, "--close"),
        (arguments.inherit, "--inherit"),
        (arguments.exec, "--exec"),
        (arguments.record, "--record"),
        (arguments.trace.is_some(), "--trace"),
    ];
    options
        .into_iter()
        .find_map(|(is_given, option)| is_given.then_some(option))
}
