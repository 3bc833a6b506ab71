//! The functions that every side has, as the compiler checks them. `mod.rs` says what they promise.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::alarm::{self, Alarm, AlarmId};
use super::fork::{self, PrivateFile};
use super::notifier::{self, Notifier};
use super::park::Parker;
use super::side::file_system;
use super::watch::{self, Watch, Watches};
use super::{
    Access, Blocker, Event, FileId, FsTraits, Home, Notified, Ownership, Parked, Range, Status,
    Target, Waited, file, lock, place, process,
};

/// Assigns each function to a pointer of its type, which costs nothing.
macro_rules! contract {
    ($($function:path: $signature:ty;)*) => {
        #[allow(clippy::type_complexity, reason = "the types are those of the functions")]
        const _: () = { $(let _: $signature = $function;)* };
    };
}

contract! {
    file::status_at: fn(&Path, bool) -> io::Result<Status>;
    file::status: fn(&File) -> io::Result<Status>;
    file::open_existing: fn(&Path, bool, bool) -> io::Result<File>;
    file::create_new: fn(&Path, Option<u32>) -> io::Result<File>;
    file::opened_again: fn(&File) -> Option<File>;
    file::remove: fn(&Path) -> io::Result<()>;
    file::read_at: fn(&File, &mut [u8], u64) -> io::Result<usize>;
    file::write_at: fn(&File, &[u8], u64) -> io::Result<()>;
    file::path_of: fn(&File) -> Option<PathBuf>;
    file::number: fn(&File) -> u32;
    file::descriptor_limit: fn() -> usize;
    file::may_be_readable: fn(&io::Error) -> bool;
    file::is_leased: fn(&io::Error) -> bool;
    file::is_table_full: fn(&io::Error) -> bool;
    file::refused_link: fn(&io::Error) -> bool;
    file::is_first_hidden: fn(&io::Error) -> bool;
    file_system::traits: fn(&File) -> FsTraits;
}

contract! {
    lock::try_lock: fn(&File, Access, Target) -> io::Result<bool>;
    lock::wait: fn(&File, Access, Target) -> io::Result<Waited>;
    lock::release: fn(&File, Target) -> io::Result<()>;
    lock::blocker: fn(&File, Access, Range) -> Option<Blocker>;
    lock::find: fn(&File, Access, Range) -> io::Result<Option<Blocker>>;
    lock::means_no_locks_here: fn(&io::Error) -> bool;
    lock::advice: fn(&io::Error) -> Option<&'static str>;
}

contract! {
    Notifier::new: fn() -> io::Result<Notifier>;
    Notifier::watch: fn(&mut Notifier, &File, Range) -> io::Result<()>;
    Notifier::unwatch: fn(&mut Notifier);
    Notifier::wait: fn(&Notifier, Instant) -> io::Result<Notified>;
    notifier::notify: fn(&File);
    Watches::new: fn() -> io::Result<Watches>;
    Watches::add: fn(&Watches, &File) -> io::Result<Watch>;
    Watches::remove: fn(&Watches, Watch);
    Watches::is_there: fn(&Watches) -> bool;
    Watches::wait: fn(&Watches, Option<Instant>) -> io::Result<Vec<(Option<Watch>, Event)>>;
    Watches::ring: fn(&Watches) -> bool;
    watch::is_awaited: fn(&File) -> bool;
}

contract! {
    Alarm::set: fn(Option<Instant>) -> io::Result<Alarm>;
    Alarm::every: fn(Duration) -> io::Result<Alarm>;
    Alarm::ring: fn(&Alarm);
    Alarm::id: fn(&Alarm) -> AlarmId;
    AlarmId::to_number: fn(AlarmId) -> usize;
    AlarmId::from_number: fn(usize) -> AlarmId;
    AlarmId::ring: fn(AlarmId);
    alarm::prepare: fn();
    Parker::park: fn(&Parker, Option<Instant>) -> Parked;
    Parker::is_granted: fn(&Parker) -> bool;
    Parker::reset: fn(&Parker);
    Parker::grant: fn(&Parker);
}

contract! {
    fork::generation: fn() -> u64;
    fork::known_generation: fn() -> u64;
    fork::forks: fn() -> u64;
    fork::private_files: fn() -> usize;
    PrivateFile::new: fn(File, FileId) -> io::Result<PrivateFile>;
    PrivateFile::is_own: fn(&PrivateFile) -> bool;
    PrivateFile::is_there: fn(&PrivateFile) -> bool;
}

contract! {
    place::of_user: fn() -> io::Result<Home>;
    place::of_machine: fn() -> io::Result<Vec<PathBuf>>;
    place::ownership_at: fn(&Path) -> io::Result<Ownership>;
    place::is_private: fn(&Path) -> bool;
    place::may_be_planted: fn(u32, &Path) -> io::Result<bool>;
    place::create_private: fn(&Path) -> io::Result<()>;
    place::file_name: fn(&str) -> String;
    process::namespace: fn() -> u64;
    process::pid_namespace: fn() -> Option<u64>;
    process::started: fn(u32) -> Option<u64>;
    process::has_ended: fn(u32) -> bool;
    process::boot: fn() -> Option<String>;
    process::host: fn() -> String;
    process::name_this_thread: fn(&str);
}
