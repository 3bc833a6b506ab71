//! Several locks: all or none, in an order in which two commands can't wait for each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lockfast::binding_support::AnyOptions;
use lockfast::{Fairness, Guards, Member, Options, Result, RwLock, Semaphore, command_support};

use crate::args;
use crate::progress::{Progress, Wanted};
use crate::sys;

/// A lock of the command line, to be had alone or with others.
#[derive(Debug)]
pub(crate) enum Opened {
    /// A writer even where nobody reads: a `Lock` would wait without regard for those who `--shared`
    /// come later, and never get in among many of them.
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

/// Opens the locks, each once.
pub(crate) fn open(arguments: &args::Run, progress: &Progress) -> Result<Vec<Opened>> {
    let open = |path: &PathBuf| {
        if let Some(permits) = arguments.permits {
            let options: Options<Semaphore> = options(arguments, progress);
            options.open(path, permits).map(Opened::Permits)
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
            options.open(path).map(opened)
        }
    };
    let locks = arguments.locks.iter().map(open).collect::<Result<_>>()?;
    Ok(each_once(locks))
}

/// Takes all of them; when one can't be had, those taken before are released.
pub(crate) fn take(locks: &[Opened], arguments: &args::Run) -> Result<Guards> {
    let members = locks.iter().map(Opened::member);
    match arguments.timeout {
        _ if arguments.no_wait => lockfast::try_lock_all(members),
        Some(timeout) => lockfast::try_lock_all_for(members, timeout),
        None => lockfast::lock_all(members),
    }
}

/// Takes one of them without waiting, and releases it.
pub(crate) fn try_alone(lock: &Opened) -> Result<()> {
    lockfast::try_lock_all([lock.member()])?.release()
}

/// Removes the file of a lock that was left to those who inherited it, unless somebody holds it.
pub(crate) fn remove_unless_held(path: &Path, arguments: &args::Run) -> Result<()> {
    let lock = RwLock::options()
        .protocol(arguments.protocol.0)
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
        .set_protocol(arguments.protocol.0)
        .any_owner(arguments.any_owner)
        .set_remove_on_release(arguments.remove && !arguments.inherits())
        .set_owner_record(arguments.record);
    if let Some(label) = &arguments.label {
        options = options.set_label(label);
    }
    if arguments.fifo {
        options = options.fairness(Fairness::Fifo);
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

/// Leaves out what is the same file by another path.
fn each_once(mut locks: Vec<Opened>) -> Vec<Opened> {
    if locks.len() < 2 {
        return locks;
    }
    // Of two names of a file every command keeps the same one.
    locks.sort_by(|one, other| one.path().cmp(other.path()));
    let mut files = BTreeSet::new();
    locks.retain(|lock| {
        // A file that vanished since it was opened is no second name of another.
        sys::file_key(lock.path()).map_or(true, |file| files.insert(file))
    });
    locks
}
