//! A space that is a directory: each name is a lock file.

use std::fs;
use std::io;
use std::path::PathBuf;

use lockfast::engine::{self, Capabilities, Cause, Files, Mode, Operation};
use lockfast::inspect::{self, LockMode, LockView, Report, Role};
use lockfast::{Error, ErrorKind, Fairness, Options, Resource, Result, RwLock, Semaphore};
use lockfast_lease::{Check, Entry, Kind, Party};

use crate::url::FileUrl;

/// A directory of lock files.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    fairness: Fairness,
}

impl Directory {
    pub(crate) fn open(url: &str) -> Result<Self> {
        let FileUrl { path, fifo } = FileUrl::parse(url)?;
        let fairness = if fifo {
            Fairness::Fifo
        } else {
            Fairness::default()
        };
        Ok(Self { path, fairness })
    }

    /// Opens the lock with that name, with an owner record, which has the token.
    pub(crate) fn lock(&self, name: &str) -> Result<RwLock<Files>> {
        let options = self.options::<RwLock>().owner_record(true);
        options.open(self.file_of(name)?)
    }

    pub(crate) fn semaphore(&self, name: &str, permits: u32) -> Result<Semaphore<Files>> {
        self.options::<Semaphore>()
            .open(self.file_of(name)?, permits)
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.shared = true;
        capabilities.conversions = true;
        capabilities.fifo = self.fairness == Fairness::Fifo;
        capabilities.token = true;
        capabilities
    }

    pub(crate) fn list(&self, prefix: &str) -> Result<Vec<Entry>> {
        let files = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files.map_err(|error| self.unreadable(error))?,
        };
        let mut entries = Vec::new();
        for file in files {
            let file = file.map_err(|error| self.unreadable(error))?.file_name();
            let name = file.to_str().and_then(engine::name_of);
            if let Some(name) = name.filter(|name| name.starts_with(prefix)) {
                entries.extend(self.entry(&name)?);
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    pub(crate) fn entry(&self, name: &str) -> Result<Option<Entry>> {
        let report = inspect::path(self.file_of(name)?)?;
        Ok(entry(name, &report))
    }

    pub(crate) fn break_token(&self, name: &str, _token: u64) -> Result<bool> {
        let why = "the kernel keeps the lock of a file until its holder ends: end that process, \
                   which `holders` (`lockfast status`) names";
        let cause = Cause::Unsupported(why, None);
        Err(Error::new(&self.file_of(name)?, Operation::Break, cause))
    }

    pub(crate) fn diagnose(&self) -> Vec<Check> {
        const NAME: &str = "lockfast-diagnose";
        let tried = || -> Result<bool> {
            let options = self.options::<RwLock>().remove_on_release(true);
            let path = self.file_of(NAME)?;
            let (one, other) = (options.open(&path)?, options.open(&path)?);
            let guard = one.write()?;
            let is_kept = other.try_read().is_err_and(|error| error.is_contended());
            guard.release()?;
            Ok(is_kept)
        };
        let path = self.path.display();
        let lock = match tried() {
            Ok(true) => Check::ok("locks", format!("{path} keeps locks")),
            Ok(false) => Check::fail("locks", format!("two hold a lock of {path} at once")),
            Err(error) => Check::fail("locks", error.to_string()),
        };
        let more = "`lockfast doctor` with this directory tries processes, crashes and other protocols too";
        vec![lock, Check::ok("more", more)]
    }

    fn options<L>(&self) -> Options<L> {
        Options::default().fairness(self.fairness)
    }

    fn file_of(&self, name: &str) -> Result<PathBuf> {
        let file = engine::file_of(name).map_err(|why| {
            let cause = Cause::InvalidPath(why);
            Error::new(Resource::named(name), Operation::Name, cause)
        })?;
        Ok(self.path.join(file))
    }

    fn unreadable(&self, error: io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            _ => ErrorKind::System,
        };
        let cause = Cause::Engine(kind, Box::new(error));
        Error::new(&self.path, Operation::Inspect, cause)
    }
}

fn entry(name: &str, report: &Report) -> Option<Entry> {
    let permits = report.locks.iter().find_map(|lock| lock.permits);
    let kind = permits.map_or(Kind::Lock, |permits| Kind::Semaphore(permits.of));
    let mut entry = Entry::new(name, kind);
    entry.holders = report.holders().flat_map(parties).collect();
    entry.waiters = report.waiters().flat_map(parties).collect();
    let is_used = !entry.holders.is_empty() || !entry.waiters.is_empty();
    is_used.then_some(entry)
}

/// The processes of a lock, which hold it together or wait.
fn parties(lock: &LockView) -> Vec<Party> {
    let unknown = || {
        let mut party = Party::default();
        party.mode = mode(lock);
        party.since = lock.since;
        party.label.clone_from(&lock.label);
        party.permits = lock.permits.map_or(0, |permits| {
            u32::try_from(permits.count).unwrap_or(u32::MAX)
        });
        party
    };
    if lock.processes.is_empty() {
        return vec![unknown()];
    }
    let known = |process: &inspect::Process| {
        let mut party = unknown();
        party.pid = Some(process.pid);
        party.command = Some(process.command_line());
        party
    };
    lock.processes.iter().map(known).collect()
}

fn mode(lock: &LockView) -> Option<Mode> {
    match (lock.role, lock.mode) {
        (Some(Role::Permit), _) => None,
        (Some(Role::Upgradable), _) => Some(Mode::Upgradable),
        (_, LockMode::Shared) => Some(Mode::Read),
        _ => Some(Mode::Write),
    }
}
