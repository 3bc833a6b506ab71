//! Spans and events for a subscriber of `tracing`.
#![cfg(feature = "tracing")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockfast::{Lock, RwLock, Semaphore};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<u8>>>);

impl Write for Notes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Notes {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Returns the spans and events of a run, a line each.
fn told(run: impl FnOnce()) -> Vec<String> {
    let notes = Notes::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .without_time()
        .with_writer(notes.clone())
        .finish();
    let told_here = subscriber.set_default();
    run();
    drop(told_here);
    let text = notes.0.lock().expect("no panic").clone();
    let text = String::from_utf8(text).expect("plain text");
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn has(lines: &[String], words: &[&str]) {
    let fits = |line: &&String| words.iter().all(|word| line.contains(word));
    let found = lines.iter().filter(fits).count();
    assert_eq!(found, 1, "{words:?} in {lines:#?}");
}

/// A single test, as threads without a subscriber would change what others are told: which events anybody
/// wants is kept for the whole program.
#[test]
fn spans_and_events_are_recorded() {
    acquires_and_releases_are_told();
    a_wait_is_told_with_its_holder_and_its_end();
    an_attempt_in_vain_is_told();
}

fn acquires_and_releases_are_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let lines = told(|| {
        drop(Lock::open(path("a.lock")).unwrap().lock().unwrap());
        let cache = RwLock::open(path("b.lock")).unwrap();
        let reader = cache.upgradable_read().unwrap();
        let writer = reader.upgrade().unwrap();
        drop(writer.downgrade().unwrap());
        let pool = Semaphore::open(path("c.lock"), 2).unwrap();
        pool.acquire().unwrap().release().unwrap();
    });
    let modes = [
        ("a.lock", "exclusive"),
        ("b.lock", "upgradable"),
        ("b.lock", "write"),
        ("b.lock", "read"),
        ("c.lock", "permit"),
    ];
    for (name, mode) in modes {
        let mode = format!("mode=\"{mode}\"");
        has(&lines, &["TRACE", "acquired", name, &mode]);
        if !mode.contains("upgradable") {
            has(&lines, &["TRACE", "released", name, &mode]);
        }
    }
}

fn a_wait_is_told_with_its_holder_and_its_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.lock");
    let held = Lock::open(&path).unwrap().lock().unwrap();
    let lock = Lock::open(&path).unwrap();
    let lines = told(|| {
        assert!(lock.try_lock_for(Duration::from_millis(5)).is_err());
    });
    let pid = format!("{}", std::process::id());
    has(
        &lines,
        &[
            "DEBUG",
            "waiting",
            "a.lock",
            "operation=Lock",
            "holder=",
            &pid,
        ],
    );
    has(&lines, &["DEBUG", "gave up", "a.lock", "cause=TimedOut"]);
    has(&lines, &["DEBUG", "wait{", "close", "a.lock"]);
    drop(held);

    let held = lock.lock().unwrap();
    let other = Lock::open(&path).unwrap();
    let lines = told(|| {
        let mut wait = Box::pin(other.lock_async());
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(wait.as_mut().poll(&mut context).is_pending());
        drop(held);
        drop(smol::block_on(wait).unwrap());
    });
    has(&lines, &["DEBUG", "waiting", "a.lock"]);
    has(
        &lines,
        &["DEBUG", "acquired", "mode=\"exclusive\"", "waited="],
    );
}

fn an_attempt_in_vain_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let lock = Lock::open(directory.path().join("a.lock")).unwrap();
    let held = lock.lock().unwrap();
    let lines = told(|| assert!(lock.try_lock().is_err()));
    has(&lines, &["DEBUG", "gave up", "cause=Contended"]);
    drop(held);
}
