//! An actor's work on descriptors that are not its own, as daemons do it.

use lockfast_testing::Answer;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::thread::ScopedJoinHandle;

/// A descriptor that the program has put in the place of another one.
pub(crate) struct Owned {
    number: RawFd,
    /// Its kind.
    sort: Sort,
}

#[derive(Clone, Copy)]
enum Sort {
    /// A file of that number.
    File(u64),
    /// A counter.
    Counter,
}

const CONTENT: &str = "of the program";
const COUNT: u64 = 7;

/// The commands about descriptors, which begin with `fds`.
pub(crate) fn perform(words: &[&str], owned: &mut Vec<Owned>) -> Answer {
    match *words {
        ["close"] => others().into_iter().for_each(close),
        ["replace", directory] => {
            for number in others() {
                owned.push(by_file(
                    number,
                    &Path::new(directory).join(number.to_string()),
                )?);
            }
        }
        ["replace-by", path] => {
            for number in others() {
                owned.push(by_file(number, Path::new(path))?);
            }
        }
        // The same files, so to the library nothing has changed.
        ["only-write"] => {
            for number in others() {
                let file = OpenOptions::new()
                    .write(true)
                    .open(format!("/proc/self/fd/{number}"));
                if let Ok(file) = file {
                    put(&file.into(), number);
                }
            }
        }
        ["replace-by-counters"] => {
            for number in others() {
                owned.push(by_counter(number)?);
            }
        }
        ["intact"] => {
            assert!(!owned.is_empty(), "something was replaced");
            owned.iter().try_for_each(Owned::must_be_intact)?;
        }
        ["open-in-threads", path] => return open_in_threads(path),
        // Every number below that of the last standard stream is taken.
        ["open-without-standard-error", path] => return standard_error_while_open(path),
        _ => return Err(format!("unknown command {words:?}").into()),
    }
    Ok(String::new())
}

/// All descriptors but the standard streams, and but the connection of a forked actor to its test.
fn others() -> Vec<RawFd> {
    let listed = fs::read_dir("/proc/self/fd").expect("the list");
    let numbers = listed.map(|entry| entry.expect("an entry").file_name());
    let numbers = numbers.map(|name| name.to_str().and_then(|name| name.parse().ok()));
    let mut numbers: Vec<RawFd> = numbers.map(|number| number.expect("a number")).collect();
    // The list itself was open.
    numbers.retain(|&number| {
        let meaning = fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_default();
        let meaning = meaning.to_string_lossy();
        // A thread of the library may be reading something there at this very moment.
        let is_passing = meaning.starts_with("/proc");
        number > 2 && is_open(number) && !meaning.starts_with("socket:") && !is_passing
    });
    numbers
}

fn by_file(number: RawFd, path: &Path) -> Result<Owned, Box<dyn std::error::Error>> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    if file.metadata()?.len() == 0 {
        fs::write(path, CONTENT)?;
    }
    let sort = Sort::File(file.metadata()?.ino());
    put(&file.into(), number);
    Ok(Owned { number, sort })
}

#[allow(unsafe_code, reason = "eventfd")]
fn by_counter(number: RawFd) -> Result<Owned, Box<dyn std::error::Error>> {
    // SAFETY: takes numbers, and answers a new descriptor.
    let counter = unsafe { libc::eventfd(u32::try_from(COUNT)?, libc::EFD_NONBLOCK) };
    assert!(counter >= 0, "a counter");
    // SAFETY: it is new.
    put(&unsafe { OwnedFd::from_raw_fd(counter) }, number);
    let sort = Sort::Counter;
    Ok(Owned { number, sort })
}

impl Owned {
    fn must_be_intact(&self) -> Result<(), Box<dyn std::error::Error>> {
        let number = self.number;
        if !is_open(number) {
            return Err(format!("{number} was closed").into());
        }
        // SAFETY: it was open just now, and is not closed here.
        #[allow(unsafe_code, reason = "from_raw_fd")]
        let mut file = unsafe { File::from_raw_fd(number) };
        let outcome = self.sort.must_be(number, &mut file);
        let _ = file.into_raw_fd();
        outcome
    }
}

impl Sort {
    fn must_be(self, number: RawFd, file: &mut File) -> Result<(), Box<dyn std::error::Error>> {
        match self {
            Self::File(inode) => {
                if file.metadata()?.ino() != inode {
                    return Err(format!("{number} is another file").into());
                }
                let mut content = vec![0; 4096];
                let length = file.read_at(&mut content, 0)?;
                let content = String::from_utf8_lossy(&content[..length]);
                if content != CONTENT {
                    return Err(format!("{number} has the content {content:?}").into());
                }
            }
            Self::Counter => {
                let mut count = [0; 8];
                file.read_exact(&mut count)
                    .map_err(|error| format!("the counter {number}: {error}"))?;
                let count = u64::from_ne_bytes(count);
                if count != COUNT {
                    return Err(format!("the counter {number} has counted {count}").into());
                }
            }
        }
        Ok(())
    }
}

/// Opens and closes in several threads at once, which get each other's numbers; how many descriptors does
/// that leave?
fn open_in_threads(path: &str) -> Answer {
    const ROUNDS: usize = 2000;
    let before = others().len();
    std::thread::scope(|scope| {
        let open = || (0..ROUNDS).try_for_each(|_| lockfast::Lock::open(path).map(drop));
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        let mut ended = threads.into_iter().map(ScopedJoinHandle::join);
        ended.try_for_each(|ended| ended.expect("no panic"))
    })?;
    Ok((others().len() - before).to_string())
}

/// The file behind the standard error's number while a lock is open that was opened without it.
#[allow(unsafe_code, reason = "dup and dup2")]
fn standard_error_while_open(path: &str) -> Answer {
    // SAFETY: the stream is open, and given back below.
    let copy = unsafe { libc::dup(2) };
    close(2);
    let opened = lockfast::Lock::open(path);
    let guard = opened.and_then(|lock| lock.lock());
    let semaphore = lockfast::Semaphore::open(format!("{path}.permits"), 1);
    let found = fs::read_link("/proc/self/fd/2");
    // SAFETY: both are numbers of descriptors.
    unsafe { libc::dup2(copy, 2) };
    close(copy);
    drop((guard?, semaphore?));
    Ok(found.map_or("nothing".into(), |found| found.display().to_string()))
}

#[allow(unsafe_code, reason = "close")]
fn close(number: RawFd) {
    // SAFETY: takes a number. That it belongs to others is the point.
    unsafe { libc::close(number) };
}

#[allow(unsafe_code, reason = "dup2")]
fn put(descriptor: &OwnedFd, number: RawFd) {
    // SAFETY: takes two numbers. That the second one belongs to others is the point.
    let put = unsafe { libc::dup2(descriptor.as_raw_fd(), number) };
    assert_eq!(put, number);
}

#[allow(unsafe_code, reason = "fcntl")]
#[allow(clippy::disallowed_methods, reason = "not a lock call")]
fn is_open(number: RawFd) -> bool {
    // SAFETY: takes numbers.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}
