//! An actor that is forked at an awkward moment.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use lockfast::{CancelToken, Lock, Semaphore};
use lockfast_testing::Answer;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// The time after which a child hangs: less than the test waits for the answer of this process.
const CHILDS_TIME: Duration = Duration::from_secs(60);

/// Forks while other threads use the library for the first time; does the child get through that uses
/// it for the first time as well?
pub(crate) fn at_first_use(directory: &Path) -> Answer {
    const THREADS: usize = 3;
    let start = Arc::new(Barrier::new(THREADS + 1));
    let users: Vec<_> = (0..THREADS)
        .map(|number| {
            let start = Arc::clone(&start);
            let path = directory.join(number.to_string());
            thread::spawn(move || {
                start.wait();
                use_all(&path).map_err(|error| error.to_string())
            })
        })
        .collect();
    start.wait();
    let child = fork_to(|| use_all(&directory.join("child")).is_ok())?;
    let status = ends_in_time(child)?;
    for user in users {
        user.join().expect("no panic")?;
    }
    match status {
        WaitStatus::Exited(_, 0) => Ok(String::new()),
        other => Err(format!("the child: {other:?}").into()),
    }
}

/// Each kind of state that the library makes when it is first needed.
fn use_all(path: &Path) -> lockfast::Result<()> {
    let lock = Lock::open(path)?;
    drop(lock.lock()?);
    drop(CancelToken::new().run(|| lock.try_lock_for(Duration::from_secs(600)))?);
    let lingering = Lock::options().linger(Duration::from_secs(1));
    let lingering = lingering.open(path.with_extension("linger"))?;
    drop(lingering.lock()?);
    drop(Semaphore::open(path.with_extension("permits"), 2)?.acquire()?);
    Ok(())
}

/// Forks again and again while other threads open and close a semaphore. The children stay until this
/// process ends.
pub(crate) fn while_opening(path: &Path, permits: u32, children: u32) -> Answer {
    // The handlers of forks are there from the first open on, which this is not about.
    drop(Semaphore::open(path, permits)?);
    let is_over = Arc::new(AtomicBool::new(false));
    let openers: Vec<_> = (0..3)
        .map(|_| {
            let (path, is_over) = (path.to_path_buf(), Arc::clone(&is_over));
            thread::spawn(move || -> lockfast::Result<()> {
                while !is_over.load(Ordering::Relaxed) {
                    drop(Semaphore::open(&path, permits)?);
                }
                Ok(())
            })
        })
        .collect();
    let (begun, begins) = nix::unistd::pipe()?;
    for _ in 0..children {
        fork_to(|| {
            nix::unistd::write(&begins, b".").expect("the parent lives");
            loop {
                nix::unistd::pause();
            }
        })?;
        thread::yield_now();
    }
    // What a child has inherited is gone once its `fork` has returned.
    File::from(begun).read_exact(&mut vec![0; usize::try_from(children)?])?;
    is_over.store(true, Ordering::Relaxed);
    for opener in openers {
        opener.join().expect("no panic")?;
    }
    Ok(String::new())
}

/// The child dies with this process at the latest.
#[allow(unsafe_code, reason = "fork, and prctl")]
fn fork_to(run: impl FnOnce() -> bool) -> nix::Result<Pid> {
    // SAFETY: the child only does what this program's tests are about.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            // SAFETY: takes numbers.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let status = i32::from(!run());
            // SAFETY: leaves without running what belongs to the parent.
            unsafe { libc::_exit(status) }
        }
    }
}

fn ends_in_time(child: Pid) -> Result<WaitStatus, Box<dyn std::error::Error>> {
    let deadline = Instant::now() + CHILDS_TIME;
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG))? {
            WaitStatus::StillAlive if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(1));
            }
            WaitStatus::StillAlive => {
                kill(child, Signal::SIGKILL)?;
                waitpid(child, None)?;
                return Err("the child hangs".into());
            }
            ended => return Ok(ended),
        }
    }
}
