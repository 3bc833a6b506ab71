//! Faults of the server and of the way to it.

use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use lockfast::{ErrorKind, HoldState, Lock, LockGuard, SemaphorePermit};
use lockfast_conformance::Place;
use lockfast_etcd::Etcd;
use lockfast_servers::etcd::{Options, Release, Server};
use lockfast_servers::proxy::Proxy;
use lockfast_testing::skip;

use crate::prefix::Prefix;

/// Longer than anything that ends.
const LONG: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(3);

macro_rules! server {
    () => {{
        if let Err(reason) = Release::Debian.find() {
            skip!("{reason}");
        }
        Server::start()
    }};
}

fn proxied(server: &Server) -> (Proxy, Prefix) {
    let address: SocketAddr = server.endpoint().parse().expect("an address");
    let proxy = Proxy::start(address);
    let prefix = Prefix::at(&proxy.endpoint(), "?ttl=30s");
    (proxy, prefix)
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LONG, "{what}");
        thread::yield_now();
    }
}

#[test]
fn a_holder_that_is_cut_off_is_told_before_the_lease_ends() {
    let server = server!();
    let place = Prefix::at(&server.endpoint(), "?ttl=3s");
    let guard = place.lock("a").lock().expect("free");
    let token = guard.token();
    server.process().pause();
    let paused = Instant::now();
    assert!(guard.lost_within(LONG));
    // The server frees the lock after the TTL at the earliest.
    assert!(paused.elapsed() < TTL);
    assert_eq!(guard.state(), HoldState::Unconfirmed);
    server.process().resume();
    wait_until("confirmed or lost", || {
        guard.state() != HoldState::Unconfirmed
    });
    // A short pause leaves the key; a long one, of a slow machine, may have ended the lease.
    if guard.state() == HoldState::Valid {
        assert_eq!(guard.token(), token);
        guard.release().expect("it was held all the time");
    }
}

#[test]
fn a_lock_outlives_the_restart_of_the_server() {
    let mut server = server!();
    let place = Prefix::at(&server.endpoint(), "?ttl=30s");
    let guard = place.lock("a").lock().expect("free");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| place.lock("a").lock().expect("granted").token());
        wait_until("it waits", || place.waiters("a") == Some(1));
        server.kill();
        server.restart();
        assert_eq!(guard.state(), HoldState::Valid);
        let token = guard.token();
        guard.release().expect("released");
        assert!(waiter.join().expect("no panic") > token);
    });
}

#[test]
fn lost_requests_and_answers_leave_one_ticket() {
    let server = server!();
    let losses: [fn(&Proxy); 2] = [
        |proxy| proxy.lose_request(b"/q/x/"),
        |proxy| proxy.lose_answer(b"/q/x/"),
    ];
    for lose in losses {
        let (proxy, place) = proxied(&server);
        let lock = place.lock("a");
        drop(lock.lock().expect("connected"));
        for attempt in [true, false] {
            lose(&proxy);
            let guard = if attempt {
                lock.try_lock()
            } else {
                lock.lock()
            };
            let guard = guard.expect("free");
            let entry = place.entry("a").expect("held");
            assert_eq!((entry.holders.len(), entry.waiters.len()), (1, 0));
            assert_eq!(Some(entry.holders[0].token), guard.token());
            lose(&proxy);
            guard.release().expect("released");
            wait_until("no ghost", || place.entry("a").is_none());
        }
        proxy.wait_for_losses(4);
    }
}

#[test]
fn a_wait_that_ends_leaves_no_ticket_and_names_the_holder() {
    let server = server!();
    let place = Prefix::at(&server.endpoint(), "");
    let held = place.lock("a").lock().expect("free");
    let error = place
        .lock("a")
        .try_lock_for(place.short())
        .expect_err("held");
    assert!(error.is_timed_out(), "{error}");
    let holder = error.holder().expect("it describes itself");
    assert_eq!(holder.pid(), Some(std::process::id()));
    assert_eq!(place.waiters("a"), Some(0));
    drop(held);
}

#[test]
fn a_wait_goes_on_after_a_compaction() {
    let server = server!();
    let place = Prefix::at(&server.endpoint(), "");
    let held = place.lock("a").lock().expect("free");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| place.lock("a").lock().map(drop));
        wait_until("it waits", || place.waiters("a") == Some(1));
        drop(place.lock("b").lock().expect("free"));
        let revision = place.lock("b").lock().expect("free").token();
        let revision = revision.expect("it has tokens").to_string();
        server.etcdctl(&["compact", &revision]);
        held.release().expect("released");
        waiter.join().expect("no panic").expect("granted");
    });
}

#[test]
fn a_waiter_whose_place_is_taken_away_is_told() {
    let server = server!();
    let place = Prefix::at(&server.endpoint(), "");
    let held = place.lock("a").lock().expect("free");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| place.lock("a").lock().map(drop));
        wait_until("it waits", || place.waiters("a") == Some(1));
        let token = place.entry("a").expect("held").waiters[0].token;
        assert!(place.client.break_token("a", token).expect("broken"));
        assert!(!place.client.break_token("a", token).expect("asked"));
        held.release().expect("released");
        let error = waiter.join().expect("no panic").expect_err("not granted");
        assert_eq!(error.kind(), lockfast::ErrorKind::NotHeld, "{error}");
    });
}

/// The time after which a server forgets a login that was not used.
const LOGIN: Duration = Duration::from_secs(1);

#[test]
fn a_login_that_has_ended_hides_no_loss_on_3_4() {
    a_login_that_has_ended_hides_no_loss(Release::Debian);
}

#[test]
fn a_login_that_has_ended_hides_no_loss_on_3_5() {
    a_login_that_has_ended_hides_no_loss(Release::Python);
}

fn a_login_that_has_ended_hides_no_loss(release: Release) {
    if let Err(reason) = release.find() {
        skip!("{reason}");
    }
    let flag = format!("--auth-token-ttl={}", LOGIN.as_secs());
    let server = Options::default().release(release).password("hunter2");
    let server = server.flag(&flag).start();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("password");
    fs::write(&file, "hunter2").expect("written");
    let options = format!("?ttl=60s&password-file={}", file.display());
    let place = Prefix::at(&format!("root@{}", server.endpoint()), &options);
    let first = place.lock("a").lock().expect("free");
    // Long enough for its watch, and the end of the login, which servers look for each second.
    thread::sleep(LOGIN * 4);
    let second = place.lock("b").lock().expect("free");
    // Its watch begins ten milliseconds later.
    thread::sleep(Duration::from_millis(300));
    for (name, guard) in [("a", &first), ("b", &second)] {
        let token = guard.token().expect("it has one");
        assert!(place.client.break_token(name, token).expect("broken"));
        assert!(guard.lost_within(LONG / 4), "{name}");
    }
}

#[test]
fn a_thread_may_take_a_lock_again_that_it_has_lost() {
    let server = server!();
    let place = Prefix::at(&server.endpoint(), "");
    let lock = place.lock("a");
    let lost = lock.lock().expect("free");
    assert!(lock.lock().expect_err("held").is_deadlock());
    assert!(place.take_away("a"));
    assert!(lost.lost_within(LONG));
    let again = lock.lock().expect("free");
    drop(lost);
    assert!(lock.lock().expect_err("held").is_deadlock());
    again.release().expect("held");
}

#[test]
fn a_server_without_space_is_an_error_and_no_endless_wait() {
    if let Err(reason) = Release::Debian.find() {
        skip!("{reason}");
    }
    let server = Options::default()
        .flag("--quota-backend-bytes=262144")
        .start();
    let place = Prefix::at(&server.endpoint(), "");
    let held = place.lock("a").lock().expect("free");
    let value = "x".repeat(100_000);
    let fill = || server.client().args(["put", "large", &value]).output();
    while fill().expect("it is installed").status.success() {}
    let error = place.lock("b").lock().expect_err("no space");
    assert_eq!(error.kind(), ErrorKind::System);
    let text = error.to_string();
    assert!(text.contains("database space exceeded"), "{text}");
    held.release().expect("deletions need no space");
}

#[test]
fn a_forked_child_has_no_part_in_a_client() {
    let server = server!();
    let place = Prefix::at(&server.endpoint(), "");
    let lock = place.lock("a");
    let guard = lock.lock().expect("free");
    let permits = place.semaphore("s", 1).acquire().expect("free");
    let verdict = in_forked_child(|| differs(&place, &lock, &guard, &permits));
    assert_eq!(verdict, None, "what the child got wrong");
    assert_eq!(guard.state(), HoldState::Valid);
    guard.release().expect("held");
    permits.release().expect("held");
}

/// The number of the first thing that a forked child gets wrong; 0 for none.
fn differs(
    place: &Prefix,
    lock: &Lock<Etcd>,
    guard: &LockGuard<Etcd>,
    permits: &SemaphorePermit<Etcd>,
) -> u8 {
    let is_refused = |error: lockfast::Error| error.kind() == ErrorKind::NotHeld;
    let checks = place.client.diagnose();
    let right = [
        checks.len() == 1 && checks[0].text.contains("forked child"),
        // Not as a deadlock of the thread that forked.
        lock.lock().is_err_and(is_refused),
        guard.lost_within(Duration::ZERO),
        permits.lost_within(Duration::ZERO),
    ];
    let wrong = right.iter().position(|right| !right);
    wrong.map_or(0, |index| u8::try_from(index).expect("few") + 1)
}

/// Has a forked child do that, and returns the number if it is not 0. A child that hangs is killed.
#[allow(unsafe_code, reason = "fork and _exit")]
fn in_forked_child(test: impl FnOnce() -> u8) -> Option<String> {
    // SAFETY: the child only does what the test is about, and runs nothing at its end.
    match unsafe { nix::unistd::fork() }.expect("a child") {
        nix::unistd::ForkResult::Child => {
            nix::unistd::alarm::set(10);
            let code = test();
            // SAFETY: as above.
            unsafe { nix::libc::_exit(code.into()) }
        }
        nix::unistd::ForkResult::Parent { child } => {
            let status = nix::sys::wait::waitpid(child, None).expect("a child");
            let is_right = matches!(status, nix::sys::wait::WaitStatus::Exited(_, 0));
            (!is_right).then(|| format!("{status:?}"))
        }
    }
}
