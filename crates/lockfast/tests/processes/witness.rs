//! Notices when two are in a critical section at once, by other means than locks.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use lockfast::{Lock, LockGuard};
use lockfast_testing::DEADLINE;

use crate::diary::{Diary, Role};

/// A file beside the lock with the pid of the one who is inside (0 for nobody), and a count.
pub(crate) struct Witness {
    file: File,
}

const INSIDE: u64 = 0;
const COUNT: u64 = 8;

impl Witness {
    pub(crate) fn beside(lock: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(lock.with_extension("witness"))?;
        Ok(Self { file })
    }

    /// How many rounds were counted by all.
    pub(crate) fn count(&self) -> io::Result<u64> {
        self.get(COUNT)
    }

    /// Looks without entering, and tells the count; an error if somebody is or comes inside.
    pub(crate) fn look(&self) -> Result<u64, String> {
        let seen = || -> io::Result<(u64, u64)> { Ok((self.get(INSIDE)?, self.get(COUNT)?)) };
        let before = seen().map_err(|error| error.to_string())?;
        if before.0 != 0 {
            self.wait_for_death(before.0)?;
        }
        thread::yield_now();
        let now = seen().map_err(|error| error.to_string())?;
        if now == before {
            Ok(now.1)
        } else {
            Err(format!(
                "overlap: pid {} came while pid {} looked",
                now.0,
                process::id()
            ))
        }
    }

    /// Enters, counts and leaves; an error if somebody else is or comes inside.
    pub(crate) fn visit(&self) -> Result<(), String> {
        let own = u64::from(process::id());
        let inside = self.get(INSIDE).map_err(|error| error.to_string())?;
        if inside != 0 {
            self.wait_for_death(inside)?;
        }
        self.set(INSIDE, own)?;
        let count = self.get(COUNT).map_err(|error| error.to_string())?;
        thread::yield_now();
        self.set(COUNT, count + 1)?;
        let inside = self.get(INSIDE).map_err(|error| error.to_string())?;
        if inside != own {
            return Err(format!(
                "overlap: pid {inside} came while pid {own} was inside"
            ));
        }
        self.set(INSIDE, 0)
    }

    /// Waits for the death of a process that was killed inside, and so did not leave.
    fn wait_for_death(&self, inside: u64) -> Result<(), String> {
        let deadline = Instant::now() + DEADLINE;
        while is_alive(inside) {
            let now_inside = self.get(INSIDE).map_err(|error| error.to_string())?;
            if now_inside != inside || Instant::now() > deadline {
                return Err(format!("overlap: pid {inside} was inside, alive"));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn get(&self, at: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        match self.file.read_exact_at(&mut bytes, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read.map(|()| u64::from_le_bytes(bytes)),
        }
    }

    fn set(&self, at: u64, value: u64) -> Result<(), String> {
        self.file
            .write_all_at(&value.to_le_bytes(), at)
            .map_err(|error| error.to_string())
    }
}

/// Locks and visits so many times; answers when done.
pub(crate) fn hammer(
    take: impl Fn() -> lockfast::Result<LockGuard>,
    lock: &Lock,
    rounds: u64,
) -> Result<String, Box<dyn std::error::Error>> {
    let witness = Witness::beside(lock.path())?;
    let mut diary = Diary::beside(lock.path(), 0)?;
    for _ in 0..rounds {
        diary.note(Role::WaitsToLock)?;
        let guard = take()?;
        diary.note(Role::Locks)?;
        witness.visit()?;
        guard.release()?;
        diary.end_round()?;
    }
    Ok(String::new())
}

/// The processes inside, where more than one may be: a directory beside the lock with a file for
/// each visit, named after its process.
pub(crate) struct Crowd {
    directory: PathBuf,
    visits: u64,
}

impl Crowd {
    pub(crate) fn beside(lock: &Path) -> io::Result<Self> {
        let directory = lock.with_extension("inside");
        fs::create_dir_all(&directory)?;
        Ok(Self {
            directory,
            visits: 0,
        })
    }

    /// Enters with so many permits, looks around and leaves; an error if more are out than there
    /// are.
    pub(crate) fn visit(&mut self, own: u32, limit: u32) -> Result<(), String> {
        self.visits += 1;
        let thread = nix::unistd::gettid();
        let name = format!("{}.{thread}.{}.{own}", process::id(), self.visits);
        let file = self.directory.join(name);
        fs::write(&file, "").map_err(|error| error.to_string())?;
        thread::yield_now();
        let (inside, names) = self.inside().map_err(|error| error.to_string())?;
        fs::remove_file(&file).map_err(|error| error.to_string())?;
        if inside > limit {
            return Err(format!("overlap: {inside} are out of {limit}: {names:?}"));
        }
        Ok(())
    }

    /// How many permits are out. Of two visits, one after the other, it never counts both: the file
    /// of the first is gone when that of the second is there.
    fn inside(&self) -> io::Result<(u32, Vec<String>)> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            names.push(entry?.file_name().into_string().expect("plain text"));
        }
        // First the dying, then whoever left: a kill after the look is no overlap either.
        names.retain(|name| {
            let pid = name.split('.').next().and_then(|pid| pid.parse().ok());
            let is_there = pid.is_some_and(is_not_exiting);
            if !is_there {
                let _ = fs::remove_file(self.directory.join(name));
            }
            is_there
        });
        names.retain(|name| self.directory.join(name).exists());
        let permits = |name: &String| {
            name.rsplit('.')
                .next()
                .and_then(|own| own.parse::<u32>().ok())
        };
        let sum = names.iter().filter_map(permits).sum();
        Ok((sum, names))
    }
}

/// Whether the process runs and has not begun to end. Its locks are free some time after that.
pub(crate) fn is_not_exiting(pid: u64) -> bool {
    const PF_EXITING: u64 = 4;
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let flags = after_name.split_whitespace().nth(6);
    let flags = flags.and_then(|flags| flags.parse::<u64>().ok());
    is_alive(pid) && flags.is_some_and(|flags| flags & PF_EXITING == 0)
}

fn is_alive(pid: u64) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The state follows the name, which is in parentheses and may contain anything.
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.trim_start().chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}
