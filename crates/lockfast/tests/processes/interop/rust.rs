//! The peers in Rust: the standard library's locks, those of other crates, and plain `fcntl`.

use std::any::Any;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};

/// A lock that is held until this is dropped.
type Held = Box<dyn Any>;

/// Does as it is told until the test goes away: a command a line in, an answer a line out.
pub(crate) fn run(path: &Path, variant: &str) {
    let mut held = None;
    for line in io::stdin().lines() {
        let line = line.expect("the test speaks text");
        let words: Vec<_> = line.split(' ').filter(|word| *word != "&").collect();
        let taken = match words[1..] {
            ["try", mode] => take(variant, path, mode, false).map(Some),
            ["lock", mode] => take(variant, path, mode, true).map(Some),
            ["release"] => Ok(None),
            _ => panic!("unknown command {line}"),
        };
        let answer = match taken {
            Ok(taken) => {
                held = taken;
                "ok"
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => "error held",
            Err(error) => panic!("{line}: {error}"),
        };
        println!("{} {answer}", words[0]);
    }
    drop(held);
}

fn take(variant: &str, path: &Path, mode: &str, wait: bool) -> io::Result<Held> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let exclusive = mode == "exclusive";
    match variant {
        "std" => by_std(file, exclusive, wait),
        "fs4" => by_fs4(file, exclusive, wait),
        "fd-lock" => by_fd_lock(file, exclusive, wait),
        "classic" => by_fcntl(file, exclusive, wait, 0),
        "classic-first-byte" => by_fcntl(file, exclusive, wait, 1),
        _ => panic!("no such peer: {variant}"),
    }
}

#[allow(
    clippy::disallowed_methods,
    clippy::incompatible_msrv,
    reason = "this is what other programs do"
)]
fn by_std(file: File, exclusive: bool, wait: bool) -> io::Result<Held> {
    match (exclusive, wait) {
        (true, true) => file.lock()?,
        (true, false) => file.try_lock()?,
        (false, true) => file.lock_shared()?,
        (false, false) => file.try_lock_shared()?,
    }
    Ok(Box::new(file))
}

fn by_fs4(file: File, exclusive: bool, wait: bool) -> io::Result<Held> {
    use fs4::FileExt;
    match (exclusive, wait) {
        (true, true) => FileExt::lock(&file)?,
        (true, false) => FileExt::try_lock(&file)?,
        (false, true) => FileExt::lock_shared(&file)?,
        (false, false) => FileExt::try_lock_shared(&file)?,
    }
    Ok(Box::new(file))
}

fn by_fd_lock(file: File, exclusive: bool, wait: bool) -> io::Result<Held> {
    // Its guards borrow the lock; dropping one unlocks.
    let lock = Box::leak(Box::new(fd_lock::RwLock::new(file)));
    Ok(match (exclusive, wait) {
        (true, true) => Box::new(lock.write()?),
        (true, false) => Box::new(lock.try_write()?),
        (false, true) => Box::new(lock.read()?),
        (false, false) => Box::new(lock.try_read()?),
    })
}

/// The whole file has the length 0.
fn by_fcntl(file: File, exclusive: bool, wait: bool, len: libc::off_t) -> io::Result<Held> {
    let kind = if exclusive {
        libc::F_WRLCK
    } else {
        libc::F_RDLCK
    };
    let range = record(kind, len);
    let operation = if wait {
        FcntlArg::F_SETLKW(&range)
    } else {
        FcntlArg::F_SETLK(&range)
    };
    fcntl(&file, operation)?;
    Ok(Box::new(file))
}

/// A record lock from the beginning of the file.
pub(crate) fn record(kind: libc::c_int, len: libc::off_t) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).expect("small"),
        l_whence: i16::try_from(libc::SEEK_SET).expect("small"),
        l_start: 0,
        l_len: len,
        l_pid: 0,
    }
}
