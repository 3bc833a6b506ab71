//! Notices when two are in a critical section at once, by other means than locks.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use lockfast::{Lock, LockGuard};

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

    /// One who was killed inside did not leave, and may still be dying.
    fn wait_for_death(&self, inside: u64) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(20);
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
    for _ in 0..rounds {
        let guard = take()?;
        witness.visit()?;
        guard.release()?;
    }
    Ok(String::new())
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
