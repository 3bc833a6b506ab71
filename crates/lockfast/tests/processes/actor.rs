//! The process that follows the commands of a test.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use lockfast::binding_support::AnyOptions;
use lockfast::{Error, Fairness, Lock, LockGuard, Options, Protocol, RwLock, Verify};
use lockfast_testing::{Answer, Speaker};

use crate::actor_descriptors::{self as descriptors, Owned};
use crate::actor_forks as forks;
use crate::actor_line as line;
use crate::actor_many::Many;
use crate::actor_race as race;
use crate::actor_rwlock::{self as rwlock, RwProps};
use crate::actor_semaphore::{self as semaphore, SemProps};
use crate::actor_threads as in_threads;
use crate::server::Server;
use crate::{actor_owner as owner, fifo, lockless, mixture, witness};
use crate::{actor_reentrant as reentrant, actor_signals as signals, actor_tasks as tasks};

/// Reads commands until the test closes the pipe or goes away.
pub(crate) fn run() {
    serve(
        io::stdin(),
        &Speaker::through(io::stdout()),
        &Arc::default(),
    );
}

#[derive(Default)]
pub(crate) struct Props {
    pub(crate) locks: HashMap<String, Lock>,
    pub(crate) guards: HashMap<String, LockGuard>,
    files: HashMap<String, File>,
    /// Files that are open only to fill the table.
    filling: Vec<File>,
    lockless: Option<fuser::BackgroundSession>,
    /// The files that the program has put in the place of the library's descriptors.
    owned: Vec<Owned>,
    server: Option<Server>,
    leased: Option<File>,
    many: Many,
    rw: RwProps,
    pub(crate) sem: SemProps,
}

pub(crate) type Shared = Arc<Mutex<Props>>;

fn serve(from: impl Read, to: &Speaker, props: &Shared) {
    let props = Arc::clone(props);
    let perform = {
        let to = to.clone();
        move |words: &[&str]| perform(words, &props, &to)
    };
    lockfast_testing::serve(from, to, kind_of, perform);
}

fn kind_of(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let error = error.downcast_ref::<Error>()?;
    Some(format!("{:?}", error.kind()))
}

#[allow(clippy::too_many_lines, reason = "the table of commands")]
fn perform(words: &[&str], props: &Shared, to: &Speaker) -> Answer {
    let locked = || -> MutexGuard<'_, Props> { props.lock().expect("no command panics") };
    let lock = |name: &str| locked().locks[name].clone();
    let keep = |name: &str, guard| locked().guards.insert(name.to_owned(), guard);
    match *words {
        ["open", name, path, ref options @ ..] => {
            let opened = parse::<Lock>(options, to).open(path)?;
            locked().locks.insert(name.to_owned(), opened);
        }
        ["from-file", name, path] => {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            let opened = Lock::from_file(file)?;
            locked().locks.insert(name.to_owned(), opened);
        }
        ["close", name] => drop(locked().locks.remove(name)),
        ["lock", name, guard] => drop(keep(guard, lock(name).lock()?)),
        ["try", name, guard] => drop(keep(guard, lock(name).try_lock()?)),
        ["for", name, guard, millis] => {
            let timeout = Duration::from_millis(millis.parse()?);
            drop(keep(guard, lock(name).try_lock_for(timeout)?));
        }
        ["lock-catching", name] => {
            let lock = lock(name);
            let outcome = std::panic::catch_unwind(|| lock.lock());
            let payload = outcome.err().ok_or("no panic")?;
            return Err(format!("{:?}", payload.downcast_ref::<&str>()).into());
        }
        ["drop", guard] => {
            let guard = locked().guards.remove(guard);
            drop(guard.ok_or("no such guard")?);
        }
        ["release", guard] => {
            let guard = locked().guards.remove(guard);
            guard.ok_or("no such guard")?.release()?;
        }
        ["token", guard] => {
            let token = locked().guards[guard].token();
            return Ok(token.ok_or("no token")?.to_string());
        }
        ["abandoned", guard] => {
            let guards = &locked().guards;
            return Ok(guards[guard].abandoned().map_or("nobody".into(), |owner| {
                let label = owner.label().unwrap_or("no label");
                let runs = owner.is_running();
                format!("{} {} {label} {runs:?}", owner.token(), owner.pid())
            }));
        }
        ["log-holds", name, rounds] => return owner::log_holds(&lock(name), rounds.parse()?),
        ["no-more-bytes"] => signals::no_more_bytes()?,
        ["current", guard] => return Ok(locked().guards[guard].is_current()?.to_string()),
        ["read-guard", guard] => {
            let mut text = String::new();
            locked().guards[guard].file().read_to_string(&mut text)?;
            return Ok(text);
        }
        ["duplicate", guard, name] => {
            let copy = locked().guards[guard].file().try_clone()?;
            locked().files.insert(name.to_owned(), copy);
        }
        ["panic-holding", name] => {
            let lock = lock(name);
            let outcome = thread::spawn(move || {
                let _guard = lock.lock().expect("the lock");
                std::panic::resume_unwind(Box::new("while holding"));
            });
            outcome.join().expect_err("the panic");
        }
        ["open-and-close", path] => drop(File::open(path)?),
        ["hold-open", name, path] => {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            locked().files.insert(name.to_owned(), file);
        }
        ["classic", name, kind] => kernel_classic(&locked().files[name], kind)?,
        ["close-file", name] => drop(locked().files.remove(name)),
        ["become", user] => {
            let user: u32 = user.parse()?;
            nix::unistd::setgid(user.into())?;
            nix::unistd::setuid(user.into())?;
        }
        ["chdir", path] => std::env::set_current_dir(path)?,
        ["count", what @ ("fd" | "task")] => {
            return Ok(fs::read_dir(format!("/proc/self/{what}"))?
                .count()
                .to_string());
        }
        ["timers"] => {
            return Ok(fs::read_to_string("/proc/self/timers")?
                .lines()
                .count()
                .to_string());
        }
        ["run", program, ref arguments @ ..] => {
            let output = Command::new(program).args(arguments).output()?;
            return Ok(String::from_utf8(output.stdout)?
                .trim_end()
                .replace('\n', ","));
        }
        ["fill-table"] => locked().filling = fill_table()?,
        ["drop-filling"] => locked().filling.clear(),
        ["mount-lockless", path, errno] => {
            let session = lockless::mount(Path::new(path), errno.parse()?)?;
            locked().lockless = Some(session);
        }
        ["unmount-lockless"] => {
            let props = std::mem::take(&mut *locked());
            drop((props.guards, props.locks, props.lockless));
        }
        ["mount-server", path, waits] => {
            locked().server = Some(Server::mount(Path::new(path), waits.parse()?)?);
        }
        ["server-replaces-file"] => locked().server.as_ref().ok_or("no server")?.replace(),
        ["unmount-server"] => {
            let props = std::mem::take(&mut *locked());
            drop((props.guards, props.locks, props.rw, props.sem, props.server));
        }
        ["lease", path] => locked().leased = Some(lease(path)?),
        ["give-up-lease"] => drop(locked().leased.take()),
        ["many", kind, path, count, limit, held] => {
            let numbers = [count.parse()?, limit.parse()?, held.parse()?];
            return locked().many.open(kind, Path::new(path), numbers);
        }
        ["many-dropped"] => locked().many = Many::default(),
        ["fork", kind, path] => return fork(kind, path, props),
        ["fork-at-first-use", path] => return forks::at_first_use(Path::new(path)),
        ["fork-while-opening", path, permits, children] => {
            return forks::while_opening(Path::new(path), permits.parse()?, children.parse()?);
        }
        ["hammer", path, rounds, ref options @ ..] => {
            let lock = parse::<Lock>(options, to).open(path)?;
            return witness::hammer(|| lock.lock(), &lock, rounds.parse()?);
        }
        ["hammer-open", path, rounds, ref options @ ..] => {
            let options = parse::<Lock>(options, to);
            let lock = options.open(path)?;
            return witness::hammer(|| options.open(path)?.lock(), &lock, rounds.parse()?);
        }
        ["hammer-timed", path, rounds, ref options @ ..] => {
            let lock = parse::<Lock>(options, to).open(path)?;
            let timeout = Duration::from_micros(50);
            let patient = || loop {
                match lock.try_lock_for(timeout) {
                    Err(error) if error.is_timed_out() => {}
                    taken => return taken,
                }
            };
            return witness::hammer(patient, &lock, rounds.parse()?);
        }
        ["hammer-threads", threads, path, rounds, ref options @ ..] => {
            let lock = parse::<Lock>(options, to).open(path)?;
            return in_threads::hammer(&lock, threads.parse()?, rounds.parse()?);
        }
        ["count-in-threads", threads, path, rounds, ref options @ ..] => {
            let lock = parse::<Lock>(options, to).open(path)?;
            return in_threads::count(&lock, threads.parse()?, rounds.parse()?);
        }
        ["lock-then-lock", name, other] => return in_threads::lock_both(&lock(name), &lock(other)),
        ["lock-hand-over-then-lock", name, other, millis] => {
            let later = Duration::from_millis(millis.parse()?);
            return in_threads::hand_over_and_lock(&lock(name), &lock(other), later);
        }
        ["execute", program, ref arguments @ ..] => {
            return Err(Command::new(program).args(arguments).exec().into());
        }
        ["relock-in-threads", name, threads, ref millis @ ..] => {
            let pause = millis.first().map_or(Ok(0), |millis| millis.parse())?;
            let pause = Duration::from_millis(pause);
            signals::relock_in_threads(&lock(name), threads.parse()?, pause)?;
        }
        ["try-in-threads", name, threads] => {
            signals::try_in_threads(&lock(name), threads.parse()?);
        }
        ["relocked"] => return Ok(signals::relocked().to_string()),
        ["many-timed", name, threads, millis] => {
            let timeout = Duration::from_millis(millis.parse()?);
            return signals::many_timed(&lock(name), threads.parse()?, timeout);
        }
        ["hand-over", guard] => locked()
            .guards
            .get_mut(guard)
            .ok_or("no guard")?
            .hand_over(),
        ["under-token", ref rest @ ..] => {
            return signals::token().run(|| perform(rest, props, to));
        }
        ["cancel"] => signals::token().cancel(),
        ["task", how, name, guard] => tasks::take(how, name, guard, props)?,
        ["task-begun", name] => return Ok(tasks::begin(&lock(name))),
        ["task-forgotten"] => tasks::forget(),
        ["task-ended", guard] => drop(keep(guard, tasks::end()?)),
        ["task-dropped", name] => return Ok(tasks::drop_waiting(&lock(name))),
        ["fds", ref rest @ ..] => return descriptors::perform(rest, &mut locked().owned),
        ["sem", ref rest @ ..] => return semaphore::perform(rest, props, to),
        ["re", ref rest @ ..] => return reentrant::perform(rest),
        ["rw", ref rest @ ..] => return perform_rw(rest, props, to),
        ["mixture", ref rest @ ..] => return mixture::worker::run(rest, to),
        ["greedy", kind, threads, path] => return line::greedy(kind, threads.parse()?, path),
        ["pass", kind, how, path] => return line::pass(kind, how, path),
        ["race", kind, path, rounds] => return race::run(kind, path, rounds.parse()?),
        ["abort"] => std::process::abort(),
        ["signal", ref rest @ ..] => return signals::perform(rest),
        _ => return Err(format!("unknown command {words:?}").into()),
    }
    Ok(String::new())
}

/// The commands about readers-writer locks, which begin with `rw`.
fn perform_rw(words: &[&str], props: &Shared, to: &Speaker) -> Answer {
    let locked = || -> MutexGuard<'_, Props> { props.lock().expect("no command panics") };
    match *words {
        ["open", name, path, ref options @ ..] => {
            return locked().rw.open(name, path, &parse(options, to));
        }
        // Without the right to write.
        ["from-file", name, path, ref options @ ..] => {
            let opened = parse::<RwLock>(options, to).from_file(File::open(path)?)?;
            locked().rw.put(name, opened);
        }
        ["release", guard] => locked().rw.take(guard)?.release()?,
        ["token", guard] => return locked().rw.token(guard),
        ["hand-over", guard] => {
            let mut handed = locked().rw.take(guard)?;
            handed.hand_over();
            locked().rw.keep(guard, handed);
        }
        ["change", how, guard, ref millis @ ..] => {
            let before = locked().rw.take(guard)?;
            let (now, outcome) = before.change(how, millis);
            locked().rw.keep(guard, now);
            outcome?;
        }
        ["hammer", path, rounds, ref options @ ..] => {
            let lock = parse::<RwLock>(options, to).open(path)?;
            return rwlock::hammer(&lock, rounds.parse()?);
        }
        ["read-in-threads", threads, path, rounds] => {
            let lock = RwLock::open(path)?;
            return rwlock::read_in_threads(&lock, threads.parse()?, rounds.parse()?);
        }
        ["hammer-plain", path, rounds, ref options @ ..] => {
            let lock = parse::<RwLock>(options, to).open(path)?;
            return rwlock::hammer_plain(&lock, rounds.parse()?);
        }
        [how, name, guard, ref millis @ ..] => {
            let lock = locked().rw.lock(name);
            let entered = rwlock::enter(&lock, how, millis)?;
            locked().rw.keep(guard, entered);
        }
        _ => return Err(format!("unknown command {words:?}").into()),
    }
    Ok(String::new())
}

pub(crate) fn parse<L>(words: &[&str], to: &Speaker) -> Options<L> {
    let mut options = Options::default();
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        options = match (key, value) {
            ("protocol", "fcntl") => options.set_protocol(Protocol::Fcntl),
            ("protocol", "flock") => options.set_protocol(Protocol::Flock),
            ("protocol", "both") => options.set_protocol(Protocol::Both),
            ("verify", "path") => options.verify(Verify::Path),
            ("fifo", "") => options.fairness(Fairness::Fifo),
            ("verify", "off") => options.verify(Verify::Off),
            ("record", "") => options.set_owner_record(true),
            ("label", label) => options.set_label(label),
            ("linger", "for-ever") => options.set_linger(Duration::MAX),
            ("linger", millis) => {
                options.set_linger(Duration::from_millis(millis.parse().expect("a number")))
            }
            ("remove", "") => options.set_remove_on_release(true),
            ("any-owner", "") => options.any_owner(true),
            ("follow", "") => options.follow_symlinks(true),
            ("no-dirs", "") => options.create_dirs(false),
            ("mode", mode) => options.mode(u32::from_str_radix(mode, 8).expect("octal")),
            ("interval", millis) => {
                options.wait_interval(Duration::from_millis(millis.parse().expect("a number")))
            }
            // Tells each call, and gives up at the given one.
            ("on-wait", limit) => {
                let (to, limit) = (to.clone(), limit.parse().unwrap_or(u32::MAX));
                let calls = Mutex::new(0_u32);
                options.on_wait(move |waiting| {
                    let holder = waiting
                        .holder()
                        .map_or("unknown".into(), ToString::to_string);
                    to.report(format!("waiting {holder}"));
                    let mut calls = calls.lock().expect("a number");
                    *calls += 1;
                    give_up_if(*calls >= limit)
                })
            }
            ("on-wait-in-line", "") => {
                let to = to.clone();
                options.on_wait(move |waiting| {
                    let is_queued = fifo::has_ticket(std::process::id(), waiting.path());
                    to.report(format!("in line: {is_queued}"));
                    ControlFlow::Continue(())
                })
            }
            ("on-wait-panic", "") => {
                options.on_wait(|_| std::panic::resume_unwind(Box::new("told")))
            }
            ("on-interrupt", limit) => {
                let (to, limit) = (to.clone(), limit.parse().unwrap_or(u32::MAX));
                let calls = Mutex::new(0_u32);
                options.on_interrupt(move || {
                    to.report("interrupted");
                    let mut calls = calls.lock().expect("a number");
                    *calls += 1;
                    give_up_if(*calls >= limit)
                })
            }
            _ => panic!("unknown option {word}"),
        };
    }
    options
}

fn give_up_if(enough: bool) -> ControlFlow<()> {
    if enough {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// Forks; the child connects to the test and goes on as an actor of its own.
#[allow(unsafe_code, reason = "fork")]
#[allow(
    clippy::useless_conversion,
    reason = "what the call takes and answers has 32 bits on some processors"
)]
fn fork(kind: &str, path: &str, props: &Shared) -> Answer {
    let mut filling = Vec::new();
    if kind == "libc-full-table" {
        filling = fill_table()?;
    }
    let child = match kind {
        // SAFETY: the child only does what this program's tests are about.
        "libc" | "libc-full-table" => unsafe { libc::fork() },
        // Without the handlers that the C library runs.
        "raw" => {
            let signal = libc::c_long::from(libc::SIGCHLD);
            // IBM's kernel has the flags second.
            let (first, second) = if cfg!(target_arch = "s390x") {
                (0, signal)
            } else {
                (signal, 0)
            };
            // SAFETY: as above.
            let child = unsafe { libc::syscall(libc::SYS_clone, first, second, 0, 0, 0) };
            i32::try_from(child)?
        }
        _ => return Err(format!("no such fork: {kind}").into()),
    };
    if child != 0 {
        return Ok(child.to_string());
    }
    drop(filling);
    let stream = UnixStream::connect(path).expect("the test listens");
    let from = stream.try_clone().expect("a copy");
    serve(from, &Speaker::through(stream), props);
    // SAFETY: leaves without running what belongs to the parent.
    unsafe { libc::_exit(0) }
}

/// Opens a file that nobody else has open, so that whoever opens it has to wait until this one closes it.
#[allow(unsafe_code, reason = "signal, and fcntl")]
#[allow(clippy::disallowed_methods, reason = "not a lock call")]
pub(crate) fn lease(path: impl AsRef<Path>) -> io::Result<File> {
    use std::os::fd::AsRawFd;
    // The kernel asks by a signal, which would end the process.
    // SAFETY: to ignore a signal runs nothing.
    unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let wanted = libc::c_int::from(libc::F_WRLCK);
    // SAFETY: takes numbers.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, wanted) } {
        0 => Ok(file),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Opens files until no more can be opened.
fn fill_table() -> Result<Vec<File>, Box<dyn std::error::Error>> {
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, 64, 64)?;
    Ok(std::iter::from_fn(|| File::open("/dev/null").ok()).collect())
}

/// A lock that belongs to the process, as most programs take it.
fn kernel_classic(file: &File, kind: &str) -> nix::Result<()> {
    use nix::fcntl::{FcntlArg, fcntl};
    let l_type = match kind {
        "exclusive" | "exclusive-wait" => libc::F_WRLCK,
        "shared" => libc::F_RDLCK,
        _ => libc::F_UNLCK,
    };
    let whole = libc::flock {
        l_type: i16::try_from(l_type).expect("small"),
        l_whence: i16::try_from(libc::SEEK_SET).expect("small"),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let operation = if kind == "exclusive-wait" {
        FcntlArg::F_SETLKW(&whole)
    } else {
        FcntlArg::F_SETLK(&whole)
    };
    fcntl(file, operation).map(drop)
}
