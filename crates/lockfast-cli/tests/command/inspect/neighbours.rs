//! Files, memory and leases of other processes do not delay a report.

use std::fs;
use std::process::Command;
use std::sync::atomic::Ordering;

use crate::inspect::{json, lockfast, silent};
use crate::stage::{AS_NOBODY, Actor, Stage, hold, outcome, program_for_everybody};

fn python(script: &str) -> Command {
    let python = std::env::var_os("LOCKFAST_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(python);
    command.args(["-c", script]);
    command
}

/// A locked file as long as one with records, on a file system that no longer answers.
#[test]
fn a_file_system_that_does_not_answer_holds_up_nobody() {
    const SCRIPT: &str = r#"
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print("ready", flush=True)
sys.stdin.readline()
"#;
    let stage = Stage::new();
    let directory = stage.path("mounted");
    fs::create_dir(&directory).expect("a directory");
    let (session, is_silent) = match silent::mount(&directory) {
        Ok(mounted) => mounted,
        Err(error) => {
            lockfast_testing::skip!("no file system in user space can be mounted: {error}");
        }
    };
    let path = directory.join(silent::NAME);
    let mut holder = Actor::start(python(SCRIPT).arg(&path));
    holder.says("ready");
    let other = stage.path("other.lock");
    let _holder = hold(&other);
    is_silent.store(true, Ordering::SeqCst);
    let listed = outcome(&mut lockfast(["ls", "--all"]));
    let status = outcome(lockfast(["status"]).arg(&other));
    let json = json(&mut lockfast(["ls", "--all"]));
    is_silent.store(false, Ordering::SeqCst);
    assert_eq!(status.code, Some(75), "{status:?}");
    let line = format!("{}\tholding\t", path.display());
    let is_listed = listed.output.iter().any(|text| text.starts_with(&line));
    assert!(is_listed, "{listed:?}");
    let last = listed.output.last().expect("a line");
    assert!(last.contains("not everything could be seen"), "{listed:?}");
    assert!(last.contains("owner record"), "{listed:?}");
    assert!(
        json["incomplete"]["unread_records"].as_u64() >= Some(1),
        "{json}"
    );
    holder.tell("end");
    holder.end();
    drop(session);
}

/// A waiter whose lock request is in memory that such a file system backs.
#[test]
fn memory_that_does_not_answer_holds_up_nobody() {
    const SCRIPT: &str = r#"
import ctypes, mmap, os, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
page = os.open(sys.argv[1], os.O_RDONLY)
lock = os.open(sys.argv[2], os.O_RDWR)
PROT_READ, MAP_PRIVATE, DONTNEED, F_OFD_SETLKW = 1, 2, 4, 38
address = libc.mmap(None, 4096, PROT_READ, MAP_PRIVATE, page, 0)
assert address not in (None, ctypes.c_void_p(-1).value)
def wait():
    libc.fcntl(lock, F_OFD_SETLKW, ctypes.c_void_p(address))
waiter = threading.Thread(target=wait, daemon=True)
waiter.start()
while "fcntl" not in open(f"/proc/self/task/{waiter.native_id}/wchan").read() and \
      open(f"/proc/self/task/{waiter.native_id}/syscall").read().split()[0] not in ("72", "25"):
    pass
sys.stdin.readline()
assert libc.madvise(ctypes.c_void_p(address), 4096, DONTNEED) == 0
os.posix_fadvise(page, 0, 0, os.POSIX_FADV_DONTNEED)
print("ready", flush=True)
sys.stdin.readline()
"#;
    let stage = Stage::new();
    let directory = stage.path("mounted");
    fs::create_dir(&directory).expect("a directory");
    let (session, is_silent) = match silent::mount(&directory) {
        Ok(mounted) => mounted,
        Err(error) => {
            lockfast_testing::skip!("no file system in user space can be mounted: {error}");
        }
    };
    let path = stage.path("job.lock");
    let _holder = hold(&path);
    let mut command = python(SCRIPT);
    let mut waiter = Actor::start(command.arg(directory.join(silent::NAME)).arg(&path));
    crate::inspect::until_waiting(&path, waiter.pid());
    waiter.tell("forget");
    waiter.says("ready");
    is_silent.store(true, Ordering::SeqCst);
    let status = outcome(lockfast(["status"]).arg(&path));
    let listed = outcome(lockfast(["ls"]).arg(&path));
    is_silent.store(false, Ordering::SeqCst);
    assert_eq!(
        (status.code, status.output.len()),
        (Some(75), 3),
        "{status:?}"
    );
    let who = format!(": pid {} (", waiter.pid());
    assert!(status.output[2].contains(&who), "{status:?}");
    assert_eq!(listed.output.len(), 2, "{listed:?}");
    drop(waiter);
    drop(session);
}

/// A report does not wait for the holder of a lease, and does not break the lease.
#[test]
fn a_lease_is_left_alone() {
    const SCRIPT: &str = r#"
import fcntl, signal, struct, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1], "r+")
fcntl.fcntl(file, 38, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("ready", flush=True)
sys.stdin.readline()
print(fcntl.fcntl(file, fcntl.F_GETLEASE) == fcntl.F_WRLCK, flush=True)
sys.stdin.readline()
"#;
    let stage = Stage::new();
    let path = stage.path("job.lock");
    fs::write(&path, vec![b'x'; silent::LENGTH]).expect("a file");
    let mut holder = Actor::start(python(SCRIPT).arg(&path));
    holder.says("ready");
    let status = outcome(lockfast(["status"]).arg(&path));
    assert_eq!(status.code, Some(75), "{status:?}");
    assert!(status.output[2].contains("owner record"), "{status:?}");
    let listed = outcome(&mut lockfast(["ls", "--all"]));
    assert_eq!(listed.code, Some(0), "{listed:?}");
    holder.tell("is it there?");
    holder.says("True");
}

/// Locks as numerous as on a busy machine, of processes that may not be read. Looking at one file takes
/// about as long as looking at the machine, so it must not be done for each file.
#[test]
fn many_locks_without_a_name_are_listed_by_one_look() {
    const LOCKS: usize = 3000;
    const SCRIPT: &str = r#"
import fcntl, resource, struct, sys
count = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
files = [open(f"{sys.argv[1]}/{number}.lock", "w") for number in range(count)]
for file in files:
    fcntl.fcntl(file, 38, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
print("ready", flush=True)
sys.stdin.readline()
"#;
    if !nix::unistd::geteuid().is_root() {
        lockfast_testing::skip!("to become another user takes root");
    }
    let stage = Stage::new();
    let program = program_for_everybody(&stage);
    let directory = stage.path("locks");
    fs::create_dir(&directory).expect("a directory");
    let mut command = python(SCRIPT);
    let holder = Actor::start(command.arg(&directory).arg(LOCKS.to_string()));
    holder.says("ready");
    let mut listing = Command::new("env");
    listing.args(AS_NOBODY).arg(&program).arg("ls");
    let listed = outcome(listing.arg(&directory));
    assert_eq!(listed.code, Some(0), "{}", listed.errors);
    let start = format!("{}/", directory.display());
    let locks = listed.output.iter().filter(|line| line.starts_with(&start));
    let count = locks.count();
    // While other locks come and go, two reads of a table of this size never agree, and locks of
    // processes that may not be read can be missing.
    assert!(count > LOCKS / 10 * 9, "{count}");
}
