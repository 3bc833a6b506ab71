//! How each contender that is written in Rust takes its lock.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fd_lock::RwLock;
use lockfast::{
    Fairness, Lock, Protocol, ReentrantLock, ReentrantLockGuard, RwLock as ReadersWriterLock,
    Semaphore, Verify,
};
use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, fcntl};
use nix::libc;
use tokio::runtime::{Builder, Runtime};

use crate::Outcome;
use crate::contenders::Contender;

/// A lock on an open file.
pub(crate) trait Locked {
    /// Takes the lock, runs the section and releases the lock.
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()>;

    /// Takes and releases it so often with nothing in between. Compiled for each lock, as the programs
    /// are that use it: a call through a table would be a fifth of what the quickest take.
    fn rounds(&mut self, count: u32) -> Outcome<()> {
        for _ in 0..count {
            self.locked(&mut || {})?;
        }
        Ok(())
    }
}

/// Opens the lock at that path.
pub(crate) fn open(contender: Contender, path: &Path) -> Outcome<Box<dyn Locked>> {
    let file = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
    };
    let options = Lock::options();
    let lockfast = |lock: lockfast::Result<Lock>| Ok(Box::new(Untimed(lock?)) as Box<dyn Locked>);
    match contender {
        Contender::RawTry => Ok(Box::new(Record::new(file()?, false)?)),
        Contender::Raw => Ok(Box::new(Record::new(file()?, true)?)),
        Contender::RawShared => Ok(Box::new(Record::shared(file()?)?)),
        Contender::LockfastRead => Ok(Box::new(Read(ReadersWriterLock::open(path)?))),
        Contender::LockfastLinger => lockfast(options.linger(LINGER).open(path)),
        Contender::LockfastLingerRead => {
            let lock = ReadersWriterLock::options().linger(LINGER).open(path)?;
            Ok(Box::new(Read(lock)))
        }
        Contender::LockfastWrite => Ok(Box::new(Write(ReadersWriterLock::open(path)?))),
        Contender::LockfastAgain => Ok(Box::new(Again::new(ReentrantLock::open(path)?)?)),
        Contender::LockfastReentrant => Ok(Box::new(Reentrant(ReentrantLock::open(path)?))),
        Contender::LockfastUpgradable => Ok(Box::new(Upgradable(ReadersWriterLock::open(path)?))),
        Contender::LockfastUpgrade => Ok(Box::new(Upgrade(ReadersWriterLock::open(path)?))),
        Contender::LockfastPermit => {
            let semaphore = Semaphore::open(path, contender.permits())?;
            Ok(Box::new(Permit(semaphore)))
        }
        Contender::RawFlock => Ok(Box::new(RawFlock(Some(file()?)))),
        Contender::Lockfast | Contender::LockfastThreads => lockfast(options.open(path)),
        Contender::LockfastTimed => Ok(Box::new(Timed(options.open(path)?))),
        Contender::LockfastTask => Ok(Box::new(Task::new(options.open(path)?)?)),
        Contender::LockfastOff => lockfast(options.verify(Verify::Off).open(path)),
        Contender::LockfastPath => lockfast(options.verify(Verify::Path).open(path)),
        Contender::LockfastFlock => lockfast(options.protocol(Protocol::Flock).open(path)),
        Contender::LockfastFlockOff => {
            let options = options.protocol(Protocol::Flock).verify(Verify::Off);
            lockfast(options.open(path))
        }
        Contender::LockfastBoth => lockfast(options.protocol(Protocol::Both).open(path)),
        Contender::LockfastFifo => lockfast(options.fairness(Fairness::Fifo).open(path)),
        Contender::FlockTool => Ok(Box::new(FlockTool::new(file()?)?)),
        Contender::Mutex => Ok(Box::new(InProcess(Mutex::new(())))),
        Contender::Std => Ok(Box::new(Std(file()?))),
        Contender::Fs4 => Ok(Box::new(Fs4(file()?))),
        Contender::RawTask => Ok(Box::new(RawTask::new(file()?)?)),
        Contender::Fs4Task => Ok(Box::new(Fs4Task::new(file()?)?)),
        Contender::FdLock => Ok(Box::new(FdLock(RwLock::new(file()?)))),
        Contender::Lockf
        | Contender::Fasteners
        | Contender::FastenersWith
        | Contender::FastenersRead
        | Contender::FastenersWrite
        | Contender::Filelock
        | Contender::Portalocker
        | Contender::PortalockerPermit
        | Contender::Package
        | Contender::PackageWith
        | Contender::DropIn
        | Contender::DropInWith
        | Contender::DropInRead => Err(format!("{contender} is for Python").into()),
    }
}

/// Open-file-description locks on the whole file, by the kernel's calls alone.
struct Record {
    file: File,
    wait: bool,
    locked: libc::flock,
    unlocked: libc::flock,
}

struct RawFlock(Option<File>);

pub(crate) struct Untimed(pub(crate) Lock);

struct Timed(Lock);

struct Read(ReadersWriterLock);

struct Write(ReadersWriterLock);

/// Held all the time, and taken again.
struct Again {
    lock: ReentrantLock,
    _outer: ReentrantLockGuard,
}

struct Reentrant(ReentrantLock);

struct Upgradable(ReadersWriterLock);

struct Upgrade(ReadersWriterLock);

struct Permit(Semaphore);

/// The descriptor is inherited by each flock(1), and the lock belongs to the open file.
struct FlockTool(File);

struct InProcess(Mutex<()>);

struct Std(File);

struct Fs4(File);

struct Task {
    lock: Lock,
    runtime: Runtime,
}

/// The least that a task costs with a helper thread.
struct RawTask {
    record: Arc<Record>,
    runtime: Runtime,
}

struct Fs4Task {
    file: Arc<File>,
    runtime: Runtime,
}

struct FdLock(RwLock<File>);

/// How long a lock is kept at most.
const LINGER: Duration = Duration::from_millis(100);

/// Longer than any wait here.
const LONG: Duration = Duration::from_secs(3600);

impl Record {
    fn new(file: File, wait: bool) -> Outcome<Self> {
        Self::of_kind(file, wait, libc::F_WRLCK)
    }

    fn shared(file: File) -> Outcome<Self> {
        Self::of_kind(file, true, libc::F_RDLCK)
    }

    fn of_kind(file: File, wait: bool, kind: libc::c_int) -> Outcome<Self> {
        let whole_file = |kind| -> Outcome<libc::flock> {
            Ok(libc::flock {
                l_type: libc::c_short::try_from(kind)?,
                l_whence: libc::c_short::try_from(libc::SEEK_SET)?,
                l_start: 0,
                l_len: 0,
                l_pid: 0,
            })
        };
        Ok(Self {
            file,
            wait,
            locked: whole_file(kind)?,
            unlocked: whole_file(libc::F_UNLCK)?,
        })
    }

    fn take(&self) -> nix::Result<()> {
        let take = if self.wait {
            FcntlArg::F_OFD_SETLKW(&self.locked)
        } else {
            FcntlArg::F_OFD_SETLK(&self.locked)
        };
        fcntl(&self.file, take).map(drop)
    }

    fn give_back(&self) -> nix::Result<()> {
        fcntl(&self.file, FcntlArg::F_OFD_SETLK(&self.unlocked)).map(drop)
    }
}

impl Locked for Record {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        self.take()?;
        section();
        Ok(self.give_back()?)
    }
}

impl Locked for RawFlock {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        let file = self.0.take().ok_or("it failed before")?;
        let guard = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
        section();
        self.0 = Some(guard.unlock().map_err(|(_, errno)| errno)?);
        Ok(())
    }
}

impl Locked for Untimed {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        let guard = self.0.lock()?;
        section();
        Ok(guard.release()?)
    }
}

impl Locked for Timed {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        let guard = self.0.try_lock_for(LONG)?;
        section();
        Ok(guard.release()?)
    }
}

impl Locked for Read {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        let guard = self.0.read()?;
        section();
        Ok(guard.release()?)
    }
}

impl Locked for Write {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        let guard = self.0.write()?;
        section();
        Ok(guard.release()?)
    }
}

impl Again {
    fn new(lock: ReentrantLock) -> Outcome<Self> {
        let outer = lock.lock()?;
        Ok(Self {
            lock,
            _outer: outer,
        })
    }
}

impl Locked for Again {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        let guard = self.lock.lock()?;
        section();
        Ok(guard.release()?)
    }
}

impl Locked for Reentrant {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        let guard = self.0.lock()?;
        section();
        Ok(guard.release()?)
    }
}

impl Locked for Upgradable {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        let guard = self.0.upgradable_read()?;
        section();
        Ok(guard.release()?)
    }
}

impl Locked for Upgrade {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        let reader = self.0.upgradable_read()?;
        let upgraded = reader.upgrade();
        let guard = upgraded.map_err(|failed| failed.error().to_string())?;
        section();
        Ok(guard.release()?)
    }
}

impl FlockTool {
    fn new(file: File) -> Outcome<Self> {
        fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(Self(file))
    }

    fn flock(&self, option: &str) -> Outcome<()> {
        let descriptor = self.0.as_raw_fd().to_string();
        let status = Command::new("flock").args([option, &descriptor]).status()?;
        status
            .success()
            .then_some(())
            .ok_or_else(|| format!("flock {option} ended with {status}").into())
    }
}

impl Locked for FlockTool {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        self.flock("--exclusive")?;
        section();
        self.flock("--unlock")
    }
}

impl Locked for InProcess {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        let guard = self.0.lock().map_err(|_| "it is poisoned")?;
        section();
        drop(guard);
        Ok(())
    }
}

impl Locked for Permit {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        let permit = self.0.acquire()?;
        section();
        Ok(permit.release()?)
    }
}

impl Locked for Std {
    #[allow(
        clippy::disallowed_methods,
        clippy::incompatible_msrv,
        reason = "what is measured; benchmarks are not built with the oldest compiler"
    )]
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        self.0.lock()?;
        section();
        Ok(self.0.unlock()?)
    }
}

impl Locked for Fs4 {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        fs4::FileExt::lock(&self.0)?;
        section();
        Ok(fs4::FileExt::unlock(&self.0)?)
    }
}

impl Task {
    fn new(lock: Lock) -> Outcome<Self> {
        let runtime = Builder::new_current_thread().build()?;
        Ok(Self { lock, runtime })
    }
}

impl Locked for Task {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        self.runtime.block_on(async {
            let guard = self.lock.lock_async().await?;
            section();
            Ok(guard.release()?)
        })
    }
}

impl RawTask {
    fn new(file: File) -> Outcome<Self> {
        let runtime = Builder::new_current_thread().build()?;
        let record = Arc::new(Record::new(file, true)?);
        Ok(Self { record, runtime })
    }
}

impl Locked for RawTask {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        self.runtime.block_on(async {
            let record = Arc::clone(&self.record);
            tokio::task::spawn_blocking(move || record.take()).await??;
            section();
            Ok(self.record.give_back()?)
        })
    }
}

impl Fs4Task {
    fn new(file: File) -> Outcome<Self> {
        let runtime = Builder::new_current_thread().build()?;
        let file = Arc::new(file);
        Ok(Self { file, runtime })
    }
}

impl Locked for Fs4Task {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        self.runtime.block_on(async {
            let file = Arc::clone(&self.file);
            tokio::task::spawn_blocking(move || fs4::FileExt::lock(&*file)).await??;
            section();
            Ok(fs4::FileExt::unlock(&*self.file)?)
        })
    }
}

impl Locked for FdLock {
    fn locked(&mut self, section: &mut dyn FnMut()) -> Outcome<()> {
        let guard = self.0.write()?;
        section();
        drop(guard);
        Ok(())
    }
}
