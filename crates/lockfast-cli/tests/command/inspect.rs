//! `lockfast status` and `lockfast ls`: real holders and waiters of every kind.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::stage::{Actor, DEADLINE, HOLD, Outcome, Stage, hold, outcome, run, script};
use crate::terminal::Terminal;

/// Locks files in turn, each when it is told how: `flock FILE`, `classic FILE` or `ofd FILE`, shared
/// with an `s` behind it.
const LOCKER: &str = r#"
import fcntl, os, struct, sys
print("ready", flush=True)
files = []
for line in sys.stdin:
    how, name = line.rstrip("\n").split(" ", 1)
    file = open(name, "r+")
    files.append(file)
    shared = how.endswith("s")
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
    if how.startswith("flock"):
        fcntl.flock(file, mode)
    elif how.startswith("classic"):
        fcntl.lockf(file, mode)
    else:
        fcntl.fcntl(file, 38, struct.pack("hhqqi4x", kind, 0, 0, 0, 0))
    print("locked", flush=True)
"#;

fn locker() -> Actor {
    let python = std::env::var_os("LOCKFAST_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(python);
    let actor = Actor::start(command.args(["-c", LOCKER]));
    actor.says("ready");
    actor
}

fn lockfast<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockfast"));
    command.args(arguments);
    command
}

fn json(command: &mut Command) -> Value {
    let told = outcome(command.arg("--json"));
    assert_eq!(told.errors, "");
    serde_json::from_str(&told.output.join("\n")).expect("it is JSON")
}

/// Where a lock shows: its state, kind, mode and role.
fn entries(path: &Path) -> Vec<(String, String, String, String, Option<u64>)> {
    let document = json(lockfast(["ls"]).arg(path));
    let locks = document["locks"].as_array().expect("locks").clone();
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let entry = |lock: &Value| {
        assert_eq!(word(&lock["path"]), path.to_str().expect("a plain path"));
        let pid = lock["processes"][0]["pid"].as_u64();
        let (state, kind) = (word(&lock["state"]), word(&lock["kind"]));
        (state, kind, word(&lock["mode"]), word(&lock["role"]), pid)
    };
    locks.iter().map(entry).collect()
}

/// Looks until that is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it is never so: {what}");
        thread::yield_now();
    }
}

#[track_caller]
fn until_waiting(path: &Path, pid: nix::unistd::Pid) {
    until("it waits", || {
        let waits = |entry: &(String, _, _, _, Option<u64>)| {
            entry.0 == "waiting" && entry.4 == Some(number(pid))
        };
        entries(path).iter().any(waits)
    });
}

fn number(pid: nix::unistd::Pid) -> u64 {
    pid.as_raw().try_into().expect("pids are positive")
}

fn file(stage: &Stage, name: impl AsRef<OsStr>) -> std::path::PathBuf {
    let path = stage.path(name);
    fs::write(&path, "").expect("a file");
    path
}

#[test]
fn status_tells_free_from_held_and_takes_nothing() {
    let stage = Stage::new();
    let (lock, other) = (stage.path("job.lock"), stage.path("other.lock"));
    let status = |paths: &[&Path]| outcome(lockfast(["status"]).args(paths));
    let free = status(&[&lock]);
    assert_eq!((free.code, free.errors.as_str()), (Some(0), ""));
    assert_eq!(free.output, [format!("{}: free", lock.display())]);
    assert!(!lock.exists(), "it was created");

    let mut holder = hold(&lock);
    let held = status(&[&lock, &other]);
    assert_eq!(held.code, Some(75));
    assert_eq!(held.output[0], format!("{}: held", lock.display()));
    let who = format!("  holding exclusive writer: pid {} (", holder.pid());
    assert!(held.output[1].starts_with(&who), "{held:?}");
    assert_eq!(held.output[2], format!("{}: free", other.display()));
    let document = json(lockfast(["status"]).args([&lock, &other]));
    assert_eq!(document["schema"], 1);
    assert_eq!(document["status"][0]["free"], false);
    assert_eq!(document["status"][1]["free"], true);
    assert_eq!(
        document["status"][0]["locks"][0]["processes"][0]["pid"],
        number(holder.pid())
    );
    holder.tell("end");
    holder.end();
    assert_eq!(status(&[&lock]).code, Some(0));
}

#[test]
fn every_kind_of_holder_and_waiter_is_shown() {
    let stage = Stage::new();
    for (kind, other) in [("flock", "flock"), ("classic", "ofd"), ("ofd", "classic")] {
        let path = file(&stage, kind);
        let (mut holder, mut waiter) = (locker(), locker());
        holder.tell(&format!("{kind} {}", path.display()));
        holder.says("locked");
        waiter.tell(&format!("{other}s {}", path.display()));
        until_waiting(&path, waiter.pid());
        let expected = [
            ("holding", kind, "exclusive", "-", holder.pid()),
            ("waiting", other, "shared", "-", waiter.pid()),
        ];
        let expected = expected.map(|(state, kind, mode, role, pid)| {
            let [first, second, third, fourth] = [state, kind, mode, role].map(str::to_owned);
            (first, second, third, fourth, Some(number(pid)))
        });
        assert_eq!(entries(&path), expected);
    }
}

#[test]
fn what_lockfast_itself_holds_has_a_role() {
    let stage = Stage::new();
    let start = |command: &mut Command| {
        let actor = Actor::start(command.args(["--", "sh", "-c", HOLD]));
        actor.says("ready");
        actor
    };
    let path = stage.path("rw.lock");
    let reader = start(run(["--shared"]).arg(&path));
    let mut command = run(["-q"]);
    let writer = Actor::start(command.arg(&path).args(["--", "true"]));
    until_waiting(&path, writer.pid());
    let told = entries(&path);
    let short: Vec<_> = told
        .iter()
        .map(|entry| (&*entry.0, &*entry.2, &*entry.3, entry.4))
        .collect();
    assert_eq!(
        short,
        [
            ("holding", "shared", "reader", Some(number(reader.pid()))),
            ("waiting", "exclusive", "writer", Some(number(writer.pid()))),
        ]
    );
    drop((reader, writer));

    let path = stage.path("alone.lock");
    let _holder = hold(&path);
    let mut command = run(["-q", "--shared"]);
    let reader = Actor::start(command.arg(&path).args(["--", "true"]));
    until_waiting(&path, reader.pid());
    let told = entries(&path);
    assert_eq!((&*told[1].2, &*told[1].3), ("shared", "reader"));

    let pool = stage.path("pool.lock");
    let _holders = [(); 2].map(|()| start(run(["--permits", "2"]).arg(&pool)));
    let queue: Vec<_> = [(); 2]
        .iter()
        .map(|()| {
            let mut command = run(["-q", "--permits", "2"]);
            Actor::start(command.arg(&pool).args(["--", "true"]))
        })
        .collect();
    for waiter in &queue {
        until_waiting(&pool, waiter.pid());
    }
    let told = outcome(lockfast(["ls"]).arg(&pool)).output;
    let columns = |line: &String| line.split('\t').nth(2).map(str::to_owned);
    let manners: Vec<_> = told.iter().filter_map(columns).collect();
    let expected = ["1 of 2 permits", "1 of 2 permits", "permit", "permit"];
    assert_eq!(manners, expected, "{told:?}");
}

#[test]
fn a_lock_that_was_inherited_shows_all_who_have_it() {
    let stage = Stage::new();
    let path = file(&stage, "job.lock");
    // As it was inherited, and by other numbers.
    for number in [3, 7, 255, 200] {
        let text = format!("[ {number} = 3 ] || exec {number}>&3 3>&-; {HOLD}");
        let mut command = Command::new("flock");
        let holder = Actor::start(command.arg(&path).args(["bash", "-c", &text]));
        holder.says("ready");
        let pid = u64::from(holder.pid().as_raw().unsigned_abs());
        let listed = json(lockfast(["ls"]).arg(&path));
        let asked = json(lockfast(["status"]).arg(&path));
        for document in [&listed, &asked["status"][0]] {
            let locks = document["locks"].as_array().expect("locks");
            assert_eq!(locks.len(), 1, "{document}");
            let processes = locks[0]["processes"].as_array().expect("processes");
            assert_eq!(processes.len(), 2, "{number}: {document}");
            assert_eq!(processes[0]["pid"], pid);
            assert_eq!(processes[1]["command"][0], "bash");
        }
        drop(holder);
        // The other one ends when nobody can tell it anything.
        until("it is free", || {
            outcome(lockfast(["status"]).arg(&path)).code == Some(0)
        });
    }
}

#[test]
fn a_wait_has_a_beginning() {
    let stage = Stage::new();
    let path = stage.path("job.lock");
    let _holder = hold(&path);
    let waiter = Actor::start(script(&path, "true").arg("-q"));
    until_waiting(&path, waiter.pid());
    if !Path::new("/proc/self/sched").exists() {
        return;
    }
    let document = json(lockfast(["ls"]).arg(&path));
    let since = |number: usize| {
        document["locks"][number]["since"]
            .as_str()
            .map(str::to_owned)
    };
    let since = since(1).expect("a beginning");
    let since = humantime::parse_rfc3339(&since).expect("a time");
    let started = document["locks"][1]["processes"][0]["started"].as_str();
    let started = humantime::parse_rfc3339(started.expect("a start")).expect("a time");
    // The clocks of scheduler and processes tick a hundred times a second.
    let slack = std::time::Duration::from_secs(1);
    assert!(since + slack > started, "{document}");
    assert!(since < std::time::SystemTime::now() + slack, "{document}");
}

/// Who holds it is in the error of an attempt and of a wait, whatever program that is: also where
/// `F_GETLK` says -1, and where there are several.
#[test]
fn an_error_names_every_kind_of_holder_with_its_command() {
    let stage = Stage::new();
    let attempt = |path: &Path, how: &[&str]| {
        let told = outcome(run(how).arg(path).args(["--", "true"]));
        assert_eq!(told.code, Some(75), "{told:?}");
        told.errors
    };
    for kind in ["classic", "ofd", "ofds"] {
        let path = file(&stage, kind);
        let mut holder = locker();
        holder.tell(&format!("{kind} {}", path.display()));
        holder.says("locked");
        for how in [&["-n"][..], &["-w", "20ms"]] {
            let errors = attempt(&path, how);
            let who = format!(": it is held by pid {} (", holder.pid());
            assert!(errors.contains(&who), "{kind}: {errors}");
            assert!(errors.contains("import fcntl, os, struct, sys"), "{errors}");
        }
    }
    let path = file(&stage, "flock");
    let mut holder = locker();
    holder.tell(&format!("flock {}", path.display()));
    holder.says("locked");
    let errors = attempt(&path, &["-n", "--protocol", "flock"]);
    let who = format!(": it is held by pid {} (", holder.pid());
    assert!(errors.contains(&who), "{errors}");

    let path = stage.path("shared.lock");
    let readers = [(); 5].map(|()| {
        let mut command = run(["--shared"]);
        let reader = Actor::start(command.arg(&path).args(["--", "sh", "-c", HOLD]));
        reader.says("ready");
        reader
    });
    let errors = attempt(&path, &["-n"]);
    let named = readers.iter().filter(|reader| {
        let who = format!("pid {} (", reader.pid());
        errors.contains(&who)
    });
    assert_eq!(named.count(), 3, "{errors}");
    assert!(errors.ends_with("; and 2 more"), "{errors}");

    let pool = stage.path("pool.lock");
    let mut command = run(["--permits", "1"]);
    let holder = Actor::start(command.arg(&pool).args(["--", "sh", "-c", HOLD]));
    holder.says("ready");
    let errors = attempt(&pool, &["-n", "--permits", "1"]);
    let who = format!("permits are held by pid {} (", holder.pid());
    assert!(errors.contains(&who), "{errors}");
}

/// An owner record tells since when, and what for.
#[test]
fn a_hold_with_a_record_has_a_beginning_and_a_label() {
    let stage = Stage::new();
    let path = stage.path("job.lock");
    for protocol in ["fcntl", "flock"] {
        let mut command = run([
            "--record",
            "--label",
            "nightly backup",
            "--protocol",
            protocol,
        ]);
        let before = std::time::SystemTime::now();
        let mut holder = Actor::start(command.arg(&path).args(["--", "sh", "-c", HOLD]));
        holder.says("ready");
        let after = std::time::SystemTime::now();
        let document = json(lockfast(["status"]).arg(&path));
        let lock = &document["status"][0]["locks"][0];
        assert_eq!(lock["label"], "nightly backup", "{document}");
        let since = lock["since"].as_str().expect("a beginning");
        let since = humantime::parse_rfc3339(since).expect("a time");
        // It is told in milliseconds.
        let tick = std::time::Duration::from_millis(1);
        assert!(since + tick >= before && since <= after, "{document}");
        let told = outcome(lockfast(["status"]).arg(&path)).output;
        assert!(told[1].contains(" (nightly backup), for 0s"), "{told:?}");
        holder.tell("end");
        holder.end();
    }
    // The record of one that died is not that of the next one, which writes none.
    let mut command = run(["--record", "--label", "nightly backup"]);
    let mut dead = Actor::start(command.arg(&path).args(["--", "sh", "-c", HOLD]));
    dead.says("ready");
    dead.signal(nix::sys::signal::Signal::SIGKILL);
    dead.end();
    let _holder = hold(&path);
    let document = json(lockfast(["status"]).arg(&path));
    let lock = &document["status"][0]["locks"][0];
    assert!(
        lock["since"].is_null() && lock["label"].is_null(),
        "{document}"
    );
}

/// Not a test by itself: the processes of the next one.
#[test]
fn takes_a_lock_in_order_if_it_is_asked_to() {
    use lockfast::{Fairness, Lock, RwLock, Semaphore};
    let Some(path) = std::env::var_os("LOCKFAST_TEST_IN_ORDER") else {
        return;
    };
    let hold = || {
        println!("\ninside");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).expect("a line");
    };
    let what = std::env::var("LOCKFAST_TEST_AS").expect("what for");
    let fifo = Fairness::Fifo;
    match &*what {
        "lock" => {
            let lock = Lock::options().fairness(fifo).open(path).expect("a lock");
            let _guard = lock.lock().expect("it gets in");
            hold();
        }
        "reader" => {
            let lock = RwLock::options().fairness(fifo).open(path).expect("a lock");
            let _guard = lock.read().expect("it gets in");
            hold();
        }
        _ => {
            let options = Semaphore::options().fairness(fifo);
            let pool = options.open(path, 1).expect("a pool");
            let _permit = pool.acquire().expect("it gets in");
            hold();
        }
    }
}

/// Those who wait in strict order have locked a ticket, and wait for somebody else's: they hold nothing.
#[test]
fn who_waits_in_strict_order_is_no_holder() {
    let stage = Stage::new();
    let start = |path: &Path, what: &str| {
        let itself = std::env::current_exe().expect("this program");
        let mut command = Command::new(itself);
        command.args(["--nocapture", "--exact"]);
        command.arg("inspect::takes_a_lock_in_order_if_it_is_asked_to");
        command.env("LOCKFAST_TEST_IN_ORDER", path);
        Actor::start(command.env("LOCKFAST_TEST_AS", what))
    };
    let until_inside = |actor: &Actor| while actor.hear() != "inside" {};
    let cases = [
        (
            "lock",
            ["exclusive", "writer"],
            ["exclusive", "writer"],
            ["exclusive", "-"],
        ),
        (
            "permit",
            ["exclusive", "permit"],
            ["exclusive", "permit"],
            ["exclusive", "permit"],
        ),
    ];
    for (what, held, first, others) in cases {
        let path = stage.path(what);
        let holder = start(&path, what);
        until_inside(&holder);
        let waiters: Vec<Actor> = (0..3)
            .map(|_| {
                let waiter = start(&path, what);
                until_waiting(&path, waiter.pid());
                waiter
            })
            .collect();
        let pids: Vec<u64> = waiters.iter().map(|waiter| number(waiter.pid())).collect();
        let mut expected = vec![("holding", held, number(holder.pid()))];
        let manners = [first, others, others];
        expected.extend(
            pids.iter()
                .zip(manners)
                .map(|(&pid, manner)| ("waiting", manner, pid)),
        );
        expected.sort_unstable();
        // A look may come in the moment in which one changes from one wait to the next.
        let mut told = Vec::new();
        until(&format!("{expected:?}"), || {
            told = entries(&path);
            let holders = told.iter().filter(|entry| entry.0 == "holding").count();
            assert!(holders <= 1, "{told:?}");
            let mut short: Vec<_> = told
                .iter()
                .filter_map(|(state, _, mode, role, pid)| {
                    Some((&**state, [&**mode, &**role], (*pid)?))
                })
                .collect();
            short.sort_unstable();
            short == expected
        });
    }
    // A reader behind a writer that waits.
    let path = stage.path("rw.lock");
    let holder = start(&path, "lock");
    until_inside(&holder);
    let writer = start(&path, "lock");
    until_waiting(&path, writer.pid());
    let reader = start(&path, "reader");
    until_waiting(&path, reader.pid());
    let told = entries(&path);
    let is_its =
        |entry: &&(String, _, String, String, Option<u64>)| entry.4 == Some(number(reader.pid()));
    let its: Vec<_> = told.iter().filter(is_its).collect();
    assert_eq!(its.len(), 1, "{told:?}");
    assert_eq!(
        (&*its[0].0, &*its[0].2, &*its[0].3),
        ("waiting", "shared", "reader")
    );
}

#[test]
fn three_processes_in_a_circle_are_named() {
    let stage = Stage::new();
    for kind in ["flock", "ofd"] {
        let paths = ["a", "b", "c"].map(|name| file(&stage, format!("{kind}-{name}")));
        let mut actors = [locker(), locker(), locker()];
        for (actor, path) in actors.iter_mut().zip(&paths) {
            actor.tell(&format!("{kind} {}", path.display()));
            actor.says("locked");
        }
        for number in 0..3 {
            let next = &paths[(number + 1) % 3];
            let before = outcome(lockfast(["ls", "--deadlocks"]).args(&paths));
            assert_eq!(before.code, Some(0), "{before:?}");
            assert_eq!(before.output[0], "no deadlocks");
            actors[number].tell(&format!("{kind} {}", next.display()));
            until_waiting(next, actors[number].pid());
        }
        let found = outcome(lockfast(["ls", "--deadlocks"]).args(&paths));
        assert_eq!(found.code, Some(75), "{found:?}");
        assert_eq!(found.output[0], "deadlock: 3 processes");
        for number in 0..3 {
            let next = (number + 1) % 3;
            let (pid, holder) = (actors[number].pid(), actors[next].pid());
            let path = paths[next].display();
            let is_told = |line: &&String| {
                line.starts_with(&format!("  pid {pid} ("))
                    && line.ends_with(&format!("waits for {path}, held by pid {holder}"))
            };
            assert!(found.output.iter().any(|line| is_told(&line)), "{found:?}");
        }
        let document = json(lockfast(["ls", "--deadlocks"]).args(&paths));
        assert_eq!(document["deadlocks"][0]["certain"], true);
        let steps = document["deadlocks"][0]["steps"].as_array().expect("steps");
        assert_eq!(steps.len(), 3);
        let elsewhere = outcome(lockfast(["ls", "--deadlocks"]).arg(file(&stage, "elsewhere")));
        assert_eq!(elsewhere.code, Some(0), "{elsewhere:?}");
        // When one of them dies there is none.
        drop(actors);
        let after = outcome(lockfast(["ls", "--deadlocks"]).args(&paths));
        assert_eq!(after.code, Some(0), "{after:?}");
    }
}

/// Nested commands: each parent waits for its child, and the child for a lock.
#[test]
fn a_circle_through_nested_commands_is_found() {
    let stage = Stage::new();
    let (a, b) = (stage.path("a.lock"), stage.path("b.lock"));
    let program = env!("CARGO_BIN_EXE_lockfast");
    let nested = |outer: &Path, inner: &Path| {
        let text = "echo ready; read line; exec \"$0\" run -q \"$1\" -- true";
        let mut command = script(outer, text);
        let actor = Actor::start(command.arg(program).arg(inner));
        actor.says("ready");
        actor
    };
    let mut actors = [nested(&a, &b), nested(&b, &a)];
    for actor in &mut actors {
        actor.tell("go");
    }
    let mut found = None;
    until("it is found", || {
        let told = outcome(lockfast(["ls", "--deadlocks"]).args([&a, &b]));
        let is_found = told.code == Some(75);
        found = Some(told);
        is_found
    });
    let found: Outcome = found.expect("it was looked for");
    assert_eq!(found.output[0], "deadlock: 4 processes", "{found:?}");
    for actor in &actors {
        let parent = format!("  pid {} (", actor.pid());
        let line = found.output.iter().find(|line| line.starts_with(&parent));
        let line = line.unwrap_or_else(|| panic!("{found:?}"));
        assert!(line.contains("waits for the end of its child"), "{found:?}");
    }
}

#[test]
fn ls_looks_below_directories_and_nowhere_else() {
    let stage = Stage::new();
    let (inside, outside) = (stage.path("in/deep/a.lock"), stage.path("out.lock"));
    let _holders = [hold(&inside), hold(&outside)];
    let lines = |command: &mut Command| {
        let told = outcome(command);
        assert_eq!((told.code, told.errors.as_str()), (Some(0), ""));
        told.output
    };
    let below = lines(lockfast(["ls"]).arg(stage.path("in")));
    assert_eq!(below.len(), 1, "{below:?}");
    assert!(below[0].starts_with(&format!("{}\tholding\t", inside.display())));
    let here = lines(lockfast(["ls"]).current_dir(stage.path("in")));
    assert_eq!(here.len(), 1);
    assert_eq!(here[0].split('\t').count(), 8);
    let both = lines(lockfast(["ls"]).args([&inside, &outside]));
    assert_eq!(both.len(), 2);
    let all = lines(&mut lockfast(["ls", "--all"]));
    for path in [&inside, &outside] {
        let path = path.display().to_string();
        assert!(all.iter().any(|line| line.starts_with(&path)), "{all:?}");
    }
    let missing = outcome(lockfast(["ls"]).arg(stage.path("missing")));
    assert_eq!(missing.code, Some(66));
    assert!(missing.errors.contains("missing"), "{missing:?}");
    assert_eq!(outcome(&mut lockfast(["ls", "--all", "x"])).code, Some(64));
    assert_eq!(outcome(&mut lockfast(["status"])).code, Some(64));
}

#[test]
fn a_file_without_a_name_any_more_is_called_deleted() {
    let stage = Stage::new();
    let path = stage.path("job.lock");
    let _holder = hold(&path);
    fs::remove_file(&path).expect("it was there");
    let status = outcome(lockfast(["status"]).arg(&path));
    assert_eq!(status.code, Some(0), "{status:?}");
    let told = outcome(lockfast(["ls"]).arg(stage.path("")));
    let expected = format!("{} (deleted)\tholding", path.display());
    assert!(told.output[0].starts_with(&expected), "{told:?}");
    let document = json(lockfast(["ls"]).arg(stage.path("")));
    assert_eq!(document["locks"][0]["deleted"], true);
    assert_eq!(document["locks"][0]["path"], path.to_str().expect("plain"));
}

#[test]
fn a_path_need_not_be_text() {
    let stage = Stage::new();
    let path = stage.path(OsString::from_vec(b"caf\xe9\n.lock".to_vec()));
    let _holder = hold(&path);
    let told = outcome(lockfast(["ls"]).arg(&path));
    assert_eq!(told.output.len(), 1, "{told:?}");
    assert!(
        told.output[0].contains("caf\\xe9\\n.lock\tholding"),
        "{told:?}"
    );
    let document = json(lockfast(["status"]).arg(&path));
    let bytes: Vec<u8> = document["status"][0]["path_bytes"]
        .as_array()
        .expect("bytes")
        .iter()
        .map(|byte| u8::try_from(byte.as_u64().expect("a number")).expect("a byte"))
        .collect();
    assert_eq!(bytes, path.as_os_str().as_bytes());
    assert_eq!(document["status"][0]["free"], false);
    assert_eq!(outcome(lockfast(["status"]).arg(&path)).code, Some(75));
}

/// Somebody else can't look into the holder, is told so, and is told everything that is no secret.
#[test]
fn another_user_is_told_what_could_not_be_seen() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let stage = Stage::new();
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(stage.path(""), open.clone()).expect("its mode");
    let program = stage.path("lockfast");
    fs::copy(env!("CARGO_BIN_EXE_lockfast"), &program).expect("a copy");
    fs::set_permissions(&program, open).expect("its mode");
    let as_nobody = |arguments: &[&OsStr]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        outcome(command.arg(&program).args(arguments))
    };
    // The bytes of an exclusive lock of lockfast name the holder.
    let named = stage.path("named.lock");
    let holder = hold(&named);
    let told = as_nobody(&["status".as_ref(), named.as_ref()]);
    assert_eq!(told.code, Some(75), "{told:?}");
    let who = format!("pid {} (", holder.pid());
    assert!(told.output[1].contains(&who), "{told:?}");
    assert_eq!(told.output.len(), 2, "{told:?}");

    let unnamed = file(&stage, "unnamed.lock");
    let mut holder = locker();
    holder.tell(&format!("ofd {}", unnamed.display()));
    holder.says("locked");
    let told = as_nobody(&["status".as_ref(), unnamed.as_ref()]);
    assert_eq!(told.code, Some(75), "{told:?}");
    assert_eq!(
        told.output[1],
        "  holding exclusive: a process that was not found"
    );
    assert!(
        told.output[2].contains("not everything could be seen"),
        "{told:?}"
    );
    assert!(
        told.output[2].contains("of other users may not"),
        "{told:?}"
    );
    // The file is found by its number.
    let listed = as_nobody(&["ls".as_ref(), stage.path("").as_os_str()]);
    let line = format!("{}\tholding\texclusive\tofd\t?", unnamed.display());
    assert!(
        listed.output.iter().any(|text| text.starts_with(&line)),
        "{listed:?}"
    );
    let last = listed.output.last().expect("a line");
    assert!(last.contains("not everything could be seen"), "{listed:?}");
    let json = as_nobody(&["ls".as_ref(), "--json".as_ref(), stage.path("").as_os_str()]);
    let json: Value = serde_json::from_str(&json.output.join("\n")).expect("it is JSON");
    assert!(
        json["incomplete"]["unreadable_processes"].as_u64() > Some(0),
        "{json}"
    );
}

/// In a pid namespace of its own, as in a container: the locks from outside are there, not named.
#[test]
fn a_container_shows_its_own_and_tells_of_others() {
    let inner = |arguments: &[&OsStr]| {
        let mut command = Command::new("unshare");
        command.args([
            "--pid",
            "--fork",
            "--mount-proc",
            env!("CARGO_BIN_EXE_lockfast"),
        ]);
        outcome(command.args(arguments))
    };
    let stage = Stage::new();
    let path = stage.path("job.lock");
    if inner(&["status".as_ref(), path.as_ref()]).code != Some(0) {
        assert!(
            !nix::unistd::geteuid().is_root(),
            "root may have namespaces"
        );
        return;
    }
    let _holder = hold(&path);
    let told = inner(&["status".as_ref(), path.as_ref()]);
    assert_eq!(told.code, Some(75), "{told:?}");
    assert_eq!(
        told.output[1],
        "  holding exclusive writer: a process that was not found"
    );
    assert!(
        told.output[2].contains("outside of this container"),
        "{told:?}"
    );

    let own = stage.path("own.lock");
    let text = "exec \"$0\" status \"$1\"";
    let program = OsStr::new(env!("CARGO_BIN_EXE_lockfast"));
    let words = ["--", "sh", "-c", text].map(OsStr::new);
    let mut arguments = vec![OsStr::new("run"), own.as_os_str()];
    arguments.extend(words);
    arguments.extend([program, own.as_os_str()]);
    let told = inner(&arguments);
    assert_eq!(told.code, Some(75), "{told:?}");
    assert!(
        told.output[1].contains("holding exclusive writer: pid 1 ("),
        "{told:?}"
    );
}

#[test]
fn a_terminal_gets_a_table_and_colours_unless_they_are_not_wanted() {
    let stage = Stage::new();
    let path = stage.path("job.lock");
    let _holder = hold(&path);
    let mut terminal = Terminal::run(lockfast(["ls"]).arg(&path));
    assert_eq!(terminal.end(), Some(0));
    assert!(terminal.seen().contains("COMMAND"), "{}", terminal.seen());
    assert!(terminal.seen().contains("\u{1b}["), "{}", terminal.seen());
    let mut terminal = Terminal::run(lockfast(["ls"]).arg(&path).env("NO_COLOR", "1"));
    assert_eq!(terminal.end(), Some(0));
    assert!(terminal.seen().contains("COMMAND"), "{}", terminal.seen());
    assert!(!terminal.seen().contains('\u{1b}'), "{}", terminal.seen());
    let piped = outcome(lockfast(["ls"]).arg(&path)).output.join("\n");
    assert!(
        !piped.contains("COMMAND") && !piped.contains('\u{1b}'),
        "{piped}"
    );
}
