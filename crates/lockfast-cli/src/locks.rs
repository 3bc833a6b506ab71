//! Opening and taking several locks, together or not at all, in an order that cannot deadlock.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lockfast::{Fairness, Guards, Member, Options, Result, RwLock, Semaphore, command_support};

use crate::args;
use crate::progress::{Progress, Wanted};
use crate::sys;

/// An opened lock of the command line.
#[derive(Debug)]
pub(crate) enum Opened {
    /// A writer even without readers: a `Lock` would not hold back new `--shared` readers, and
    /// could starve among many of them.
    Alone(RwLock),
    Shared(RwLock),
    Permits(Semaphore),
}

impl Opened {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Alone(lock) | Self::Shared(lock) => lock.path(),
            Self::Permits(semaphore) => semaphore.path(),
        }
    }

    fn member(&self) -> Member<'_> {
        match self {
            Self::Alone(lock) => Member::Write(lock),
            Self::Shared(lock) => Member::Read(lock),
            Self::Permits(semaphore) => Member::Permit(semaphore),
        }
    }
}

/// Opens the locks, each file once.
pub(crate) fn open(arguments: &args::Run, progress: &Progress) -> Result<Vec<Opened>> {
    let open = |path: &PathBuf| {
        // `run` accepts only names that are text.
        let name = arguments.named.and_then(|_| path.to_str());
        if let Some(permits) = arguments.permits {
            let options: Options<Semaphore> = options(arguments, progress);
            match name {
                Some(name) => options.open_named(name, permits),
                None => options.open(path, permits),
            }
            .map(Opened::Permits)
        } else {
            let mut options: Options<RwLock> = options(arguments, progress);
            if arguments.shared && !arguments.remove {
                options = command_support::for_reading(options);
            }
            let opened = if arguments.shared {
                Opened::Shared
            } else {
                Opened::Alone
            };
            match name {
                Some(name) => options.open_named(name),
                None => options.open(path),
            }
            .map(opened)
        }
    };
    let locks = arguments.locks.iter().map(open).collect::<Result<_>>()?;
    Ok(each_once(locks))
}

/// Takes all locks. If one fails, those taken before are released.
pub(crate) fn take(locks: &[Opened], arguments: &args::Run) -> Result<Guards> {
    let members = locks.iter().map(Opened::member);
    match arguments.timeout {
        _ if arguments.no_wait => lockfast::try_lock_all(members),
        Some(timeout) => lockfast::try_lock_all_for(members, timeout),
        None => lockfast::lock_all(members),
    }
}

/// Takes one lock without waiting, and releases it.
pub(crate) fn try_alone(lock: &Opened) -> Result<()> {
    lockfast::try_lock_all([lock.member()])?.release()
}

/// Removes the file of a lock that was left to the processes that inherited it, unless one holds
/// it.
pub(crate) fn remove_unless_held(path: &Path, arguments: &args::Run) -> Result<()> {
    let lock = RwLock::options()
        .protocol(arguments.protocol.0)
        .any_owner(arguments.any_owner)
        .follow_symlinks(arguments.follow_symlinks)
        .create_dirs(false)
        .remove_on_release(true)
        .open(path)?;
    match lock.try_write() {
        Err(error) if error.is_contended() => Ok(()),
        guard => guard?.release(),
    }
}

fn options<L>(arguments: &args::Run, progress: &Progress) -> Options<L> {
    let mut options = Options::default()
        .protocol(arguments.protocol.0)
        .any_owner(arguments.any_owner)
        .follow_symlinks(arguments.follow_symlinks)
        .remove_on_release(arguments.remove && !arguments.inherits())
        .owner_record(arguments.record);
    if let Some(label) = &arguments.label {
        options = options.label(label);
    }
    if arguments.fifo {
        options = options.fairness(Fairness::Fifo);
    }
    if let Some(scope) = arguments.named {
        options = options.scope(scope.0);
    }
    if let Some(mode) = arguments.mode {
        options = options.mode(mode);
    }
    if arguments.no_wait {
        options
    } else {
        let wanted = match arguments.permits {
            Some(_) => Wanted::Permit,
            None => Wanted::Lock,
        };
        progress.watch(options, wanted)
    }
}

/// Removes locks whose file occurs twice, under two paths.
fn each_once(mut locks: Vec<Opened>) -> Vec<Opened> {
    if locks.len() < 2 {
        return locks;
    }
    // Sorted, so that every command keeps the same one of two names.
    locks.sort_by(|one, other| one.path().cmp(other.path()));
    let mut files = BTreeSet::new();
    locks.retain(|lock| {
        // A file that has vanished can't be compared and is kept.
        sys::file_key(lock.path()).map_or(true, |file| files.insert(file))
    });
    locks
}
